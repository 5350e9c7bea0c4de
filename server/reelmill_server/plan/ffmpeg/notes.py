"""Collect what a command does otherwise than the service."""


class Notes:
    """Sentences for whoever reads the command, each once, in the order in which they were added."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Add a sentence, without the full stop."""
        self._texts[text] = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All sentences."""
        return tuple(self._texts)
