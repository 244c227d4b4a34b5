"""Keys of encrypted media: 128 bits each, by the id that the media name them with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streammonitor_worker.ingest.errors import SourceError, redact

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class ContentKey:
    """A key. Its text does not show it.

    Attributes:
        value: 16 bytes.
        iv: The initialization vector that belongs to it, 16 bytes, where media do not say theirs.
    """

    value: bytes = field(repr=False)
    iv: bytes | None = None


@dataclass(frozen=True, slots=True)
class ContentKeys:
    """The keys of one source. Its text shows none of them.

    Attributes:
        origin: Where they come from, for people.
        by_id: Keys by the 16 bytes of their ids (ISO/IEC 23001-7, clause 9.2).
        default: The key of every id that is not among them.
    """

    origin: str = ""
    by_id: Mapping[bytes, ContentKey] = field(default_factory=dict)
    default: ContentKey | None = None

    def __bool__(self) -> bool:
        return bool(self.by_id) or self.default is not None

    def of(self, key_id: bytes, url: str) -> ContentKey:
        """The key that media at `url` are encrypted with.

        Args:
            key_id: Its id; empty if the media give it none: then the only one is meant.
            url: For the message.

        Raises:
            SourceError: It is not among them.
        """
        key = self.by_id.get(key_id, self.default)
        if not key_id and key is None and len(self.by_id) == 1:
            (key,) = self.by_id.values()
        if key is None:
            raise self.lacking(url, key_id)
        return key

    def lacking(self, url: str, key_id: bytes = b"") -> SourceError:
        """Why media at `url` cannot be read."""
        named = f"key id {key_id.hex()}" if key_id else "a key whose id it does not say"
        where = f"{redact(url)} cannot be read: it is encrypted with {named}"
        if not self:
            return SourceError(
                "Encrypted", f"{where}: set decryption.keysFrom to a Secret that holds the key"
            )
        return SourceError(
            "KeyMissing",
            f"{where}, which {self.origin} does not hold: add it as {key_id.hex() or 'default'}",
        )


NO_KEYS = ContentKeys()


def undecryptable(url: str, why: str) -> SourceError:
    """What is raised where encrypted media are not as the standard has them."""
    return SourceError(
        "DecryptionFailed", f"{redact(url)} cannot be decrypted: {why}: check the packager"
    )
