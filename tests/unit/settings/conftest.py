"""No setting comes from the developer's own environment."""

import os

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of settings."""
    for name in [name for name in os.environ if name.upper().startswith("REELMILL_")]:
        monkeypatch.delenv(name)
