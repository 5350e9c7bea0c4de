"""What a child is not shown of its assignment."""

from dataclasses import replace

from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_plan import Box, PicturePlan
from reelmill_server.model.overlay_request import WatermarkSpec
from reelmill_server.model.plan import Plan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    Credentials,
    Role,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.worker import messages
from reelmill_server.worker.parent.concealment import Concealment

PICTURES = ("https://h/logo.png?planted=1", "https://h/logo.png?planted=2", "s3://b/a?planted-no-query.png")


def assignment() -> messages.Assignment:
    """One with signed URLs wherever a request has some, and a role."""
    sources = (
        SourceSpec("https://h/a%20b.mp4?planted=a", subtitles=(SubtitleFileSpec("https://h/en.srt?planted"),)),
        SourceSpec("https://h/a%20b.mp4?planted=b"),
        SourceSpec("file:///in/a.mp4"),
    )
    marks = tuple(WatermarkSpec(uri=uri) for uri in PICTURES)
    targets = (TargetSpec(0, "s3://out/{barename}", "mp4", VideoSpec("h264", watermarks=marks), AudioSpec("aac")),)
    request = ConvertRequest("task", "default", sources, targets, credentials=Credentials((Role("planted"),), "planted"))
    refs = {uri: messages.SourceRef(key=number) for number, uri in enumerate(PICTURES)}
    return messages.Assignment("convert", Limits(), request, watermarks=refs)


def test_a_child_is_shown_no_queries_of_urls_and_no_roles() -> None:
    """Paths stay, by which outputs are named; names of objects have no queries; what differed still does."""
    real = assignment()
    shown = Concealment(real).assignment
    assert b"planted" not in messages.ASSIGNMENT.dump_json(shown).replace(b"s3://b/a?planted-no-query.png", b"")
    assert shown.request and shown.request.targets[0].video
    uris = [source.uri for source in shown.request.sources]
    assert uris[0].startswith("https://h/a%20b.mp4?") and uris[2] == "file:///in/a.mp4" and len({*uris}) == 3
    assert shown.request.watermark_uris == tuple(shown.watermarks) and [*shown.watermarks.values()] == [
        *real.watermarks.values()
    ]


def test_plans_have_the_urls_of_the_request() -> None:
    """Children of other attempts are given them, also by workers of another version."""
    concealment = Concealment(assignment())
    names = [*concealment.assignment.watermarks]
    pictures = tuple(PicturePlan(uri, 0, Box(0, 0, 2, 2)) for uri in names)
    stream = replace(StreamPlan(StreamType.VIDEO, (), "h264", "libx264", ""), overlays=pictures)
    plan = Plan((TargetPlan(0, "s3://out/a.mp4", "mp4", "mp4", 0, (stream,)),))
    revealed = concealment.revealed(messages.Planned(plan, ()))
    assert isinstance(revealed, messages.Planned)
    overlays = revealed.plan.targets[0].streams[0].overlays
    assert tuple(mark.uri for mark in overlays if isinstance(mark, PicturePlan)) == PICTURES
    again = Concealment(replace(assignment(), plan=revealed.plan)).assignment
    assert again.plan == plan
