"""Samples of common encryption, decrypted in place (ISO/IEC 23001-7, clauses 9 and 10)."""

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from streammonitor_worker.ingest.encryption.protection import Sample

BLOCK_BYTES = 16


def decrypt(data: bytearray, sample: Sample, key: bytes) -> None:
    """Decrypt a sample in place.

    Args:
        data: The sample.
        sample: How it is encrypted.
        key: 16 bytes.

    Raises:
        ValueError: Its parts are longer than it is.
    """
    scheme, iv = sample.protection.scheme, sample.iv.ljust(BLOCK_BYTES, b"\0")
    spans = list(_spans(sample, len(data)))
    if scheme == b"cbcs":
        # Each part begins with the vector again (10.4).
        for start, end in spans:
            _blocks(data, [(start, end)], _chained(key, iv), sample.protection.pattern)
    elif scheme == b"cenc":
        _bytes(data, spans, _counting(key, iv))
    else:
        cipher = _chained(key, iv) if scheme == b"cbc1" else _counting(key, iv)
        _blocks(data, spans, cipher, sample.protection.pattern)


def chained(data: bytearray, start: int, end: int, key: bytes, iv: bytes) -> None:
    """Decrypt the whole blocks between two places in place; what remains is clear."""
    end -= (end - start) % BLOCK_BYTES
    if end > start:
        data[start:end] = _chained(key, iv).update(bytes(data[start:end]))


def _counting(key: bytes, iv: bytes) -> CipherContext:
    return Cipher(algorithms.AES128(key), modes.CTR(iv)).decryptor()


def _chained(key: bytes, iv: bytes) -> CipherContext:
    return Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()


def _spans(sample: Sample, size: int) -> list[tuple[int, int]]:
    """Where encrypted bytes begin and end."""
    if not sample.parts:
        return [(0, size)]
    spans, at = [], 0
    for clear, encrypted in sample.parts:
        spans.append((at + clear, at + clear + encrypted))
        at += clear + encrypted
    if at > size:
        raise ValueError(f"a sample of {size} bytes has parts of {at}")
    return spans


def _bytes(data: bytearray, spans: list[tuple[int, int]], cipher: CipherContext) -> None:
    """One stream of bytes through all the parts."""
    for start, end in spans:
        data[start:end] = cipher.update(bytes(data[start:end]))


def _blocks(
    data: bytearray, spans: list[tuple[int, int]], cipher: CipherContext, pattern: tuple[int, int]
) -> None:
    """Whole blocks only, and of those the ones that the pattern has; what remains is clear."""
    encrypted, clear = pattern
    for start, end in spans:
        count = (end - start) // BLOCK_BYTES
        if not count:
            continue
        blocks: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8, count * BLOCK_BYTES, start)
        blocks = blocks.reshape(count, BLOCK_BYTES)
        chosen = np.arange(count) % ((encrypted + clear) or 1) < (encrypted or 1)
        plain = np.frombuffer(cipher.update(blocks[chosen].tobytes()), np.uint8)
        blocks[chosen] = plain.reshape(-1, BLOCK_BYTES)
