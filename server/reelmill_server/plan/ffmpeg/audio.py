"""Write encoded audio as filters: resampled to the output's clock, cut, joined and mixed."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from reelmill_server.model.loudness import LoudnessPlan
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.filters import Chain
from reelmill_server.plan.ffmpeg.lengths import Count
from reelmill_server.plan.stream.audio import mixing, mixing_gain, resampling


def audio_chain(draft: Draft, stream: StreamPlan, early: bool) -> Chain:
    """Return the filters that make the samples of `stream`; `early`: start at the key frame before the span."""
    assert stream.audio
    numbers = sorted({part.line for part in stream.parts})
    lines = [_line(draft, stream, [part for part in stream.parts if part.line == number], early) for number in numbers]
    if len(lines) == 1:
        return lines[0].then(*_encodable(stream))
    if stream.ducking:
        draft.notes.add("the music is not lowered under the voice: `sidechaincompress` does so, by a copy of the voice")
    gain = f"volume={mixing_gain(len(lines))}"
    pads = tuple(draft.graph.close(line.then(gain), "anull") for line in lines)
    return Chain(pads, (*mixing(stream.audio, len(lines)), *_encodable(stream)))


def _encodable(stream: StreamPlan) -> tuple[str, ...]:
    """Return the filter that brings audio from its working format to the encoder's, where they differ."""
    assert stream.audio
    layout = f"channel_layouts={stream.audio.layout}"
    return (f"aformat=sample_fmts={stream.audio.sample_format}:{layout}",) if stream.loudness else ()


def loudness_note(plan: LoudnessPlan) -> str:
    """Return what to do by hand about loudness."""
    if not plan.normalizes:
        return "the loudness is not measured: `-af ebur128=peak=true -f null -` prints it"
    level = f"{plan.asked.integrated:g} LUFS"
    return f"the audio keeps its loudness: for {level}, run `-af ebur128=peak=true -f null -`, and add volume by the difference"


def _line(draft: Draft, stream: StreamPlan, parts: Sequence[PartPlan], early: bool) -> Chain:
    assert stream.audio
    rate = Fraction(stream.audio.sample_rate)
    counts = draft.lengths.counts(stream, parts, rate) if stream.counted else (None,) * len(parts)
    chains = [_part(draft, stream, part, count, early) for part, count in zip(parts, counts, strict=True)]
    return draft.concatenated(chains, "audio")


def _part(draft: Draft, stream: StreamPlan, part: PartPlan, count: Count | None, early: bool) -> Chain:
    assert stream.audio
    if part.stream < 0:
        return draft.generated(part, _silence(stream.audio), f"atrim=end_sample={count.whole}" if count else "")
    pad = draft.inputs.pad(part, early=early)
    begin = ":first_pts=0" if stream.counted else ""  # what is counted has silence where its audio begins late
    ending = draft.inputs.ending(part.input) if early else ""
    cut = (f"atrim={ending}",) if ending else ()
    chain = Chain((pad,), (f"{resampling(stream.audio.sample_rate)}{begin}", *cut, *part.filters))
    return chain.then(*_filled(draft, part, count)) if stream.counted else chain


def _silence(audio: AudioOutput) -> tuple[str, ...]:
    layout = f"sample_rate={audio.sample_rate}:channel_layout={audio.layout}"
    return f"anullsrc={layout}", f"aformat=sample_fmts={audio.sample_format}"


def _filled(draft: Draft, part: PartPlan, count: Count | None) -> Iterator[str]:
    """Yield filters that give a part exactly its samples; an aligned one is filled up."""
    if count is None:
        draft.unknown_length(part.input)
        return
    yield from (f"atrim=end_sample={count.own}", f"apad=whole_len={count.own}")
    if count.whole == count.own:
        return
    if draft.plan.inputs[part.input].align is AlignMode.LOOP:
        yield from (f"aloop=loop=-1:size={count.own}", f"atrim=end_sample={count.whole}")
    else:
        yield f"apad=whole_len={count.whole}"
