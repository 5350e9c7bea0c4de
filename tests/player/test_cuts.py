"""Cuts at the frame in Chromium and in hls.js: they play to their ends without an error. `make test-player` runs this."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from reelmill_server.model.request import SegmentFormat, SegmentSpec, SourceSpec, VideoSpec
from reelmill_server.model.smart_cut import SmartCut
from reelmill_server.model.task import ArtifactKind
from tests.media.converter import Converter, target
from tests.player.test_player import CHROMIUM, FOLDER, Quiet, browser
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = [pytest.mark.player, pytest.mark.skipif(not (FOLDER and CHROMIUM), reason="no hls.js, or no Chromium")]

FILM = Video(size=(160, 96), seconds=6, gop=25, b_frames=3)
VP9 = replace(FILM, codec="libvpx-vp9", b_frames=0, options=(("deadline", "realtime"), ("cpu-used", "8")))
AV1 = replace(FILM, codec="libsvtav1", b_frames=0, options=(("preset", "12"), ("svtav1-params", "keyint=25")))
SOURCES = {
    "h264": FILM,
    "h264-baseline": replace(FILM, b_frames=0, options=(("profile", "baseline"),)),
    "h264-open": replace(FILM, options=(("x264-params", "open-gop=1:keyint=25:min-keyint=25:bframes=3:b-pyramid=normal"),)),
    "h264-pyramid": replace(FILM, options=(("x264-params", "b-pyramid=normal:bframes=7:ref=4:b-adapt=0"),)),
    "h264-interlaced": replace(FILM, options=(("x264-params", "tff=1"),)),
    "h264-interlaced-open": replace(FILM, options=(("x264-params", "bff=1:open-gop=1:keyint=25:min-keyint=25:bframes=3"),)),
    "h264-slices": replace(FILM, options=(("x264-params", "slices=4"),)),
    "h264-full-range": replace(FILM, pixel_format="yuvj420p", color_range=2),
    "vp9": VP9,
    "av1": AV1,
    "av1-10-bit": replace(AV1, pixel_format="yuv420p10le"),
}
"""What Chromium decodes."""
KINDS = {"mp4": ("mp4", None), "mkv": ("mkv", None), "mp4-hls": ("mp4", SegmentFormat.HLS), "ts-hls": ("ts", SegmentFormat.HLS)}
CASES = [(name, kind) for name in SOURCES for kind in KINDS if kind != "ts-hls" or name.startswith("h264")]
REQUIRED = VideoSpec(smart_cut=SmartCut.REQUIRED)
CUTS = ((0.513, 2.3), (1.7, 2.2))
PAGE = """<video id="v" muted></video><script src="hls.min.js"></script><script>
const play = (source, segmented) => new Promise((done) => {
  const video = document.getElementById("v"), told = [];
  const end = () => done({told, at: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames});
  video.onended = end;
  setTimeout(() => { told.push(`stays at ${video.currentTime} of ${video.duration}`); end(); }, 40000);
  video.onerror = () => { told.push(video.error.message); end(); };
  if (segmented) {
    const hls = new Hls({enableWorker: false});
    // Copies of any kind have hls.js skip the first frames of a transport stream.
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.details !== "bufferSeekOverHole") told.push(data.details); });
    hls.loadSource(source); hls.attachMedia(video);
  } else { video.src = source; }
  video.play();
});
</script>"""


Cutter = Callable[[str, str], str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cutter]]:
    """The address of a folder with a page and hls.js, and what puts the joined cuts of a source there and says where."""
    folder = tmp_path_factory.mktemp("cuts")
    (folder / "page.html").write_text(PAGE)
    shutil.copy(Path(FOLDER) / "node_modules/hls.js/dist/hls.min.js", folder)
    convert = Converter(Shelf(folder), lambda: tmp_path_factory.mktemp("made"))
    spans = [SourceSpec("file:///in", start_us=round(start * 1e6), duration_us=round(length * 1e6)) for start, length in CUTS]

    def cut(source: str, kind: str) -> str:
        container, segment = KINDS[kind]
        clip = Clip("matroska" if kind == "mkv" else "mp4", (SOURCES[source],), (Audio(seconds=6),))
        spec = replace(target(container, REQUIRED), segment=SegmentSpec(segment, 1_000_000) if segment else None)
        converted = convert.concat([(clip, span) for span in spans], spec)
        shutil.copytree(converted.published, folder / f"{source}-{kind}")
        wanted = ArtifactKind.PLAYLIST if segment else ArtifactKind.MEDIA
        (uri,) = [one.uri for one in converted.artifacts if one.kind is wanted]
        return uri.replace("file:///out", f"{source}-{kind}")

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}", cut
        http.shutdown()


@pytest.mark.parametrize(("source", "kind"), CASES)
async def test_joined_cuts_play_to_their_end(site: tuple[str, Cutter], tmp_path: Path, source: str, kind: str) -> None:
    """All of both, and nobody complains."""
    address, cut = site
    name = cut(source, kind)
    async with browser(tmp_path, f"{address}/page.html") as page:
        while not await page.run("document.readyState === 'complete' && typeof play === 'function'"):
            await asyncio.sleep(0.05)
        done = await page.run(f"play('{name}', {str(kind.endswith('hls')).lower()})")
        assert done["told"] == [] and done["at"] == pytest.approx(sum(length for _, length in CUTS), abs=0.2)
        assert done["frames"] >= 100, "of 113: some transport streams begin later"
