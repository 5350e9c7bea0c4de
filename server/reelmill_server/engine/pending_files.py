"""Pack the files that attempts are about to publish into messages that the engine takes."""

import base64
import json
import zlib
from collections.abc import Iterator, Sequence

from reelmill_server.model.publication import PendingFile

_FILES = 5000
"""Files per message. With names of a hundred characters they take 130 kB; the engine warns above 256 kB, refuses 2048 kB."""


def pack(files: Sequence[PendingFile]) -> Iterator[str]:
    """Pack files into as few messages as possible: their names are much alike, so that marks are most of what is left."""
    for begin in range(0, len(files), _FILES):
        listed = [(file.uri, file.mark) for file in files[begin : begin + _FILES]]
        yield base64.b85encode(zlib.compress(json.dumps(listed).encode(), 9)).decode()


def unpack(packed: str) -> list[PendingFile]:
    """Return the files of one message that `pack` made."""
    return [PendingFile(uri, mark) for uri, mark in json.loads(zlib.decompress(base64.b85decode(packed)))]
