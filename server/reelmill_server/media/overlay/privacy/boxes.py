"""Boxes around what is found in a picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture by its centre and size, in pixels; `score` 0 … 1 says how sure its detector is."""

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0

    @property
    def size(self) -> float:
        """One number for how large it is, pixels."""
        return (self.width + self.height) / 2

    def moved(self, x: float, y: float) -> "Box":
        """The box moved by so many pixels."""
        return Box(self.x + x, self.y + y, self.width, self.height, self.score)

    def grown(self, ratio: float) -> "Box":
        """The box scaled around its centre."""
        return Box(self.x, self.y, self.width * ratio, self.height * ratio, self.score)

    def scaled(self, x: float, y: float) -> "Box":
        """The box in a picture that is so many times as wide and high."""
        return Box(self.x * x, self.y * y, self.width * x, self.height * y, self.score)

    def towards(self, other: "Box", share: float) -> "Box":
        """The box on the way to `other`, of which `share` is done."""

        def between(own: float, others: float) -> float:
            return own + (others - own) * share

        return Box(
            between(self.x, other.x),
            between(self.y, other.y),
            between(self.width, other.width),
            between(self.height, other.height),
            max(self.score, other.score),
        )

    def overlap(self, other: "Box") -> float:
        """The common area by the area of both together, 0 … 1."""
        width = min(self.x + self.width / 2, other.x + other.width / 2) - max(
            self.x - self.width / 2, other.x - other.width / 2
        )
        height = min(self.y + self.height / 2, other.y + other.height / 2) - max(
            self.y - self.height / 2, other.y - other.height / 2
        )
        common = max(0.0, width) * max(0.0, height)
        return common / (self.width * self.height + other.width * other.height - common or 1.0)


def distinct(boxes: list[Box], overlap: float) -> list[Box]:
    """The surest boxes: what overlaps a surer one by more than `overlap` is left out."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(box.overlap(other) <= overlap for other in kept):
            kept.append(box)
    return kept
