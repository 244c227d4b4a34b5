"""HLS segments encrypted as a whole: AES-128 in CBC mode with PKCS7 padding (RFC 8216, 4.3.2.4)."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from streammonitor_worker.ingest.errors import SourceError
from streammonitor_worker.ingest.readers.base import Reader


class AesReader:
    """What another reader reads, decrypted."""

    length: None = None

    def __init__(self, encrypted: Reader, key: bytes, iv: bytes) -> None:
        self._encrypted = encrypted
        self._cipher = Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()
        self._padding = PKCS7(algorithms.AES128.block_size).unpadder()
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return the next plain bytes; none at the end. See `Reader.read`."""
        while not self._ended:
            data = self._encrypted.read(size)
            try:
                plain = self._take(data)
            except ValueError:
                raise SourceError(
                    "DecryptionFailed", "a segment cannot be decrypted: check the key"
                ) from None
            if plain:
                return plain
        return b""

    def close(self) -> None:
        """Close what is read from."""
        self._encrypted.close()

    def _take(self, data: bytes) -> bytes:
        if data:
            return self._padding.update(self._cipher.update(data))
        self._ended = True
        return self._padding.update(self._cipher.finalize()) + self._padding.finalize()
