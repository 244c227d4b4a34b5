"""How a stream's source is opened, again and again, and what is known of it from before."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from streammonitor_api.push import at_port
from streammonitor_api.spec import Stream
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.ingest import Freshness, Source, SourceError, Stop, open_source, redact
from streammonitor_worker.secrets import Credentials, read_credentials
from streammonitor_worker.surroundings import Surroundings

HOPELESS = ("UnsupportedScheme", "SchemeNotAllowed", "HostNotAllowed", "BadUrl")
"""Reasons that no retry changes."""
ELSEWHERE = ("NoSender", "Stalled", "Ended", "ConnectionLost", "Unauthorized")
"""Reasons for which who listens goes on to listen at once: there is nobody to spare."""
LISTEN_AGAIN_S = 0.02


class Reception:
    """Opens one stream's source.

    Args:
        stream: What is opened.
        around: Where Secrets are, and what may be opened.

    Attributes:
        port: Where to wait for what is sent, instead of the URL's; None: there.
    """

    def __init__(self, stream: Stream, around: Surroundings) -> None:
        self._stream = stream
        self._around = around
        self._was_live = False
        self._freshness = Freshness()
        self._credentials: Credentials | None = None
        self.port: int | None = None

    def follow(self, stream: Stream) -> bool:
        """Open this from now on; return whether that is another source."""
        before, self._stream = self._stream, stream
        if before.source == stream.source:
            return False
        self._was_live, self._freshness = False, Freshness()
        return True

    @contextmanager
    def opened(self, kinds: Collection[Kind], stop: Stop) -> Iterator[Source]:
        """Open the source for detectors that need this kind of media.

        Raises:
            SourceError: It must not or cannot be opened.
        """
        stream = self._stream
        credentials = read_credentials(self._around.secrets_folder, stream)
        self._credentials = credentials
        with open_source(
            at_port(credentials.url, self.port),
            video=Kind.VIDEO in kinds or not kinds,
            audio=Kind.AUDIO in kinds,
            watch=Kind.TRANSPORT in kinds,
            headers=credentials.headers,
            live=True,
            stop=stop,
            access=self._around.access,
            variant=stream.variant,
            program=stream.program,
            keys=credentials.keys,
            bucket=credentials.bucket,
            freshness=self._freshness,
        ) as source:
            yield source

    def replays(self, source: Source) -> bool:
        """Whether it is a recording of what was seen already: a live playlist that was closed."""
        was_live, self._was_live = self._was_live, not source.finite
        return was_live and source.finite

    def pause_s(self, attempt: int, reason: str | None) -> float | None:
        """How long to wait before attempt number `attempt`; None: until something changes."""
        if reason in HOPELESS:
            return None
        if self._stream.push is not None and reason in ELSEWHERE:
            return LISTEN_AGAIN_S
        return self._around.backoff(attempt, reason)

    def rotated(self) -> bool:
        """Whether a Secret holds another value than the source was opened with."""
        if not self._stream.secret_names:
            return False
        try:
            held = read_credentials(self._around.secrets_folder, self._stream)
        except SourceError:
            # It is gone; what was opened with it may go on.
            return False
        return held != self._credentials

    def outside(self, message: str) -> str:
        """A message with the port that a sender knows, not with that of the pod."""
        if self.port is None:
            return message
        inside = redact(at_port(self._stream.url, self.port))
        return message.replace(inside, redact(self._stream.url))
