"""Values from mounted Secrets. They are read when a source is opened, and never logged."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from streammonitor_api.source import ObjectStore, SecretKeyRef
from streammonitor_api.spec import Stream
from streammonitor_worker.ingest import NO_KEYS, Bucket, ContentKey, ContentKeys, SourceError
from streammonitor_worker.ingest.signing import OPTIONAL, SECRETS

MAX_VALUE_BYTES = 16_384
DEFAULT_KEY = "default"
"""The name under which a Secret holds the key of every id that it does not name."""

_HEX_128 = re.compile(r"[0-9a-fA-F]{32}")
_KEY = re.compile(r"([0-9a-fA-F]{32})(?::([0-9a-fA-F]{32}))?")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a stream is opened with. Two are equal if nothing was rotated between them.

    Attributes:
        url: The URL, with what of it comes from Secrets.
        headers: HTTP request headers.
        keys: Keys of encrypted media.
        bucket: Signs requests for the objects of an object store, whose URL `url` is by HTTP.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    keys: ContentKeys = NO_KEYS
    bucket: Bucket | None = None


def read_credentials(folder: Path, stream: Stream) -> Credentials:
    """Read what a stream is opened with.

    Args:
        folder: Secret S, key K is the file S/K in it.
        stream: The stream.

    Raises:
        SourceError: A Secret, or a key of it, is not mounted (yet), or is not what it must be.
    """
    decryption = stream.decryption
    keys = NO_KEYS if decryption is None else _keys(folder, decryption.keys_from.secret_ref.name)
    headers = {
        one.name: read_secret(folder, one.secret_key_ref, f"header {one.name}")
        for one in stream.headers_from
    }
    split = urlsplit(stream.url)
    if split.scheme.lower() in SECRETS:
        bucket = read_bucket(folder, stream.url, stream.object_store)
        return Credentials(bucket.url(stream.url), headers, keys, bucket)
    query = [split.query] if split.query else []
    for one in stream.query_from or ():
        value = read_secret(folder, one.secret_key_ref, f"query parameter {one.name}")
        query.append(f"{one.name}={quote(value, safe='')}")
    where = split.netloc
    if stream.user_info_from is not None:
        user = read_secret(folder, stream.user_info_from.username, "user name")
        password = read_secret(folder, stream.user_info_from.password, "password")
        host = where.rpartition("@")[2]
        where = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    if not stream.query_from and stream.user_info_from is None:
        return Credentials(stream.url, headers, keys)
    url = split._replace(netloc=where, query="&".join(query)).geturl()
    return Credentials(url, headers, keys)


def read_bucket(folder: Path, url: str, store: ObjectStore | None) -> Bucket:
    """The bucket of an s3, gs or az URL, with its credentials.

    Raises:
        SourceError: A Secret, or a key of it, is not mounted (yet), or is no text.
    """
    split = urlsplit(url)
    kind, held = split.scheme.lower(), dict[str, str]()
    if store is None:
        return Bucket(kind, split.netloc)
    if store.credentials_from is not None:
        secret = store.credentials_from.secret_ref.name
        for name in SECRETS[kind]:
            reference = SecretKeyRef(name=secret, key=name)
            if name not in OPTIONAL or (folder / secret / name).exists():
                held[name] = read_secret(folder, reference, f"credentials of {kind}")
    return Bucket(kind, split.netloc, store.endpoint, store.region, held)


def _keys(folder: Path, secret: str) -> ContentKeys:
    """Every key that a Secret holds."""
    where = f"Secret {secret!r} (keys of media)"
    try:
        # The kubelet's own entries begin with two dots.
        names = sorted(one.name for one in _folder(folder, secret, where).iterdir())
        names = [name for name in names if not name.startswith("..")]
    except OSError:
        names = []
    if not names:
        raise _missing(where)
    found = {name.replace("-", "").lower(): _key(folder, secret, name) for name in names}
    default = found.pop(DEFAULT_KEY, None)
    by_id = {bytes.fromhex(key_id): key for key_id, key in found.items()}
    return ContentKeys(f"Secret {secret!r}", by_id, default)


def _key(folder: Path, secret: str, name: str) -> ContentKey:
    where = f"key {name!r} of Secret {secret!r} (key of media)"
    if name != DEFAULT_KEY and not _HEX_128.fullmatch(name.replace("-", "")):
        raise SourceError(
            "SecretInvalid",
            f"{where} is no id of a key: name it by 32 hexadecimal digits, or {DEFAULT_KEY!r}",
        )
    value = read_secret(folder, SecretKeyRef(name=secret, key=name), "key of media")
    match = _KEY.fullmatch(value)
    if match is None:
        # Not the value itself: it may be a key that was only written differently.
        raise SourceError(
            "SecretInvalid",
            f"{where} is not 32 hexadecimal digits: store the 16 bytes of the key so, as in "
            f"xxd -p; its initialization vector may follow after a colon",
        )
    return ContentKey(bytes.fromhex(match[1]), bytes.fromhex(match[2]) if match[2] else None)


def read_secret(folder: Path, reference: SecretKeyRef, use: str) -> str:
    """Read a key of a Secret.

    Args:
        folder: Secret S, key K is the file S/K in it.
        reference: Which key of which Secret.
        use: What it is for, as messages say it.

    Raises:
        SourceError: It is not mounted (yet), or is no text.
    """
    where = f"key {reference.key!r} of Secret {reference.name!r} ({use})"
    if reference.key in (".", ".."):
        raise _no_name(where)
    try:
        path = _folder(folder, reference.name, where) / reference.key
        raw = path.read_bytes()[:MAX_VALUE_BYTES]
    except OSError:
        raise _missing(where) from None
    try:
        # A trailing line break is what `echo secret | base64` leaves behind.
        return raw.decode().strip()
    except UnicodeDecodeError:
        raise SourceError("SecretInvalid", f"{where} is no UTF-8 text: store text") from None


def _folder(folder: Path, secret: str, where: str) -> Path:
    if secret in (".", "..") or "/" in secret:
        raise _no_name(where)
    return folder / secret


def _no_name(where: str) -> SourceError:
    return SourceError("SecretMissing", f"{where} is no name of a Secret: correct it")


def _missing(where: str) -> SourceError:
    return SourceError(
        "SecretMissing",
        f"{where} is not there: create the Secret in the StreamMonitor's namespace",
    )
