"""A frame of those that pass by, for a thread that asks for one now and then."""

from av import VideoFrame


class FrameSample:
    """Hand the next frame that passes to whoever asked: nobody waits, and no frame is held that was not asked for."""

    def __init__(self) -> None:
        self._wanted = False
        self._frame: VideoFrame | None = None

    def ask(self) -> None:
        """Ask for the next frame."""
        self._wanted = True

    def give(self, frame: VideoFrame) -> None:
        """Offer a frame that nobody changes any more."""
        if self._wanted:
            self._wanted, self._frame = False, frame

    def take(self) -> VideoFrame | None:
        """Return the frame that came since it was asked for, once; None: none did."""
        frame, self._frame = self._frame, None
        return frame
