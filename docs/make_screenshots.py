"""Makes the moving picture of the README: what a terminal shows during `make run`.

python docs/make_screenshots.py [FILE]

Runs the program in a terminal of 80 columns, reads its screen as a terminal emulator does, and draws it. Longer waits than
`_LONGEST_MS` are cut to that.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
_COMMAND = [sys.executable, "examples/quickstart.py", "run"]
_SHOWN = "$ make run"  # what a user types for that
_COLUMNS, _LINES = 80, 22
_FRAME_SECONDS = 0.2
_LONGEST_MS, _LAST_MS = 1000, 5000
_FONTS = [Path("/usr/share/fonts/truetype/dejavu") / f"DejaVuSansMono{style}.ttf" for style in ("", "-Bold")]
_SIZE = 15
_PAPER, _INK = "#16181d", "#d6d8de"
# pyte's names of the first eight colors; the bright ones are drawn alike.
_COLORS = {
    "default": _INK,
    "black": "#5c6370",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": _INK,
}


def main() -> None:
    """Record the program and write the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "run.gif"
    frames, lengths = [], []
    for screen, milliseconds in _merged(_screens()):
        frames.append(draw(screen))
        lengths.append(min(milliseconds, _LONGEST_MS))
    lengths[-1] = _LAST_MS
    first, *rest = (frame.quantize(24, dither=Image.Dither.NONE) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=lengths, loop=0, optimize=True)
    print(f"{path}: {len(frames)} frames, {sum(lengths) / 1000:.0f} s, {path.stat().st_size >> 10} KiB")


Screen = tuple[tuple[tuple[str, str, bool], ...], ...]
"""A character, its color and whether it is bold, by line and column."""


def _screens() -> Iterator[tuple[Screen, int]]:
    """Yield what the terminal shows and for how many milliseconds, until the program ends. Exits if that fails."""
    terminal = pyte.Screen(_COLUMNS, _LINES)
    stream = pyte.ByteStream(terminal)
    stream.feed(f"{_SHOWN}\r\n".encode())
    yield _seen(terminal), 1000
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", _LINES, _COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_COLUMNS), "LINES": str(_LINES)}
    with subprocess.Popen(
        _COMMAND, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as program:
        os.close(theirs)
        shown = time.monotonic()
        while _feed(stream, ours):
            if time.monotonic() - shown >= _FRAME_SECONDS:
                yield _seen(terminal), round(1000 * (time.monotonic() - shown))
                shown = time.monotonic()
    yield _seen(terminal), _LAST_MS
    if program.returncode:
        sys.exit(f"{' '.join(_COMMAND)} failed:\n" + "\n".join(terminal.display))


def _feed(stream: pyte.ByteStream, terminal: int) -> bool:
    """Pass on what the program writes within a frame; return whether it still runs."""
    if not select.select([terminal], [], [], _FRAME_SECONDS)[0]:
        return True
    try:
        written = os.read(terminal, 65536)
    except OSError:  # the program has ended (EIO)
        return False
    stream.feed(written)
    return bool(written)


def _seen(terminal: pyte.Screen) -> Screen:
    return tuple(
        tuple((cell.data, cell.fg, cell.bold) for cell in (terminal.buffer[line][column] for column in range(_COLUMNS)))
        for line in range(_LINES)
    )


def _merged(screens: Iterator[tuple[Screen, int]]) -> Iterator[tuple[Screen, int]]:
    """Yield each picture once, with the time for which it stays."""
    last, total = next(screens)
    for screen, milliseconds in screens:
        if screen != last:
            yield last, total
            last, total = screen, 0
        total += milliseconds
    yield last, total


def draw(screen: Screen) -> Image.Image:
    """Return a picture of the terminal."""
    plain, bold = (ImageFont.truetype(str(path), _SIZE) for path in _FONTS)
    width, height = round(plain.getlength("M")), round(_SIZE * 1.3)
    picture = Image.new("RGB", ((_COLUMNS + 2) * width, (_LINES + 1) * height), _PAPER)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(screen):
        for column, (text, color, heavy) in enumerate(line):
            if text.strip():
                ink = _COLORS.get(color.removeprefix("bright"), f"#{color}" if len(color) == 6 else _INK)
                place = ((column + 1) * width, number * height + height // 2)
                pen.text(place, text, fill=ink, font=bold if heavy else plain)
    return picture


if __name__ == "__main__":
    main()
