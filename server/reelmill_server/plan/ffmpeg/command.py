"""Put together the ffmpeg command line that would do what a plan says."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.units import Split
from reelmill_server.plan.ffmpeg import shell
from reelmill_server.plan.ffmpeg.audio import loudness_note
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.images import image_groups
from reelmill_server.plan.ffmpeg.packages import container_options, described_by, note_groups
from reelmill_server.plan.ffmpeg.streams import begins_early, stream_groups
from reelmill_server.plan.ladder import open_ladders


@dataclass(frozen=True)
class FfmpegCommand:
    """A command as groups of arguments that belong together, program name first; `notes` say how it differs from the
    service."""

    groups: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return all arguments, unquoted."""
        return tuple(argument for group in self.groups for argument in group)

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the groups, quoted for a shell; joined with spaces they are the command line."""
        return tuple(map(shell.line, self.groups))


def ffmpeg_command(
    request: ConvertRequest, plan: Plan, infos: Sequence[MediaInfo] = (), split: Split | None = None
) -> FfmpegCommand:
    """Return the command that makes all outputs of `plan`.

    `infos` are of the sources of `request`, in their order; without them, ffmpeg is left to find out what only they tell.
    `split`: how the encode is cut into chunks.
    """
    draft = Draft(request, plan, infos)
    outputs = [
        (target, tuple(stream_groups(draft, target)), container_options(draft, target, begins_early(draft, target)))
        for target in plan.targets
    ]
    for target in plan.targets:
        if target.keep_metadata:
            draft.inputs.any_of(target.described_by)
    pictures = [group for image in plan.images for group in image_groups(draft, image)]
    groups: list[tuple[str, ...]] = []
    for target, streams, container in outputs:
        if streams:
            described = described_by(draft, target)
            groups += [*streams, (*described, *container)]
    note_groups(draft, plan)
    _note_differences(draft, plan, split.chunks if split else 0)
    graph = (("-filter_complex", draft.graph.text),) if draft.graph.text else ()
    return FfmpegCommand((("ffmpeg", *_device(plan)), *draft.inputs.groups, *graph, *groups, *pictures), draft.notes.texts)


def _encoded(plan: Plan) -> list[StreamPlan]:
    return [stream for target in plan.targets for stream in target.streams if stream.video]


def _device(plan: Plan) -> tuple[str, ...]:
    """Return the options that open the device of encoders that do not take frames from memory."""
    vaapi = any(stream.device == "vaapi" for stream in _encoded(plan))
    return ("-init_hw_device", "vaapi=gpu", "-filter_hw_device", "gpu") if vaapi else ()


def _note_differences(draft: Draft, plan: Plan, chunks: int) -> None:
    if any(stream.measured for stream in _encoded(plan)):
        draft.notes.add("VMAF is not measured: ffmpeg can only compare the finished file with its source")
    if any(stream.quality and stream.quality.crf is None for stream in _encoded(plan)):
        draft.notes.add("the CRF is a placeholder: the service searches the one for the quality target")
    if open_ladders(plan):
        draft.notes.add("sizes and CRFs of the ladder are placeholders: the service chooses its rungs")
    if any(stream.passes > 1 for stream in _encoded(plan)):
        draft.notes.add("one pass: for two, run it with `-pass 1 -f null` for the video alone, then with `-pass 2`")
    for target in plan.targets:
        for stream in target.streams:
            if stream.loudness:
                draft.notes.add(loudness_note(stream.loudness))
    if chunks > 1:
        draft.notes.add(f"ffmpeg encodes in one piece what the service cuts into {chunks} chunks")
