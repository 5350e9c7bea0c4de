"""What is about to be placed, as the engine is told."""

import uuid

from reelmill_server.engine.pending_files import pack, unpack
from reelmill_server.model.publication import PendingFile


def test_many_files_come_through_in_messages_that_the_engine_takes() -> None:
    """A ladder of days: the engine warns of messages of 256 KiB."""
    folder = "s3://a-bucket-of-somebody/films/2026/a%20film%20with%20a%20long%20name/renditions"
    files = [
        PendingFile(f"{folder}/{height}p/segment-{number:06}.m4s", uuid.uuid4().hex)
        for height in (360, 1080)
        for number in range(6000)
    ]
    packed = list(pack(files))
    assert [file for part in packed for file in unpack(part)] == files
    assert len(packed) == 3 and max(map(len, packed)) < 200_000
    assert list(pack([])) == []
