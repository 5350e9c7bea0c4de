"""Tell of languages that no output gets, as they are not the code of one."""

from collections.abc import Iterator, Sequence

from reelmill_server.model.plan import TargetPlan
from reelmill_server.plan.inputs import Inputs

_SHOWN_LENGTH = 40  # of a tag, which can be as long as its file


def dropped_languages(inputs: Inputs, targets: Sequence[TargetPlan]) -> Iterator[str]:
    """Yield a warning for each stream that `targets` use and whose language is neither ISO 639 nor BCP 47."""
    by_number = {item.number: item for item in (*inputs.main, *inputs.attached)}
    parts = (part for target in targets for stream in target.streams for part in stream.parts)
    for number, index in sorted({(part.input, part.stream) for part in parts if part.file is None and part.stream >= 0}):
        item, info = by_number[number], by_number[number].info
        stream = next(
            candidate for candidate in (*info.video, *info.audio, *info.subtitles, *info.data) if candidate.index == index
        )
        tag = stream.metadata.get("language", "")
        if tag and not stream.language:
            text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in tag[:_SHOWN_LENGTH])
            yield (
                f"sources[{item.source_number}]: the language of stream {index}, {text!r}, is not a code of ISO 639 or BCP 47 "
                "such as eng: left out"
            )
