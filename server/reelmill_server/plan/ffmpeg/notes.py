"""Collect what a command does otherwise than the service."""


class Notes:
    """Sentences for whoever reads the command, each once, in the order in which they were added."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Add a sentence, without the full stop. What cannot be seen in the names in it is written out: a note is one line."""
        self._texts["".join(map(_visible, text))] = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All sentences."""
        return tuple(self._texts)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
