"""Values from mounted Secrets. They are read when a source is opened, and never logged."""

from collections.abc import Sequence
from pathlib import Path

from streammonitor_api.spec import HeaderFrom
from streammonitor_worker.ingest import SourceError

MAX_VALUE_BYTES = 16_384


def read_headers(folder: Path, headers: Sequence[HeaderFrom]) -> dict[str, str]:
    """Return header names and values.

    Raises:
        SourceError: A Secret, or a key of it, is not mounted (yet), or is no text.
    """
    return {header.name: _read(folder, header) for header in headers}


def _read(folder: Path, header: HeaderFrom) -> str:
    reference = header.secret_key_ref
    where = f"key {reference.key!r} of Secret {reference.name!r} (header {header.name})"
    path = folder / reference.name / reference.key
    if reference.name in (".", "..") or "/" in reference.name or reference.key in (".", ".."):
        raise SourceError("SecretMissing", f"{where} is no name of a Secret: correct it")
    try:
        raw = path.read_bytes()[:MAX_VALUE_BYTES]
    except OSError:
        raise SourceError(
            "SecretMissing",
            f"{where} is not there: create the Secret in the StreamMonitor's namespace",
        ) from None
    try:
        # A trailing line break is what `echo secret | base64` leaves behind.
        return raw.decode().strip()
    except UnicodeDecodeError:
        raise SourceError("SecretInvalid", f"{where} is no UTF-8 text: store text") from None
