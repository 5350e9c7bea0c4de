"""Writes the tables of settings in docs/operating.md from the groups of settings: python -m docs.write_settings."""

from pathlib import Path

from reelmill_server.settings import GROUPS
from reelmill_server.settings.reference import SETTINGS, Setting

PAGE = Path(__file__).resolve().parent / "operating.md"
_BEGIN = "<!-- Written by `make settings`: change descriptions in server/reelmill_server/settings. -->\n"
_END = "<!-- End of the settings. -->\n"


def written(page: str) -> str:
    """Return the page with its tables as they should be."""
    before, _, rest = page.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n{_tables()}{_END}{after}"


def _tables() -> str:
    lines = []
    for group in GROUPS:
        rows = [_row(setting) for setting in SETTINGS.values() if setting.group is group]
        lines += [f"### {group.title}", "", "| variable | default | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(lines) + "\n"


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    meaning = f"{setting.description} No flag." if setting.is_secret else setting.description
    return f"| `{setting.variable}` | {default} | {meaning.replace('|', chr(92) + '|').replace('*', chr(92) + '*')} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
