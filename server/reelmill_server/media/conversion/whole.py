"""Convert a whole plan: one decode of the sources feeds every target and image."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.chunk_file import IMAGES, ChunkFile
from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.conversion.first_pass import Passes
from reelmill_server.media.image.output import ImageOutput
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.source import Location
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.libav.freeing import wait_for_freed
from reelmill_server.media.output.base import MediaFile, Output
from reelmill_server.media.output.file import FileOutput, FinalBytes, SideInputs
from reelmill_server.media.track.cover_art import CoverInputs
from reelmill_server.media.track.joined import JoinedChunks, decoding_of
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, TargetPlan
from reelmill_server.plan.output.image_files import image_folder
from reelmill_server.plan.output.package_files import output_path
from reelmill_server.plan.passes import has_first_pass, second_pass, statistics_files


class Conversion:
    """Convert a whole plan."""

    def __init__(
        self,
        plan: Plan,
        locations: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        subtitle_locations: Sequence[Sequence[Location]] = (),
        watermark_locations: Mapping[str, Location] | None = None,
        joined: JoinedChunks | None = None,
        final: FinalBytes = lambda path, size, whole: None,
    ) -> None:
        """Prepare a conversion; nothing is opened yet.

        `locations` follow the sources of the request, `subtitle_locations` are those of each source's subtitle files, and
        `watermark_locations` those of watermark files, by URI. `joined`: what chunks have encoded of the plan. `final`
        is told how much of a file will stay as it is, as by FileOutput.
        """
        self._side_inputs = SideInputs(
            SubtitleInputs(plan.inputs, locations, subtitle_locations, limits),
            CoverInputs(plan.inputs, locations, limits),
            watermark_locations or {},
        )
        self._plan, self._directory, self._limits, self._joined_chunks = plan, directory, limits, joined
        self._final = final
        self._locations = [locations[entry.source] for entry in plan.inputs]
        # What chunks have encoded had its first pass there.
        twice = has_first_pass(plan) and joined is None
        self._passes = (
            Passes(plan, self._locations, directory, side_inputs=self._side_inputs, limits=limits, stop=stop) if twice else None
        )
        self._chunk_files: Mapping[tuple[int, int], Sequence[ChunkFile]] = {}
        self._files: list[FileOutput] = []
        self._images: list[ImageOutput] = []
        self._run = Run(plan, self._locations, limits, stop, Scope())

    @property
    def _running(self) -> Run:
        return (self._passes.running if self._passes else None) or self._run

    @property
    def outputs(self) -> Sequence[Output]:
        """Return the outputs being written, for progress."""
        return self._running.outputs

    @property
    def shares(self) -> tuple[float, float]:
        """Return the shares of the conversion that are done when the running pass begins and when it ends."""
        if self._passes is None:
            return 0.0, 1.0
        share = self._passes.share
        return (0.0, share) if self._passes.running else (share, 1.0)

    @property
    def expected_seconds(self) -> float:
        """Return how long the concatenated inputs will be together, as far as is known so far; 0: unknown."""
        return self._running.expected_seconds

    @property
    def images(self) -> list[Sequence[WrittenImage]]:
        """Return the files of each image entry, once `run` has returned."""
        return [output.files for output in self._images]

    def run(self) -> tuple[list[MediaFile], list[str]]:
        """Write every target below the directory; return the media files, not yet verified, and warnings for the user.

        Raises EncoderDown when an encoder fails, Stopped when asked to stop, and InvalidMedia, MediaLimitExceeded or
        OutputError as they happen.
        """
        if self._passes is not None:
            self._plan = self._passes.run()  # the conversion warns
            for path in statistics_files(self._plan, self._directory):
                wait_for_freed(path)
        warnings = [*self._run.write(self._open_outputs), *self._run.judge()]
        files = [output.produced(self._run.accountant) for output in self._files]
        return files, [*warnings, *(text for file in files for text in _mostly_silent(file))]

    def _open_outputs(self, sources: Sequence[InputContainer]) -> Iterator[Output]:
        if self._joined_chunks:
            self._chunk_files = self._joined_chunks.all_chunk_files(self._plan)
            self._run.decoding.merge(decoding_of(self._chunk_files.values()).streams)
            self._run.decoding.check()  # fail before joining anything
        for slot, target in enumerate(second_pass(self._plan, self._directory).targets):
            self._files.append(self._open_file(slot, target, sources))
            yield self._files[-1]
        for slot, image in enumerate(self._plan.images):
            self._images.append(self._open_image(slot, image, sources))
            yield self._images[-1]

    def _open_file(self, slot: int, plan: TargetPlan, sources: Sequence[InputContainer]) -> FileOutput:
        path = str(self._directory / output_path(slot, plan))
        chunk_files = {
            number: chunk_files for (target, number), chunk_files in self._chunk_files.items() if target == slot and number >= 0
        }
        try:
            return FileOutput(
                plan,
                self._plan,
                path,
                sources=sources,
                side_inputs=self._side_inputs,
                limits=self._limits,
                stop=self._run.stop,
                chunk_files=chunk_files,
                final=self._final,
            )
        except EncoderDown as error:
            error.target = plan.index
            raise

    def _open_image(self, slot: int, plan: ImagePlan, sources: Sequence[InputContainer]) -> ImageOutput:
        folder = self._directory / image_folder(slot)
        alone = not self._plan.targets and len(self._plan.images) == 1
        chunk_files = self._chunk_files.get((slot, IMAGES), ())
        return ImageOutput(
            plan,
            self._plan,
            folder,
            locations=self._locations,
            limits=self._limits,
            stop=self._run.stop,
            sources=sources if alone else (),
            chunk_files=chunk_files,
        )


def _mostly_silent(file: MediaFile) -> Iterator[str]:
    """Yield a warning for audio with more gaps than sound: its recording may have pauses, or wrong times."""
    for planned, given in zip(file.plan.streams, file.given, strict=True):
        if not planned.audio or planned.counted or given is None or len(planned.parts) > 1:
            continue
        length = given.last - max(given.first, Fraction(0))
        if length > 2 * given.covered:
            silent = f"{float(length - given.covered):.1f} of {float(length):.1f} s of the audio are silence"
            yield f"{file.plan.field}: {silent}, where the source has none by its times"
