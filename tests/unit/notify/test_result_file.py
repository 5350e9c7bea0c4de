"""The file of a result, written by a worker."""

from pathlib import Path

from reelmill_server.engine.notification import FileActivities
from reelmill_server.model.notification import Failure
from reelmill_server.model.request import Credentials
from reelmill_server.storage.file import FileStorage
from reelmill_server.storage.registry import Registry


async def test_a_result_is_written_whole_or_the_reason_told(tmp_path: Path) -> None:
    """Over what was there; outside the roots, or below a file, is hopeless."""
    files = FileActivities(Registry({"file": FileStorage([tmp_path])}))
    place = tmp_path / "new" / "result.json"
    for text in ("first", "zweite ü"):
        assert await files.write(place.as_uri(), text, "task", Credentials()) is None
        assert place.read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "result.json"]
    outside = await files.write("file:///elsewhere/result.json", "", "task", Credentials())
    assert outside is not None and not outside.retryable and outside.message.startswith("AccessDenied")
    (tmp_path / "taken").write_text("")
    taken = await files.write((tmp_path / "taken" / "result.json").as_uri(), "", "task", Credentials())
    assert isinstance(taken, Failure) and not taken.retryable and taken.message.startswith("AccessDenied")
