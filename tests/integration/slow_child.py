"""A child whose encodes last, on any machine, and cost it nothing."""

import time
from collections.abc import Iterator
from typing import Any

from reelmill_server.worker.child import previews
from reelmill_server.worker.child.main import main


def enter_slowly(frame_seconds: float, *arguments: Any) -> None:
    """Do what a child's `main` does, with at least `frame_seconds` for each frame and the first preview at once."""
    from reelmill_server.media.track.frame_encoder import FrameEncoder

    encode = FrameEncoder.encode

    def wait_and_encode(encoder: FrameEncoder, frame: Any) -> Iterator[Any]:
        time.sleep(frame_seconds)
        yield from encode(encoder, frame)

    FrameEncoder.encode = wait_and_encode  # type: ignore[method-assign]
    previews.FIRST_SECONDS = 0.0
    main(*arguments)
