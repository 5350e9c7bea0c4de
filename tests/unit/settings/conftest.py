"""No setting comes from the developer's own environment."""

import os
from collections.abc import Callable

import pytest

from reelmill_server.settings.command_line import parse_command_line


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of settings."""
    for name in [name for name in os.environ if name.upper().startswith("REELMILL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Parse arguments that are wrong; return the lines on standard error."""

    def parse(*argv: str) -> list[str]:
        with pytest.raises(SystemExit) as exit_:
            parse_command_line(argv)
        assert exit_.value.code == 2
        return capsys.readouterr().err.splitlines()

    return parse
