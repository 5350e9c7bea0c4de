"""Cuts at the frame in Chromium and in hls.js: they play to their ends without an error. `make test-player` runs this."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
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
OPEN = Video(
    size=(160, 96), seconds=6, options=(("x264-params", "open-gop=1:keyint=25:min-keyint=25:bframes=3:b-pyramid=normal"),)
)
SOURCES = {"closed": FILM, "open": OPEN}
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a folder with a page, hls.js, and cuts of both kinds of sources in files and in segments."""
    folder = tmp_path_factory.mktemp("cuts")
    (folder / "page.html").write_text(PAGE)
    shutil.copy(Path(FOLDER) / "node_modules/hls.js/dist/hls.min.js", folder)
    convert = Converter(Shelf(folder), lambda: tmp_path_factory.mktemp("made"))
    spans = [SourceSpec("file:///in", start_us=round(start * 1e6), duration_us=round(length * 1e6)) for start, length in CUTS]
    for name, film in SOURCES.items():
        clip = Clip("mp4", (film,), (Audio(seconds=6),))
        for container, segment in (("mp4", None), ("mp4", SegmentFormat.HLS), ("ts", SegmentFormat.HLS)):
            spec = target(container, REQUIRED)
            if segment:
                spec = replace(spec, segment=SegmentSpec(segment, 1_000_000))
            converted = convert.concat([(clip, span) for span in spans], spec)
            place = folder / f"{name}-{container}{'-hls' if segment else ''}"
            shutil.copytree(converted.published, place)
            wanted = ArtifactKind.PLAYLIST if segment else ArtifactKind.MEDIA
            (uri,) = [one.uri for one in converted.artifacts if one.kind is wanted]
            (place / "name").write_text(uri.removeprefix("file:///out/"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


@pytest.mark.parametrize(("source", "kind"), [(source, kind) for source in SOURCES for kind in ("mp4", "mp4-hls", "ts-hls")])
async def test_joined_cuts_play_to_their_end(site: str, tmp_path: Path, source: str, kind: str) -> None:
    """All of both, and nobody complains."""
    async with browser(tmp_path, f"{site}/page.html") as page:
        while not await page.run("document.readyState === 'complete' && typeof play === 'function'"):
            await asyncio.sleep(0.05)
        name = await page.run(f"fetch('{source}-{kind}/name').then((answer) => answer.text())")
        done = await page.run(f"play('{source}-{kind}/{name}', {str(kind.endswith('hls')).lower()})")
        assert done["told"] == [] and done["at"] == pytest.approx(sum(length for _, length in CUTS), abs=0.2)
        assert done["frames"] > 0
