"""Convert: one decode of the sources feeds every target and image of a plan."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.chunk_file import ChunkFile
from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.image.output import ImageOutput
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import MediaFile, Output
from reelmill_server.media.output.file import FileOutput, SideInputs
from reelmill_server.media.track.cover_art import CoverInputs
from reelmill_server.media.track.joined import IMAGES, JoinedChunks, decoding_of
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, TargetPlan
from reelmill_server.plan.output.images import image_folder
from reelmill_server.plan.output.packaging import output_path


class Conversion:
    """One conversion of a whole plan."""

    def __init__(
        self,
        plan: Plan,
        places: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        subtitle_locations: Sequence[Sequence[Location]] = (),
        watermark_locations: Mapping[str, Location] | None = None,
        premade: JoinedChunks | None = None,
    ) -> None:
        """`places` follow the sources of the request, `subtitle_locations` say where the subtitle files of each lie, and
        `watermark_locations` where the files of watermarks do, by URI. `premade`: what chunks have made of the plan."""
        self._beside = SideInputs(
            SubtitleInputs(plan.inputs, places, subtitle_locations, limits),
            CoverInputs(plan.inputs, places, limits),
            watermark_locations or {},
        )
        self._plan, self._directory, self._limits, self._premade = plan, directory, limits, premade
        self._places = [places[entry.source] for entry in plan.inputs]
        self._packs: Mapping[tuple[int, int], Sequence[ChunkFile]] = {}
        self._files: list[FileOutput] = []
        self._images: list[ImageOutput] = []
        self._run = Run(plan, self._places, limits, stop, Scope())

    @property
    def outputs(self) -> Sequence[Output]:
        """What is written now, for progress."""
        return self._run.outputs

    @property
    def expected_seconds(self) -> float:
        """How long the inputs that follow each other will be together, as far as it can be told now; 0: not at all."""
        return self._run.expected_seconds

    @property
    def images(self) -> list[Sequence[WrittenImage]]:
        """The files of each image entry, once `run` has returned."""
        return [output.files for output in self._images]

    def run(self) -> tuple[list[MediaFile], list[str]]:
        """Write every target below the directory; return the media files, unverified, and what the user should know.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        warnings = [*self._run.write(self._open_outputs), *self._run.judge()]
        return [output.produced() for output in self._files], warnings

    def _open_outputs(self, sources: Sequence[InputContainer]) -> Iterator[Output]:
        if self._premade:
            self._packs = self._premade.all_packs(self._plan)
            self._run.decoding.merge(decoding_of(self._packs.values()).streams)
            self._run.decoding.check()  # before anything is joined in vain
        for slot, target in enumerate(self._plan.targets):
            self._files.append(self._open_file(slot, target, sources))
            yield self._files[-1]
        for slot, image in enumerate(self._plan.images):
            self._images.append(self._open_image(slot, image))
            yield self._images[-1]

    def _open_file(self, slot: int, plan: TargetPlan, sources: Sequence[InputContainer]) -> FileOutput:
        path = str(self._directory / output_path(slot, plan))
        packs = {number: packs for (place, number), packs in self._packs.items() if place == slot and number >= 0}
        return FileOutput(plan, self._plan, path, sources, self._beside, self._limits, self._run.stop, packs)

    def _open_image(self, slot: int, plan: ImagePlan) -> ImageOutput:
        folder = self._directory / image_folder(slot)
        packs = self._packs.get((slot, IMAGES), ())
        return ImageOutput(plan, self._plan, folder, self._places, self._limits, self._run.stop, packs)
