"""Channel layouts: the channels of each, which of an encoder's layouts holds those of a source, and how each gets there."""

import re
from collections.abc import Iterable, Mapping, Sequence

_FIVE, _SEVEN = "FL FR FC LFE BL BR", "FL FR FC LFE BL BR SL SR"
CHANNELS: Mapping[str, tuple[str, ...]] = {
    name: tuple(channels.split())
    for name, channels in {
        "mono": "FC",
        "stereo": "FL FR",
        "downmix": "DL DR",
        "binaural": "BIL BIR",
        "2.1": "FL FR LFE",
        "3.0": "FL FR FC",
        "3.0(back)": "FL FR BC",
        "4.0": "FL FR FC BC",
        "quad": "FL FR BL BR",
        "quad(side)": "FL FR SL SR",
        "3.1": "FL FR FC LFE",
        "5.0": "FL FR FC BL BR",
        "5.0(side)": "FL FR FC SL SR",
        "4.1": "FL FR FC LFE BC",
        "5.1": _FIVE,
        "5.1(side)": "FL FR FC LFE SL SR",
        "6.0": "FL FR FC BC SL SR",
        "6.0(front)": "FL FR FLC FRC SL SR",
        "3.1.2": "FL FR FC LFE TFL TFR",
        "hexagonal": "FL FR FC BL BR BC",
        "6.1": "FL FR FC LFE BC SL SR",
        "6.1(back)": f"{_FIVE} BC",
        "6.1(front)": "FL FR LFE FLC FRC SL SR",
        "7.0": "FL FR FC BL BR SL SR",
        "7.0(front)": "FL FR FC FLC FRC SL SR",
        "7.1": _SEVEN,
        "7.1(wide)": f"{_FIVE} FLC FRC",
        "7.1(wide-side)": "FL FR FC LFE FLC FRC SL SR",
        "5.1.2": "FL FR FC LFE SL SR TFL TFR",
        "5.1.2(back)": f"{_FIVE} TFL TFR",
        "octagonal": "FL FR FC BL BR BC SL SR",
        "cube": "FL FR BL BR TFL TFR TBL TBR",
        "5.1.4": "FL FR FC LFE SL SR TFL TFR TBL TBR",
        "7.1.2": f"{_SEVEN} TFL TFR",
        "7.1.4": f"{_SEVEN} TFL TFR TBL TBR",
        "7.2.3": f"{_SEVEN} TFL TFR TBC LFE2",
        "9.1.4": f"{_FIVE} FLC FRC SL SR TFL TFR TBL TBR",
        "9.1.6": f"{_FIVE} FLC FRC SL SR TFL TFR TBL TBR TSL TSR",
        "hexadecagonal": "FL FR FC BL BR BC SL SR TFL TFC TFR TBL TBC TBR WL WR",
        "22.2": f"{_FIVE} FLC FRC BC SL SR TC TFL TFC TFR TBL TBC TBR LFE2 TSL TSR BFC BFL BFR",
    }.items()
}
"""The channels of libav's layouts, by its names, in its order."""

# The same speakers in another codec's words: rear ones are "side" where there is one pair of them only.
_SYNONYMS: Mapping[str, str] = {
    "SL": "BL",
    "SR": "BR",
    "BL": "SL",
    "BR": "SR",
    "DL": "FL",
    "DR": "FR",
    "BIL": "FL",
    "BIR": "FR",
}
# Where in 7.1 the channels are heard that libav's mixing leaves out, or takes in some layouts only.
_FOLDED: Mapping[str, str] = {
    channel: goals
    for goals, channels in {
        "FL": "FLC WL DL BIL TFL BFL",
        "FR": "FRC WR DR BIR TFR BFR",
        "FC": "TFC BFC",
        "FL FR": "TC",
        "BL": "TBL",
        "BR": "TBR",
        "BL BR": "BC TBC",
        "SL": "TSL",
        "SR": "TSR",
        "LFE": "LFE2",
    }.items()
    for channel in channels.split()
}
_MIXED_BY_LIBAV = frozenset("FL FR FC LFE BL BR FLC FRC BC SL SR TFL TFR".split())
_MOST_MIXED_BY_LIBAV = 8
_OTHER_SIDE = str.maketrans("LR", "RL")
_FRONT = frozenset(("FL", "FR", "FC"))
_HALF_POWER = 0.7071
_CUSTOM = re.compile(r"\d+ channels \(([\w+]+)\)")


def channels_of(layout: str) -> tuple[str, ...]:
    """Return the channels of a layout by libav's description of it; none when it does not say which is which."""
    custom = _CUSTOM.fullmatch(layout)
    return tuple(custom[1].split("+")) if custom else CHANNELS.get(layout, ())


def holding(layout: str, count: int, offered: Sequence[str]) -> str:
    """Return the first smallest of the layouts `offered` that has a place for each of the `count` channels of `layout`.

    Channels of which nobody knows which they are keep their order. Empty when there is none.
    """
    if layout in offered:
        return layout
    own = channels_of(layout)
    fit = [name for name in offered if (_places(own, CHANNELS[name]) if own else len(CHANNELS[name]) == count)]
    return min(fit, key=lambda name: len(CHANNELS[name]), default="")


