"""What all workers of the engine have in common."""

import ast
from pathlib import Path

import reelmill_server
from reelmill_server import engine


def test_workers_name_the_version() -> None:
    """Without a build ID, Temporal's SDK loads and hashes the code of all modules as each process starts."""
    folder = Path(engine.__file__).parent
    calls = [
        (path.name, call)
        for path in sorted(folder.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Worker"
    ]
    given = [(name, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}) for name, call in calls]
    assert len(given) >= 6 and not [name for name, keywords in given if keywords.get("build_id") != "BUILD_ID"]
    assert reelmill_server.__version__ in engine.BUILD_ID
