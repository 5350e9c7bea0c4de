"""Read and write units of H.264 and H.265 bit by bit."""


class Bits:
    """The bits of `data`, read from the front. Raises ValueError or IndexError where there are no more."""

    def __init__(self, data: bytes) -> None:
        self.place = 0
        self._text = f"{int.from_bytes(data):0{len(data) * 8}b}" if data else ""

    def skip(self, count: int) -> None:
        """Leave out so many."""
        self.place += count

    def number(self, count: int) -> int:
        """Return a number of so many bits."""
        begin, self.place = self.place, self.place + count
        if self.place > len(self._text):
            raise ValueError("no more bits")
        return int(self._text[begin : self.place], 2) if count else 0

    def golomb(self) -> int:
        """Return an unsigned number in the exponential code of Golomb."""
        end = self._text.index("1", self.place)
        zeros, self.place = end - self.place, end
        return self.number(zeros + 1) - 1

    def signed_golomb(self) -> int:
        """Return a signed number in that code."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def skip_golombs(self, count: int) -> None:
        """Leave out so many numbers in that code, with or without a sign."""
        for _ in range(count):
            self.golomb()

    def text(self, begin: int, end: int | None = None) -> str:
        """Return the bits from `begin` to `end`, as text of 0 and 1."""
        return self._text[begin:end]


def golomb(number: int) -> str:
    """Return an unsigned number in the exponential code of Golomb, as text of bits."""
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def aligned(text: str, fill: str) -> bytes:
    """Return bits as whole bytes, filled up by `fill` at the end."""
    text += fill * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)
