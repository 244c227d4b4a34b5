"""What workers show of a stream when they are asked: its picture, its traces, its evidence.

A worker parses hostile media: its answers are bounded, and nothing of them is ever taken for more
than a picture or data.
"""

import asyncio
from collections.abc import Iterable
from urllib.parse import quote

import orjson

from streammonitor_operator.fleet import PodView
from streammonitor_operator.questions import BadAnswer, Questions, Refused
from streammonitor_operator.wall.brief import Brief
from streammonitor_operator.wall.tiles import Document

PICTURE_EVERY_S = 5.0
"""A worker makes a picture of a stream no more often."""
MAX_PICTURE_BYTES = 256 * 1024
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
_TIMEOUT_S = 3.0
_MOST_LINES = 64
_MOST_PICTURES = 400
"""Of about 15 kB each."""
_JPEG = b"\xff\xd8\xff"


class Hidden(Exception):
    """The picture must not be shown: the stream is encrypted."""


class Glimpses:
    """Asks workers, each of them one thing at a time.

    Args:
        port: Where workers answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: dict[str, tuple[asyncio.Lock, Questions]] = {}
        self._pictures: Brief[tuple[str, str], bytes | None] = Brief(
            PICTURE_EVERY_S, _MOST_PICTURES
        )

    def close(self) -> None:
        """Close every connection."""
        for _, questions in self._lines.values():
            questions.close()
        self._lines.clear()

    async def picture(self, key: str, stream: str, pods: Iterable[PodView]) -> bytes | None:
        """A stream's latest picture as JPEG; None if nobody has one.

        Args:
            key: Tells streams of the same name apart.
            stream: Its name.
            pods: Whom to ask, in order.

        Raises:
            Hidden: It must not be shown.
        """
        asked = list(pods)

        async def ask() -> bytes | None:
            for pod in asked:
                body = await self._ask(pod, f"/live/{quote(stream)}/picture")
                if body is not None and body.startswith(_JPEG) and len(body) <= MAX_PICTURE_BYTES:
                    return body
            return None

        return await self._pictures.get((key, stream), ask)

    async def documents(self, path: str, pods: Iterable[PodView]) -> list[Document]:
        """What workers answer to a path, as far as they have something to say.

        Args:
            path: Quoted.
            pods: Whom to ask.
        """
        answers = await asyncio.gather(*(self._document(pod, path) for pod in pods))
        return [one for one in answers if one is not None]

    async def _document(self, pod: PodView, path: str) -> Document | None:
        body = await self._ask(pod, path)
        try:
            document = orjson.loads(body or b"null")
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    async def _ask(self, pod: PodView, path: str) -> bytes | None:
        """The answer of one worker; None if it has none.

        Raises:
            Hidden: It says so.
        """
        address = pod.pod.ip
        line = self._lines.pop(address, None)
        if line is None:
            line = asyncio.Lock(), Questions(address, self._port, MAX_DOCUMENT_BYTES)
        self._lines[address] = line  # the one that was used last is the last
        lock, questions = line
        try:
            async with lock:
                return await questions.get(path, _TIMEOUT_S)
        except Refused as refused:
            if refused.code == "403":
                raise Hidden from refused
            return None
        except (TimeoutError, OSError, BadAnswer):
            return None
        finally:
            self._prune()

    def _prune(self) -> None:
        for address, (lock, questions) in list(self._lines.items()):
            if len(self._lines) <= _MOST_LINES:
                return
            if not lock.locked():
                questions.close()
                del self._lines[address]
