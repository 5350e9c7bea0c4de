"""Measure how many faces and license plates the detectors find: `python -m bench.privacy`.

Faces: the 100 of scikit-image's `lfw_subset` (images of 25 × 25 pixels from "Labeled Faces in the Wild", with 100 images
without a face), enlarged and placed on gray. Plates: drawn ones of four kinds, rotated by up to 8 degrees and blurred, on
photographs of scikit-image at 1280 × 720. The seed is fixed. scikit-image must be installed.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from skimage import data

from reelmill_server.media.overlay.privacy.boxes import Box
from reelmill_server.media.overlay.privacy.detect import FaceDetector, PlateDetector

_THRESHOLDS = (0.0, 0.3, 0.5)
_LETTERS, _DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"
# Size in millimeters, background, text color, and the text: L a letter, D a digit.
_PLATES = {
    "European": ((520, 110), "white", "black", "L LL DDDD"),
    "American": ((305, 152), "#ebecf5", "#203080", "DLLLDDD"),
    "white on blue": ((440, 140), "#1046b0", "white", "LL DDDDD"),
    "black on yellow": ((440, 140), "#f0c020", "black", "LLDD LLL"),
}
_WIDTHS = ((24, 50), (50, 100), (100, 200))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=30, help="number per kind and range of widths")
    count = parser.parse_args().plates
    measure_faces()
    measure_plates(count)


def measure_faces() -> None:
    """Print how many of 100 faces are found, and in how many of 100 images without one."""
    detector = FaceDetector()
    print("faces: image side in pixels, confidence, found of 100, false of 100")
    for side in (16, 25, 40, 64, 100):
        best = [max((box.score for box in detector(_on_gray(image, side))), default=0.0) for image in data.lfw_subset()]
        for threshold in _THRESHOLDS:
            seen = [score > max(threshold, 0.01) for score in best]
            print(f"  {side:4} {threshold:4} {sum(seen[:100]):4} {sum(seen[100:]):4}")


def _on_gray(image: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    background = Image.new("L", (192, 192), 110)
    background.paste(
        Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC), (60, 60)
    )
    return np.asarray(background.convert("RGB"))


def measure_plates(count: int) -> None:
    """Print how many plates are found: a box covers more than a third of the plate; false: it covers less than a tenth."""
    random, detector = np.random.default_rng(1), PlateDetector()
    print(f"plates: kind, width in pixels, found of {count} with confidence {_THRESHOLDS}; false boxes in total")
    for kind in _PLATES:
        for least, most in _WIDTHS:
            result, false = [0] * len(_THRESHOLDS), [0] * len(_THRESHOLDS)
            for _ in range(count):
                frame, plate = _scene(kind, int(random.integers(least, most)), random)
                boxes = detector(frame)
                for number, threshold in enumerate(_THRESHOLDS):
                    overlaps = [box.overlap(plate) for box in boxes if box.score >= threshold]
                    result[number] += any(overlap > 1 / 3 for overlap in overlaps)
                    false[number] += sum(overlap < 0.1 for overlap in overlaps)
            print(f"  {kind:16} {least:4}-{most:<4} {result} {false}", flush=True)


def _scene(kind: str, width: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], Box]:
    plate = _plate(kind, random).rotate(random.uniform(-8, 8), expand=True, resample=Image.Resampling.BICUBIC)
    plate = plate.resize((width, round(plate.height * width / plate.width)), Image.Resampling.LANCZOS)
    scenery = (data.coffee, data.chelsea, data.astronaut, data.rocket)[int(random.integers(4))]()
    scene = Image.fromarray(scenery).resize((1280, 720), Image.Resampling.BICUBIC)
    x, y = int(random.integers(0, 1280 - width)), int(random.integers(0, 720 - plate.height))
    scene.paste(plate, (x, y), plate)
    blurred = scene.filter(ImageFilter.GaussianBlur(random.uniform(0, 1)))
    return np.asarray(blurred), Box(x + width / 2, y + plate.height / 2, width, plate.height)


def _plate(kind: str, random: np.random.Generator) -> Image.Image:
    (width, height), background, color, form = _PLATES[kind]
    characters = {"L": _LETTERS, "D": _DIGITS}
    text = "".join(random.choice(list(characters[character])) if character in characters else character for character in form)
    plate = Image.new("RGBA", (width, height), background)
    draw = ImageDraw.Draw(plate)
    draw.rectangle((3, 3, width - 4, height - 4), outline=color, width=4)
    draw.text((width / 2, height / 2), text, fill=color, font=ImageFont.load_default(width / len(text) * 1.45), anchor="mm")
    return plate


if __name__ == "__main__":
    main()