def routing(layout: str, count: int, output: str) -> tuple[str, ...]:
    """Return the filters that bring `count` channels of `layout` to the layout `output`: each to its place, else mixed.

    The mix never exceeds full scale where the source does not.
    """
    # Without the bound, sound in floating point would be mixed down to more than full scale, and clip.
    mixed = f"aresample=out_chlayout={output}:rematrix_maxval=1"
    own, outer = channels_of(layout), CHANNELS[output]
    if not own and not layout.startswith("ambisonic") and count == len(outer):
        return (_renamed(range(count), outer, output),)
    if not own:
        return (*_unknown(layout, count), mixed)
    places = _places(own, outer)
    if places and not (_libav_places(own, outer) and _mixed_by_libav(own)):
        if len(own) == len(outer):
            return (_renamed(places, places.values(), output),)
        return (f"pan={output}|{'|'.join(f'{place}={channel}' for channel, place in places.items())}",)
    if not places and not _mixed_by_libav(own):
        return (_fold(own), mixed)
    return (mixed,)


def _mixed_by_libav(own: Sequence[str]) -> bool:
    """Return whether libav mixes these channels: not too many, of which it knows all, one is in front, and pairs are whole."""
    known = len(own) <= _MOST_MIXED_BY_LIBAV and _MIXED_BY_LIBAV.issuperset(own)
    return known and not _FRONT.isdisjoint(own) and {*own} == {_mate(channel) for channel in own}


def _mate(channel: str) -> str:
    """Return the channel on the other side; itself in the middle."""
    return channel if channel.startswith("LFE") else channel.translate(_OTHER_SIDE)


def loss(layout: str, count: int, output: str) -> str:
    """Return what a listener should know of `layout` in the layout `output`; empty when each channel keeps its own place."""
    own, outer = channels_of(layout), CHANNELS[output]
    if layout.startswith("ambisonic"):
        return f"the sound field ({layout}) is heard as two microphones would, facing left and right"
    if not own:
        if count <= min(2, len(outer)):
            return ""
        become = f"they are taken for those of {output}" if count == len(outer) else f"all are mixed into {output}"
        return f"{count} channels that do not say which they are: {become}"
    if own in (("FC",), outer) or _places(own, outer) or (layout, output) == ("stereo", "mono"):
        return ""
    left_out = " without its low-frequency channel" if "LFE" in own and "LFE" not in outer else ""
    return f"{layout} is mixed to {output}{left_out}"


def alike(layout: str, other: str) -> bool:
    """Return whether two layouts are the same speakers in the same order."""
    own, outer = channels_of(layout), channels_of(other)
    return own == outer or tuple(_places(own, outer).values()) == outer


def _places(own: Sequence[str], outer: Sequence[str]) -> dict[str, str]:
    """Return the channel of `outer` that takes each channel of `own`; empty unless each has one to itself."""
    places = {channel: channel if channel in outer else _SYNONYMS.get(channel, "") for channel in own}
    outputs = list(places.values())
    return places if set(outputs) <= set(outer) and len(set(outputs)) == len(outputs) else {}


def _libav_places(own: Sequence[str], outer: Sequence[str]) -> bool:
    """Return whether libav's mixing gives each channel its place: without a rear pair it takes the rear center instead."""
    return _MIXED_BY_LIBAV.issuperset(own) and not ("BL" in own and "BL" not in outer and "BC" in outer)


def _renamed(channels: Iterable[str | int], places: Iterable[str], output: str) -> str:
    """Return the filter that gives channels, by name or number, their places. (`pan` mixes where there are as many of both.)"""
    pairs = (f"{channel}-{place}" for channel, place in zip(channels, places, strict=True))
    return f"channelmap=map={'|'.join(pairs)}:channel_layout={output}"


def _fold(own: Sequence[str]) -> str:
    """Return the filter that makes 7.1 of more, or of other, channels; bounded to full scale by one gain for all."""
    sums: dict[str, dict[str, float]] = {name: {} for name in CHANNELS["7.1"]}
    for channel in own:
        goals = _FOLDED.get(channel, channel).split()
        for goal in goals:
            sums.setdefault(goal, {})[channel] = 1.0 if channel == goal else _HALF_POWER
    most = max(sum(parts.values()) for parts in sums.values())
    rows = (
        f"{goal}={'+'.join(f'{gain / most:.4f}*{channel}' for channel, gain in parts.items())}"
        for goal, parts in sums.items()
        if parts and goal in CHANNELS["7.1"]
    )
    return f"pan=7.1|{'|'.join(rows)}"


def _unknown(layout: str, count: int) -> tuple[str, ...]:
    """Return the filter that makes stereo of channels that do not say which they are, all alike, or of a field of sound."""
    if layout.startswith("ambisonic"):  # in ACN order the second component points left
        return ("pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1",)
    if not count:
        return ()  # a broken header; libav mixes what is decoded
    if count <= 2:
        name = "mono" if count == 1 else "stereo"
        return (_renamed(range(count), CHANNELS[name], name),)
    everything = "+".join(f"{1 / count:.4f}*c{number}" for number in range(count))
    return (f"pan=stereo|c0={everything}|c1={everything}",)
