"""Files that appear together: what is told, and what is undone, when something fails."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reelmill_server.errors import OutputError
from reelmill_server.model.publication import PendingFile
from reelmill_server.storage.base import Check, StagedFile, Upload, no_check
from reelmill_server.storage.publication import publish
from reelmill_server.worker.parent.early_upload import uploading_early

UPLOADS = [Upload(Path(name), f"file:///{name}") for name in ("1.ts", "2.ts", "list.m3u8")]


@dataclass
class File:
    """A staged file; the list cannot be placed, and the first file cannot be undone."""

    uri: str
    undone: list[str]
    mark: str = "mark"

    async def publish(self, check: Check = no_check) -> None:
        """Fail for the list."""
        if self.uri.endswith("list.m3u8"):
            raise OutputError("the disk is full")

    async def roll_back(self, published: bool = True) -> None:
        """Fail for the first file."""
        if self.uri.endswith("1.ts"):
            raise ValueError("a defect of a library")
        self.undone.append(f"{self.uri} {published}")


@dataclass
class Doubt:
    """A guard that may not know whether files may be removed."""

    error: Exception | None = None
    announced: list[PendingFile] = field(default_factory=list)

    async def announce(self, files: list[PendingFile]) -> None:
        """Remember them."""
        self.announced += files

    async def check(self) -> None:
        """Never object."""

    async def may_remove(self) -> bool:
        """Fail as the test says."""
        if self.error:
            raise self.error
        return True


@pytest.mark.parametrize(("error", "removed"), [(None, True), (RuntimeError("the engine answered nonsense"), False)])
async def test_the_first_error_is_told_whatever_the_roll_back_meets(error: Exception | None, removed: bool) -> None:
    """All other files are undone; what was placed stays where it is not known whether it may go."""
    undone: list[str] = []

    async def stage(upload: Upload, owner: str) -> StagedFile:
        return File(upload.uri, undone)

    with pytest.raises(OutputError, match="disk is full"):
        await publish(stage, UPLOADS, "task.one", Doubt(error))  # type: ignore[arg-type]
    assert sorted(undone) == [f"file:///2.ts {removed}", f"file:///list.m3u8 {removed}"]


async def test_the_first_error_of_an_attempt_is_told_whatever_its_uploads_meet(tmp_path: Path) -> None:
    """What was sent early is undone as well."""
    undone: list[str] = []
    files = [Upload(tmp_path / name, f"file:///{name}") for name in ("1.ts", "2.ts")]

    class Store:
        async def stage(self, upload: Upload, owner: str) -> StagedFile:
            return File(upload.uri, undone)

    with pytest.raises(OutputError, match="broken"):
        async with uploading_early(Store(), "task.one") as early_upload:  # type: ignore[arg-type]
            for upload in files:
                upload.path.touch()
                early_upload.begin(upload)
                await early_upload._uploads[upload.path].staging
            raise OutputError("broken")
    assert undone == ["file:///2.ts True"]
