"""An object store that takes each object once: nothing is ever written over."""

import socket
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from streammonitor_api.results import Results
from streammonitor_worker.alerts.sink import Around, NotDelivered
from streammonitor_worker.ingest import Bucket, SourceError
from streammonitor_worker.secrets import read_bucket

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_REASONS = {
    "PermissionDeniedError": ("Forbidden", "refuses access: allow its credentials to write there"),
    "UnauthenticatedError": ("Unauthorized", "does not accept the credentials: check the Secret"),
    "FileNotFoundError": ("NotFound", "knows no such bucket: create it or correct the URL"),
}
_OTHER = ("Unavailable", "does not answer as an object store does: check the endpoint and its log")


class Store:
    """Where the results of a StreamMonitor are written.

    The client of the store looks its host up by itself, so what is checked here before is what the
    platform team has said of the host: it is trusted to lead where it did a moment before.

    Args:
        results: Where it is.
        around: Where Secrets are, and what may be reached.

    Raises:
        NotDelivered: Credentials are missing.
    """

    def __init__(self, results: Results, around: Around) -> None:
        split = urlsplit(results.url)
        self.name = f"{split.scheme}://{split.netloc or split.path}"
        self._access = around.access
        self._stop = around.stop
        self.local = Path(unquote(split.path)) if split.scheme == "file" else None
        self._prefix = "" if self.local else unquote(split.path).strip("/")
        try:
            self.bucket: Bucket | None = None
            if self.local is None:
                folder = around.secrets_folder
                self.bucket = read_bucket(folder, results.url, results.object_store)
        except SourceError as error:
            raise NotDelivered(error.reason, error.message) from None

    def check(self) -> None:
        """Say no if the platform team does not allow it.

        Raises:
            NotDelivered: It does not.
        """
        place = "file:///" if self.bucket is None else self.bucket.root
        split = urlsplit(place)
        try:
            where = place if self.bucket is None else f"{split.scheme}://{split.netloc}"
            self._access.check(where)
            if self.bucket is not None:
                port = split.port or (443 if split.scheme == "https" else 80)
                self._access.resolve(
                    split.hostname or "", port, socket.SOCK_STREAM, self._stop, where
                )
        except SourceError as error:
            raise NotDelivered(error.reason, error.message) from None

    def put(self, path: str, body: bytes) -> None:
        """Write an object. One of that name that is there already stays: it is this one.

        Raises:
            NotDelivered: It was not taken.
        """
        import obstore  # noqa: PLC0415 - imported by whoever needs it: it takes 10 MB

        try:
            obstore.put(self._client, self._full(path), body, mode="create")
        except obstore.exceptions.AlreadyExistsError:
            return  # an earlier attempt of which no answer came
        except Exception as error:
            raise self._failed(error) from None

    def folders(self, prefix: str) -> list[str]:
        """The paths right below one, without those of objects.

        Raises:
            NotDelivered: It does not say.
        """
        import obstore  # noqa: PLC0415

        try:
            found = obstore.list_with_delimiter(self._client, self._full(prefix))
        except Exception as error:
            raise self._failed(error) from None
        return [self._short(one) for one in found["common_prefixes"]]

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Path and size of everything below one.

        Raises:
            NotDelivered: It does not say.
        """
        import obstore  # noqa: PLC0415

        try:
            for chunk in obstore.list(self._client, self._full(prefix)):
                yield from ((self._short(one["path"]), one["size"]) for one in chunk)
        except Exception as error:
            raise self._failed(error) from None

    def get(self, path: str) -> bytes:
        """Read an object.

        Raises:
            NotDelivered: It is not there, or not to be read.
        """
        import obstore  # noqa: PLC0415

        try:
            return bytes(obstore.get(self._client, self._full(path)).bytes())
        except Exception as error:
            raise self._failed(error) from None

    def delete(self, paths: list[str]) -> None:
        """Delete objects.

        Raises:
            NotDelivered: They are not to be deleted.
        """
        import obstore  # noqa: PLC0415

        try:
            obstore.delete(self._client, [self._full(one) for one in paths])
        except FileNotFoundError:
            return  # another worker was quicker
        except Exception as error:
            raise self._failed(error) from None

    @cached_property
    def _client(self) -> "ObjectStore":
        from obstore.store import LocalStore  # noqa: PLC0415

        if self.bucket is None:
            return LocalStore(self.local, mkdir=True)
        return self.bucket.store

    def _full(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _short(self, path: str) -> str:
        return path.removeprefix(f"{self._prefix}/") if self._prefix else path

    def _failed(self, error: Any) -> NotDelivered:
        """Why, in a sentence. What the client says may quote what it was given."""
        if isinstance(error, KeyError):
            lacking = "its credentials are not all there: check the Secret"
            return NotDelivered("SecretMissing", f"{self.name}: {lacking}")
        if isinstance(error, ValueError):
            wrong = "its credentials are not as such a store has them: check the Secret"
            return NotDelivered("SecretInvalid", f"{self.name}: {wrong}")
        reason, text = _REASONS.get(type(error).__name__, _OTHER)
        return NotDelivered(reason, f"{self.name} {text}")
