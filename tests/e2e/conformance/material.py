"""The sources of the tasks: clips by file name, and subtitle files."""

from fractions import Fraction

from tests.sources import Audio, Clip, Data, Subtitle, Video

CLIPS = {
    # Pictures 0 to 49 at 25 a second, 96x64, and 440 Hz.
    "film.mp4": Clip(audio=(Audio(),), metadata=(("title", "a film"), ("artist", "nobody"))),
    # Upright, half as long, another rate, another tone; no B-frames.
    "upright.mkv": Clip(
        "matroska",
        (Video(seconds=1, size=(64, 96), fps=Fraction(30), b_frames=0),),
        (Audio(seconds=1, rate=44100, layout="mono", hz=880),),
    ),
    # Two streams of each kind.
    "many.mkv": Clip(
        "matroska",
        (Video(seconds=1), Video(seconds=1, size=(64, 48))),
        (Audio(seconds=1, hz=440), Audio(seconds=1, hz=880)),
        (
            Subtitle("srt", ((0.1, 0.4, "one"),), "eng"),
            Subtitle("srt", ((0.5, 0.8, "two"),), "fra"),
        ),
    ),
    # Four flat quarters: which side is where can be told.
    "quarters.mp4": Clip(video=(Video(seconds=0.4, pattern="quarters"),), audio=()),
    # A face and a license plate.
    "street.mp4": Clip(video=(Video(seconds=0.24, size=(320, 160), pattern="street"),), audio=()),
    # A dark picture to be laid over others.
    "mark.mov": Clip("mov", (Video("png", size=(16, 8), seconds=0.04, pattern="black", pixel_format="rgb24"),), ()),
    # Pictures and sound that cost bits.
    "costly.mkv": Clip(
        "matroska",
        (Video(seconds=2, size=(192, 128), pattern="noise", options=(("crf", "10"),)),),
        (Audio("libmp3lame", seconds=2, pattern="music", bitrate=64_000),),
    ),
    # Sound of 0.5 s to be attached.
    "bell.mkv": Clip("matroska", (), (Audio("flac", seconds=0.5, hz=660, sample_format="s16"),)),
    "extras.mp4": Clip(video=(Video(seconds=1),), audio=(), data=(Data(seconds=1),), covers=("mjpeg", "png")),
    "six.mkv": Clip("matroska", (), (Audio("ac3", seconds=1, layout="5.1", hz=440),)),
}

FILES = {"lines.srt": "1\n00:00:00,200 --> 00:00:00,600\nhello\n\n2\n00:00:01,000 --> 00:00:01,500\nagain\n\n"}
