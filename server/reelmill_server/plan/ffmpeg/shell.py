"""Quote arguments for a shell, whatever is in them."""

import shlex
from collections.abc import Iterable

_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\", "'": r"\'"}


def quoted(argument: str) -> str:
    """Return `argument` as one word of a shell's command line.

    What cannot be seen is escaped in `$'…'` (bash, zsh, ksh, POSIX since 2024), so that a name neither breaks a line nor
    moves the cursor of the terminal that shows it.
    """
    if all(character.isprintable() for character in argument):
        return shlex.quote(argument)
    return f"$'{''.join(map(_escaped, argument))}'"


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="replace"))


def line(arguments: Iterable[str]) -> str:
    """Return the command line of `arguments`."""
    return " ".join(map(quoted, arguments))
