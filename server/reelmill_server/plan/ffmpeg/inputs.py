"""List the inputs of a command: a source occurs once for each way in which it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from reelmill_server.model.media_info import MediaInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import PicturePlan
from reelmill_server.model.plan import InputPlan, PartPlan, Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.plan.clock import UNTIMED_FORMATS
from reelmill_server.plan.ffmpeg.filters import decimal, seconds
from reelmill_server.plan.ffmpeg.names import Names
from reelmill_server.plan.stream.alpha import alpha_decoder

# Charsets that ffmpeg reads unasked.
_KNOWN_CHARSETS = frozenset({"", "ascii", "utf-8", "utf-8-sig", "utf-16", "utf-32"})
# Of these, ffmpeg takes the earliest stream in use for the beginning, not the earliest of all.
_MIDWAY_FORMATS = frozenset({"mpegts", "mpeg", "ogg", "m4v"})
_CONCAT = ("-f", "concat", "-safe", "0", "-protocol_whitelist", "data,file,crypto,http,https,tcp,tls")


@dataclass
class _Use:
    """Which streams of the plan's input `item` are taken; `placed`: options say where it begins on the output's clock."""

    item: int
    placed: bool
    streams: set[int] = field(default_factory=set)


class InputList:
    """The inputs of a command, numbered from 0. `infos`: of the sources, in the request's order; empty: not known."""

    def __init__(self, request: ConvertRequest, plan: Plan, infos: Sequence[MediaInfo], names: Names) -> None:
        self._request, self._inputs, self._infos, self._names = request, plan.inputs, infos, names
        self._groups: dict[tuple[str, ...], int] = {}
        self._used: dict[int, _Use] = {}

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the options of each input."""
        return tuple((*self._moved(number), *options) for options, number in self._groups.items())

    def info(self, number: int) -> MediaInfo | None:
        """Return what is in the source of the plan's input `number`."""
        return self._infos[self._inputs[number].source] if self._infos else None

    def stream(self, part: PartPlan) -> StreamInfo | None:
        """Return what is known of the stream of a part."""
        info = self.info(part.input)
        if info is None or part.file is not None:
            return None
        return next((stream for stream in _streams(info) if stream.index == part.stream), None)

    def add(self, *options: str) -> int:
        """Return the number of the input with these options, which end with its name."""
        return self._groups.setdefault(options, len(self._groups))

    def any_of(self, item: int) -> int:
        """Return the number of an input that reads the plan's input `item`, added if there is none."""
        number_used = next((number for number, use in self._used.items() if use.item == item), None)
        return self._media(item, _span(self._inputs[item], 0)) if number_used is None else number_used

    def pad(self, part: PartPlan, *options: str, later_us: int = 0, early: bool = False, whole: bool = False) -> str:
        """Return ffmpeg's name of the stream of a part, `input:stream`.

        The input is read with `options`: its span from `later_us` on, or the `whole` source. `early`: decode from
        the key frame before the span on, with times below 0; filters say where such a span ends (`ending`).
        """
        plan = self._inputs[part.input]
        span = () if whole else _early_span(plan, later_us) if early else _span(plan, later_us)
        number = self._media(part.input, span, *options)
        self._used[number].streams.add(part.stream)
        return f"{number}:{part.stream}"

    def _media(self, item: int, span: tuple[str, ...], *options: str) -> int:
        number = self.add(*options, *span, *self._reading(item), "-i", self._name(self._inputs[item]))
        self._used.setdefault(number, _Use(item, bool(span) or "-itsoffset" in options))
        return number

    def _moved(self, number: int) -> tuple[str, ...]:
        """Return the option that moves an input to where it belongs."""
        use = self._used.get(number)
        info = self.info(use.item) if use else None
        if use is None or use.placed or info is None or info.format not in _MIDWAY_FORMATS:
            return ()
        begins = [stream.start_seconds for stream in _streams(info) if stream.index in use.streams]
        first = min((begin for begin in begins if begin is not None), default=info.start_seconds)
        return ("-itsoffset", decimal(first - info.start_seconds)) if first > info.start_seconds else ()

    def ending(self, item: int, later_us: int = 0) -> str:
        """Return the option of a trim filter with which the span of the plan's input `item` ends; empty: with the source."""
        plan = self._inputs[item]
        return f"end={seconds(plan.end_us - plan.start_us - later_us)}" if plan.end_us else ""

    def joinable(self, items: Sequence[int]) -> bool:
        """Return whether `joined` can name the plan's inputs `items`: a list of files has no line breaks in names."""
        return not any("\n" in self._name(self._inputs[item]) for item in items)

    def joined(self, items: Sequence[int], *options: str) -> int:
        """Return the number of an input that concatenates the plan's inputs `items` without decoding them."""
        lines = ["ffconcat version 1.0"]
        for plan in (self._inputs[item] for item in items):
            name = self._name(plan)
            quoted = (name if "://" in name else f"file:{name}").replace("'", r"'\''")
            lines.append(f"file '{quoted}'")
            if plan.start_us:
                lines.append(f"inpoint {seconds(plan.origin_us + plan.start_us)}")
            if plan.end_us:
                lines.append(f"outpoint {seconds(plan.origin_us + plan.end_us)}")
        text = "\n".join(lines)
        return self.add(*options, *_CONCAT, "-i", f"data:text/plain,{text}\n")

    def subtitles(self, part: PartPlan, *read: str) -> int:
        """Return the number of the subtitle file of a part, read with options `read`; times count from the span."""
        assert part.file is not None
        plan, file = self._inputs[part.input], part.file
        # Its times and the span's are both counted from where the source begins.
        skipped = max(0, plan.start_us - file.offset_us)
        moved = file.offset_us - plan.start_us + skipped
        options = ("-itsoffset", seconds(moved)) if moved else ()
        span = ("-ss", seconds(skipped)) if skipped else ()
        length = plan.duration_us or max(0, plan.end_us - plan.start_us)
        ends = ("-t", seconds(length)) if length else ()
        charset = () if read_unasked(file.charset) else ("-sub_charenc", file.charset.upper().replace("_", "-"))
        spec = self._request.sources[plan.source].subtitles[file.number]
        return self.add(*read, *options, *span, *ends, *charset, "-i", self._names.source(spec.uri))

    def watermark(self, plan: PicturePlan) -> int:
        """Return the number of a watermark's file."""
        decoder = ("-c:v", plan.decoder) if plan.decoder else ()
        return self.add(*decoder, "-i", self._names.source(plan.uri))

    def _name(self, plan: InputPlan) -> str:
        return self._names.source(self._request.sources[plan.source].uri)

    def _reading(self, item: int) -> tuple[str, ...]:
        """Return the options with which a source is always read. Filters rotate frames, so ffmpeg must not."""
        info = self.info(item)
        if info is None:
            return ("-noautorotate",)
        options: tuple[str, ...] = ("-noautorotate",) if any(stream.turned for stream in info.pictures) else ()
        # Since version 7.1 ffmpeg crops by itself, as the filters do.
        options += ("-apply_cropping", "codec") if any(stream.crop for stream in info.pictures) else ()
        decoders = [alpha_decoder(stream.codec, stream.metadata) for stream in info.video]
        for number, name in enumerate(decoders):
            options += (f"-c:v:{number}", name) if name else ()
        rate = _untimed_rate(info)
        return (*options, "-r", decimal(rate)) if rate else options


def read_unasked(charset: str) -> bool:
    """Return whether ffmpeg reads text in `charset`, Python's name of it, without being told."""
    return charset in _KNOWN_CHARSETS


def _streams(info: MediaInfo) -> tuple[StreamInfo, ...]:
    return (*info.video, *info.audio, *info.subtitles, *info.data)


def _untimed_rate(info: MediaInfo) -> Fraction:
    """Return the frame rate of video without timestamps, 0 for video with them."""
    stream = next(iter(info.pictures), None)
    if info.format not in UNTIMED_FORMATS or not isinstance(stream, VideoStreamInfo):
        return Fraction(0)
    return stream.average_rate or stream.frame_rate


def _early_span(plan: InputPlan, later_us: int) -> tuple[str, ...]:
    """Return the options of a span without its length, which ffmpeg would count from the first decoded frame."""
    start_us = plan.start_us + later_us
    return ("-noaccurate_seek", "-ss", seconds(start_us)) if start_us else ()


def _span(plan: InputPlan, later_us: int) -> tuple[str, ...]:
    start_us = plan.start_us + later_us
    begin = ("-ss", seconds(start_us)) if start_us else ()
    return (*begin, "-t", seconds(plan.end_us - start_us)) if plan.end_us else begin
