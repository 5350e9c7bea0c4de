"""What playlists and manifests say is read back by a second reader: what is not true of their files is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.package.playlists import MasterPlaylist, MediaPlaylist, Variant
from reelmill_server.media.result import files
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.verify import Verified, verify
from reelmill_server.model.colour import Transfer
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import AudioSpec, SegmentFormat, SourceSpec
from tests.media.converter import NO_LIMITS, encoded, plan_of, target
from tests.media.test_packaging import cut, ladder
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

CLIP = Clip(
    "matroska",
    (Video(seconds=1, size=(64, 48)),),
    (Audio(seconds=1, language="eng"), Audio(seconds=1, language="fra", default=False)),
)
Patch = Callable[[pytest.MonkeyPatch], None]
Change = Callable[[Sequence[Verified]], Sequence[Verified]]


def verified(shelf: Shelf, folder: Path, form: SegmentFormat) -> tuple[Plan, Sequence[Verified], Path]:
    """A ladder with two languages, or a manifest of them, not yet listed."""
    members = ladder("mp4", (64, 48), (32, 24)) if form is SegmentFormat.HLS else [cut(target("mp4", encoded(), AAC), form)]
    uris = ("file:///out/film/main.m3u8",) if form is SegmentFormat.HLS else ()
    path = shelf.get(CLIP)
    specs = [replace(spec, audio_streams=(101,)) for spec in members]
    plan = plan_of(path, specs, SourceSpec("file:///in/a.mkv"), NO_LIMITS, uris)
    produced, _ = Conversion(plan, (str(path),), folder, limits=NO_LIMITS, stop=Event()).run()
    return plan, [verify(file) for file in produced], folder


AAC = AudioSpec("aac")


@pytest.fixture(scope="module")
def made(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[SegmentFormat], Any]:
    """Each of both, once."""
    done: dict[SegmentFormat, Any] = {}

    def get(form: SegmentFormat) -> Any:
        if form not in done:
            done[form] = verified(shelf, tmp_path_factory.mktemp(form), form)
        return done[form]

    return get


def saying(**changes: Any) -> Patch:
    """Each variant says something else."""
    original = MasterPlaylist._attributes

    def attributes(self: MasterPlaylist, variant: Variant) -> list[str]:
        return original(self, replace(variant, **changes))

    return lambda patch: patch.setattr(MasterPlaylist, "_attributes", attributes)


def rewritten(owner: Any, method: str, old: str, new: str) -> Patch:
    """A text has other words."""
    original = getattr(owner, method)

    def render(*arguments: Any) -> str:
        text = original(*arguments)
        assert old in text
        return str(text.replace(old, new, 1))

    return lambda patch: patch.setattr(owner, method, render)


def seen(**changes: Any) -> Change:
    """What was read back has other properties."""
    return lambda read: [
        replace(one, playlists=tuple(replace(playlist, **changes) for playlist in one.playlists)) for one in read
    ]


def as_it_is(read: Sequence[Verified]) -> Sequence[Verified]:
    """What was read back."""
    return read


def in_hdr(read: Sequence[Verified]) -> Sequence[Verified]:
    """As if the video was HDR."""
    return [replace(one, streams=tuple(replace(stream, color_transfer=Transfer.PQ) for stream in one.streams)) for one in read]


HLS, DASH = SegmentFormat.HLS, SegmentFormat.DASH
INDEPENDENT = "#EXT-X-INDEPENDENT-SEGMENTS"
MEDIA, MASTER, MANIFEST = (MediaPlaylist, "render"), (MasterPlaylist, "render"), (files, "rewrite_manifest")
DEPENDENT = seen(independent=False)
FAULTS: dict[str, tuple[SegmentFormat, Patch, Change, str]] = {
    "no video range": (HLS, saying(video_range="SDR"), in_hdr, "says the video range SDR, and it is PQ"),
    "other codecs": (HLS, saying(codecs=("hvc1.1.6.L93.B0", "mp4a.40.2")), as_it_is, "there is h264"),
    "no codec of audio": (HLS, saying(codecs=("avc1.42c00a",)), as_it_is, "there is aac"),
    "another size": (HLS, saying(width=63), as_it_is, "of video that is"),
    "captions are lost": (HLS, saying(captions=()), seen(captions=("CC1",)), "closed captions"),
    "captions are not there": (HLS, saying(captions=("CC1",)), as_it_is, "closed captions"),
    "a channel is left out": (
        HLS,
        rewritten(*MASTER, 'INSTREAM-ID="CC3"', 'INSTREAM-ID="CC1"'),
        seen(captions=("CC3",)),
        "CC3",
    ),
    "another language": (HLS, rewritten(*MASTER, 'LANGUAGE="fra"', 'LANGUAGE="eng"'), as_it_is, "in 'eng', which is in 'fra'"),
    "no language": (HLS, rewritten(*MASTER, ',LANGUAGE="fra"', ""), as_it_is, "in '', which is in 'fra'"),
    "two defaults": (HLS, rewritten(*MASTER, "DEFAULT=NO", "DEFAULT=YES"), as_it_is, "several defaults"),
    "a rendition in two places": (HLS, rewritten(*MASTER, "main-audio-1", "main-audio-0"), as_it_is, "each rendition once"),
    "a variant in two places": (HLS, rewritten(*MASTER, "\n24/v", "\n48/v"), as_it_is, "each variant once"),
    "audio in no group": (HLS, rewritten(*MASTER, ',AUDIO="audio"', ""), as_it_is, "leaves out its audio"),
    "not independent": (HLS, rewritten(*MEDIA, "#EXT-X-MAP", f"{INDEPENDENT}\n#EXT-X-MAP"), DEPENDENT, "alone"),
    "the master is not": (
        HLS,
        rewritten(*MASTER, "#EXT-X-MEDIA", f"{INDEPENDENT}\n#EXT-X-MEDIA"),
        seen(independent=False),
        "alone",
    ),
    "a name": (HLS, rewritten(*MEDIA, ".m4s", ".ts"), as_it_is, "does not name"),
    "a length": (HLS, rewritten(*MEDIA, "#EXTINF:", "#EXTINF:1"), as_it_is, "lasts"),
    "no end": (HLS, rewritten(*MEDIA, "#EXT-X-ENDLIST", ""), as_it_is, "no end"),
    "codecs of a manifest": (DASH, rewritten(*MANIFEST, 'codecs="avc1', 'codecs="hvc1'), as_it_is, "there is h264"),
    "a language of a manifest": (DASH, rewritten(*MANIFEST, 'lang="fra"', 'lang="eng"'), as_it_is, "is in 'eng'"),
    "a size of a manifest": (DASH, rewritten(*MANIFEST, ' width="64"', ' width="63"'), as_it_is, "another size"),
    "a length of a manifest": (DASH, rewritten(*MANIFEST, 'Duration="PT1', 'Duration="PT2'), as_it_is, "is off"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_text_that_is_not_true_is_refused(
    made: Callable[[SegmentFormat], Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files that are right."""
    form, path, change, words = FAULTS[name]
    plan, read, folder = made(form)
    path(monkeypatch)
    with pytest.raises(OutputInvalid, match=words):
        make_results(plan, change(read), folder)


@pytest.mark.parametrize("form", [HLS, DASH])
@pytest.mark.parametrize("change", [as_it_is, in_hdr, seen(captions=("CC1",)), seen(independent=False)])
def test_a_true_text_passes(made: Callable[[SegmentFormat], Any], form: SegmentFormat, change: Change) -> None:
    """With whatever was read back."""
    plan, read, folder = made(form)
    make_results(plan, change(read), folder)
