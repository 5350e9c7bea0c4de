"""Clips for tests of the service as a whole, where what is in the picture does not matter."""

from pathlib import Path

import av


def moving_picture(path: Path, seconds: float, size: str = "320x180", rate: int = 25, options: str = "", gop: int = 0) -> Path:
    """Writes libav's moving test picture with a tone as H.264 and AAC; the container is that of the path's name. `gop`: frames
    from key frame to key frame, 0: a second's."""
    width, height = map(int, size.split("x"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        av.open(f"testsrc2=size={size}:rate={rate}:duration={seconds}{options}", format="lavfi") as picture,
        av.open(f"sine=frequency=440:sample_rate=48000:duration={seconds}", format="lavfi") as tone,
        av.open(str(path), "w") as clip,
    ):
        video = clip.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": str(gop or rate)})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = clip.add_stream("aac", rate=48000, layout="stereo")
        for source, stream in ((picture, video), (tone, audio)):
            for frame in source.decode(source.streams[0]):
                if stream is video:
                    frame.pict_type = 0  # type: ignore[union-attr]  # raw pictures all say that they are I
                clip.mux(stream.encode(frame))  # type: ignore[arg-type]
            clip.mux(stream.encode(None))
    return path
