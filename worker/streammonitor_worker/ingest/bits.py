"""Bits of a coded header."""


class Bits:
    """Reads fields of the headers of H.264, the most significant bit first.

    Raises:
        IndexError: The header ends before the field does.
    """

    def __init__(self, coded: bytes) -> None:
        # H.264 clause 7.4.1.1: a 3 after two zeros only keeps start codes out.
        data = coded.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned field of so many bits."""
        if count > self._left:
            raise IndexError
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """An unsigned field of variable length (H.264 clause 9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_exp_golomb(self) -> int:
        """A signed field of variable length (H.264 clause 9.1.1)."""
        code = self.exp_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
