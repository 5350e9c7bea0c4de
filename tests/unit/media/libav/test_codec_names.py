"""Names of codecs are read where it is known that a decoder may have lost its own."""

import ast
from pathlib import Path

import reelmill_server.media

_MEDIA = Path(reelmill_server.media.__file__).parent
_CONTEXTS = ("context", "codec_context")


def test_names_of_contexts_are_read_in_one_place() -> None:
    """PyAV 19 ends the process for those of a decoder that could not be opened."""
    readers = {path.relative_to(_MEDIA).as_posix() for path in _MEDIA.rglob("*.py") if any(map(_reads, _nodes(path)))}
    assert readers == {"libav/codec_names.py"}


def _nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text()))]


def _reads(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute) or node.attr not in ("name", "codec"):
        return False
    holder = node.value
    return (holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", "")) in _CONTEXTS
