"""Collect the differences between a command and the service."""


class Notes:
    """Sentences about a command, each once, in the order in which they were added."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Add a sentence, without the full stop; control characters are escaped, so that a note is one line."""
        self._texts["".join(map(_visible, text))] = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Return all sentences."""
        return tuple(self._texts)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
