"""Boxes around detections in a frame."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in a frame by its center and size, in pixels; `score` 0 … 1 says how sure its detector is."""

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0

    @property
    def size(self) -> float:
        """Return one number for how large it is, pixels."""
        return (self.width + self.height) / 2

    def moved(self, x: float, y: float) -> "Box":
        """Return the box moved by so many pixels."""
        return Box(self.x + x, self.y + y, self.width, self.height, self.score)

    def grown(self, ratio: float) -> "Box":
        """Return the box scaled around its center."""
        return Box(self.x, self.y, self.width * ratio, self.height * ratio, self.score)

    def scaled(self, x: float, y: float) -> "Box":
        """Return the box in a frame that is so many times as wide and high."""
        return Box(self.x * x, self.y * y, self.width * x, self.height * y, self.score)

    def towards(self, other: "Box", share: float) -> "Box":
        """Return the box moved towards `other` by `share` of the way, 0 … 1."""

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
        """Return the intersection over union of both boxes, 0 … 1."""
        width = min(self.x + self.width / 2, other.x + other.width / 2) - max(
            self.x - self.width / 2, other.x - other.width / 2
        )
        height = min(self.y + self.height / 2, other.y + other.height / 2) - max(
            self.y - self.height / 2, other.y - other.height / 2
        )
        common = max(0.0, width) * max(0.0, height)
        return common / (self.width * self.height + other.width * other.height - common or 1.0)


def distinct(boxes: list[Box], overlap: float) -> list[Box]:
    """Return the surest boxes: one that overlaps a surer one by more than `overlap` is left out (non-maximum suppression)."""
    apart: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if all(box.overlap(other) <= overlap for other in apart):
            apart.append(box)
    return apart
