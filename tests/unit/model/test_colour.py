"""The numbers and names of colors, against those of FFmpeg's command line."""

import re
import subprocess
from collections.abc import Mapping

import imageio_ffmpeg
import pytest

from reelmill_server.model.colour import MATRIX_NAMES, PRIMARIES_NAMES, RANGE_NAMES, SCALE_NAMES, TRANSFER_NAMES

# FFmpeg's command line calls these two by the systems that have them.
RENAMED = {"gamma22": "bt470m", "gamma28": "bt470bg"}


def known(filter_name: str, option: str) -> dict[str, int]:
    """The values of an option of a filter, by name."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-h", f"filter={filter_name}"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    (block,) = re.findall(rf"^   {option} .*\n((?:     .*\n)+)", text, flags=re.MULTILINE)
    return {name: int(number) for name, number in re.findall(r"^     (\S+) +(-?\d+) ", block, flags=re.MULTILINE)}


@pytest.mark.parametrize(
    ("filter_name", "option", "names"),
    [
        ("setparams", "colorspace", MATRIX_NAMES),
        ("setparams", "range", RANGE_NAMES),
        ("setparams", "color_trc", TRANSFER_NAMES),
        ("setparams", "color_primaries", PRIMARIES_NAMES),
        ("scale", "out_range", RANGE_NAMES),
    ],
)
def test_names_and_numbers_are_those_of_ffmpeg(filter_name: str, option: str, names: Mapping[int, str]) -> None:
    numbers = known(filter_name, option)
    assert {number: numbers[RENAMED.get(name, name)] for number, name in names.items()} == {number: number for number in names}


def test_the_scale_filter_has_one_number_for_the_matrices_of_bt601() -> None:
    numbers = known("scale", "out_color_matrix")
    assert {number: numbers[name] for number, name in SCALE_NAMES.items()} == {1: 1, 5: 5, 6: 5, 7: 7, 9: 9}
