"""Build the overlays of a stream from its plan, and run them in order."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from av import VideoFrame

from reelmill_server.media.input.source import Location
from reelmill_server.media.overlay.base import Overlay, TimedOverlay
from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_plan import BlurPlan, DelogoPlan, PicturePlan, TextPlan
from reelmill_server.model.plan import StreamPlan, VideoOutput


class Overlays:
    """The overlays of one stream, in order."""

    def __init__(self, steps: Sequence[Overlay] = ()) -> None:
        self._steps = steps

    def __bool__(self) -> bool:
        return bool(self._steps)

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames that have passed all overlays once `frame` went in."""
        yield from self._through(0, frame)

    def flush(self) -> Iterator[VideoFrame]:
        """Yield all frames that were held back."""
        for number, step in enumerate(self._steps):
            for frame in step.flush():
                yield from self._through(number + 1, frame)

    def _through(self, number: int, frame: VideoFrame) -> Iterator[VideoFrame]:
        if number == len(self._steps):
            yield frame
            return
        for passed in self._steps[number].push(frame):
            yield from self._through(number + 1, passed)


def make_overlays(plan: StreamPlan, files: Mapping[str, Location], limits: Limits, note: Callable[[str], None]) -> Overlays:
    """Build the overlays of an encoded video stream. `files`: locations by URI; `note` takes warnings for the user."""
    assert plan.video
    steps: list[Overlay] = []
    for overlay in plan.overlays:
        if isinstance(overlay, BlurPlan):
            steps.append(_privacy(overlay, plan.video))
            continue
        draw = _drawing(overlay, plan.video, files, limits, note)
        steps.append(TimedOverlay(overlay.begin_us, overlay.end_us, draw))
    return Overlays(steps)


def _privacy(plan: BlurPlan, video: VideoOutput) -> Overlay:
    from reelmill_server.media.overlay.privacy.overlay import Privacy

    return Privacy.of(plan.spec, video)


def _drawing(
    plan: DelogoPlan | TextPlan | PicturePlan,
    video: VideoOutput,
    files: Mapping[str, Location],
    limits: Limits,
    note: Callable[[str], None],
) -> Callable[[VideoFrame], None]:
    # Imported here: most conversions have no overlays, and should not wait for numpy, Pillow and fonts to load.
    if isinstance(plan, DelogoPlan):
        from reelmill_server.media.overlay.delogo import Delogo

        return Delogo(plan.box, video).draw
    from reelmill_server.media.overlay.watermark import PictureWatermark, text_bitmap

    if isinstance(plan, TextPlan):
        return text_bitmap(plan, video, note).draw
    return PictureWatermark(plan, video, files[plan.uri], limits).draw
