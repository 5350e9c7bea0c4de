"""A child whose encodes last until they are stopped, on any machine, and cost it nothing."""

import time
from collections.abc import Iterator
from typing import Any

from reelmill_server.worker.child import previews
from reelmill_server.worker.child.main import main

_FRAME_SECONDS = 0.2


def enter_slowly(*arguments: Any) -> None:
    """Do what a child's `main` does, with five frames a second and the first preview at once."""
    from reelmill_server.media.track.frame_encoder import FrameEncoder

    encode = FrameEncoder.encode

    def wait_and_encode(encoder: FrameEncoder, frame: Any) -> Iterator[Any]:
        time.sleep(_FRAME_SECONDS)
        yield from encode(encoder, frame)

    FrameEncoder.encode = wait_and_encode  # type: ignore[method-assign]
    previews.FIRST_SECONDS = 0.0
    main(*arguments)
