"""Checks that every relative link and anchor in the Markdown files leads somewhere.

python docs/check_links.py
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = (
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(_FENCE.sub("", text))
    )
    return set(headings)


def broken_links(page: Path) -> list[str]:
    """The links of `page` that lead nowhere."""
    wrong = []
    text = _FENCE.sub("", page.read_text())
    for match in _LINK.finditer(text):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            wrong.append(link)
    return wrong


def main() -> None:
    """Checks every Markdown file that git knows or could know."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    problems = [f"{name}: {link}" for name in listed.stdout.split() for link in broken_links(ROOT / name)]
    if problems:
        sys.exit("links that lead nowhere:\n  " + "\n  ".join(problems))
    print("links: ok")


if __name__ == "__main__":
    main()
