"""What the server objects to beyond single fields."""

from typing import Any

import pytest

from buf.validate import validate_pb2
from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2, notification_service_pb2, project_service_pb2
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api import validate
from reelmill_server.api.requests import credentials
from reelmill_server.errors import AccessDenied, FieldNotSupported, InvalidArgument, ResourceNotFound
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials, Role
from reelmill_server.storage.base import ObjectReader, StagedFile, Upload


class Anywhere:
    """A storage that objects to URIs with `bad` and `denied` in them."""

    def check_readable(self, uri: str) -> None:
        """As storages do."""
        if "bad" in uri:
            raise InvalidArgument("a bad URI")
        if "denied" in uri:
            raise AccessDenied("not yours")

    check_writable = check_readable

    def acting_as(self, credentials: Credentials) -> "Anywhere":
        """The same."""
        return self

    async def open(self, uri: str) -> ObjectReader:
        """Never called."""
        raise AssertionError

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        """Never called."""
        raise AssertionError

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """Never called."""
        raise AssertionError

    async def withdraw(self, file: PendingFile) -> None:
        """Never called."""
        raise AssertionError

    async def erase(self, folder_uri: str) -> None:
        """Never called."""
        raise AssertionError

    async def publish(self, uploads: object, owner: str) -> None:
        """Never called."""
        raise AssertionError


def check(target: dict[str, Any] | None = None, **request: Any) -> None:
    """Checks a request that is right but for what is given."""
    usual = {"URI": "file:///out/x.mp4", "Container": "mp4"}
    data = {
        "ProjectName": "p",
        "Sources": [{"URI": "file:///in.mp4"}],
        "Targets": [{**usual, **(target or {})}],
        **request,
    }
    validate.check_create(vendor_json.parse(data, CreateMediaConvertTaskRequest), Anywhere())


def fields(error: InvalidArgument | FieldNotSupported) -> set[str]:
    """The fields at fault."""
    return {violation.field for violation in error.violations}


def video(**settings: Any) -> dict[str, Any]:
    """A target's video."""
    return {"Video": {"TranscodeVideo": settings}}


def audio(**settings: Any) -> dict[str, Any]:
    """A target's audio."""
    return {"Audio": {"TranscodeAudio": settings}}


def test_a_plain_request_is_right() -> None:
    """No objection."""
    check()
    check({**video(Codec="h264", CRF=23, MaxBitrate=5000, BufferSize=5000), **audio(Codec="aac", Bitrate=96000)})


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (video(Codec="h264", CRF=20, Bitrate=5000), "targets[0].video.transcode_video"),
        (video(Codec="h264", MaxBitrate=5000), "targets[0].video.transcode_video"),
        (video(Codec="h264", Bitrate=5000, MaxBitrate=5000, BufferSize=5000), "targets[0].video.transcode_video"),
        (video(Codec="h264", PixelFormat="yuva420p"), "targets[0].video.transcode_video"),
        (video(Codec="h264", ScaleType="fit"), "targets[0].video.transcode_video"),
        (video(Codec="h264", Resolution="x"), "targets[0].video.transcode_video.resolution"),
        (video(Codec="h264", Resolution="5000x2"), "targets[0].video.transcode_video.resolution"),
        (video(Codec="h264", FrameRate=0), "targets[0].video.transcode_video.frame_rate"),
        (video(Codec="vp9", PixelFormat="yuva420p"), "targets[0].video.transcode_video.pixel_format"),
        (video(Codec="vp9", BFrames=2), "targets[0].video.transcode_video.b_frames"),
        (video(Codec="av1", Refs=2), "targets[0].video.transcode_video.refs"),
        (audio(Codec="opus", SampleRate=44100), "targets[0].audio.transcode_audio"),
        (audio(Codec="mp3", Channel=6), "targets[0].audio.transcode_audio"),
        (audio(Codec="mp3", Bitrate=400_000), "targets[0].audio.transcode_audio.bitrate"),
        (audio(Codec="aac", SampleRate=12025), "targets[0].audio.transcode_audio.sample_rate"),
        ({"URI": "file:///x", "Container": "flac", **audio(Codec="aac")}, "targets[0].audio.transcode_audio.codec"),
        (
            {"URI": "file:///x", "Container": "flac", **audio(Codec="flac", Bitrate=5000)},
            "targets[0].audio.transcode_audio.bitrate",
        ),
        ({"URI": "file:///x", "Container": "webm", **video(Codec="h264")}, "targets[0].video.transcode_video.codec"),
        ({"URI": "file:///x", "Container": "mp3", **video(Codec="h264")}, "targets[0].video.transcode_video"),
        ({"URI": "file:///{nonsense}"}, "targets[0].uri"),
        ({"URI": "file:///{tags.missing}"}, "targets[0].uri"),
        ({"URI": "file:///{"}, "targets[0].uri"),
        ({"URI": "file:///bad"}, "targets[0].uri"),
        ({"URI": ""}, "targets[0]"),
    ],
)
def test_each_objection_names_its_field(target: dict[str, Any], field: str) -> None:
    """One mistake, one violation at its place."""
    with pytest.raises(InvalidArgument) as failure:
        check(target)
    assert fields(failure.value) == {field}


LANGUAGE = "sources[0].subtitles[0].language"


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"Sources": []}, "sources"),
        ({"Targets": []}, ""),
        ({"AlignmentIndex": 1}, "alignment_index"),
        ({"Sources": [{"URI": "file:///x", "Attached": True}]}, "alignment_index"),
        ({"Sources": [{"URI": "file:///x", "Subtitles": [{"URI": "file:///x", "Language": "en"}]}]}, LANGUAGE),
        ({"Tags": {"a": {"b": 1}}}, "tags.a"),
        ({"ProjectName": "1"}, "project_name"),
        ({"UserData": "é" * 1025}, "user_data"),
        ({"UserData": "a\0b"}, "user_data"),
        ({"Tags": {"a": "\0"}}, "tags.a"),
        ({"Tags": {"\0": "a"}}, "tags.\\0"),
        ({"Sources": [{"URI": "file:///x"}, {"URI": "file:///\0"}]}, "sources[1].uri"),
        ({"Sources": [{"URI": "file:///bad"}]}, "sources[0].uri"),
        ({"Sources": [{"URI": "file:///x", "Duration": float("nan")}]}, "sources[0].duration"),
        ({"Notification": {"ExtendedMessageURI": "file:///bad"}}, "notification.extended_message_uri"),
        ({"Notification": {"ExtendedMessageURI": "file:///out/x.mp4"}}, "notification.extended_message_uri"),
        ({"Notification": {"ExtendedMessageURI": "file:///{sourcename}.json"}}, "notification.extended_message_uri"),
        ({"Notification": {"MNS": {"TopicName": "a/b"}}}, "notification.mns.topic_name"),
        ({"Notification": {"MNS": {}}}, "notification.mns.topic_name"),
        ({"Notification": {"RocketMQ": {"InstanceId": "a b", "TopicName": "t"}}}, "notification.rocket_mq.instance_id"),
        ({"Notification": {"PubSub": {"TopicName": "t/../u"}}}, "notification.pub_sub.topic_name"),
        ({"Notification": {"Webhook": {}}}, "notification.webhook.url"),
        (
            {"Notification": {"NotifyProgressPercentStep": 51, "MNS": {"TopicName": "t"}}},
            "notification.notify_progress_percent_step",
        ),
        ({"Notification": {"NotifyProgressPercentStep": 10}}, "notification"),
    ],
)
def test_objections_to_the_whole_request(request_fields: dict[str, Any], field: str) -> None:
    """As above, at the top level."""
    with pytest.raises(InvalidArgument) as failure:
        check(**request_fields)
    assert field in fields(failure.value)


def test_mistakes_come_before_what_is_missing_and_both_are_told() -> None:
    """INVALID_ARGUMENT with the unsupported field among the violations."""
    with pytest.raises(InvalidArgument) as failure:
        check({**video(Codec="h264", CRF=99, VideoSlim=1)})
    assert fields(failure.value) == {"targets[0].video.transcode_video.video_slim", "targets[0].video.transcode_video.crf"}


def test_vmaf_is_measured_of_what_is_encoded() -> None:
    """Not of a copy, nor of sound alone: a wish that nothing could come of is told."""
    check({**video(Codec="h264"), "MeasureVMAF": True})
    for copied in ({}, video(Codec="copy"), {"Video": {"DisableVideo": True}}):
        with pytest.raises(InvalidArgument) as failure:
            check({**copied, "MeasureVMAF": True})
        assert fields(failure.value) == {"targets[0].measure_vmaf"}


def test_a_forbidden_uri_is_denied_when_nothing_else_is_wrong() -> None:
    """PERMISSION_DENIED comes last."""
    with pytest.raises(AccessDenied):
        check({"URI": "file:///denied.mp4"})
    with pytest.raises(FieldNotSupported):
        check({"URI": "file:///denied.mp4", **video(Codec="h264", VideoSlim=1)})


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"Chain": [{"AssumeRoleFor": "1"}]}, "credential_config.chain[0].role"),
        ({"Chain": [{"Role": "r", "RoleType": "service"}]}, "credential_config.chain[0].role_type"),
        ({"ServiceRole": "r", "Policy": "[]"}, "credential_config.policy"),
        ({"ServiceRole": "r", "Policy": "{"}, "credential_config.policy"),
        ({"Policy": "{}"}, "credential_config.policy"),
    ],
)
def test_roles_of_a_request(config: dict[str, Any], field: str) -> None:
    """Links have roles, which are of users; a policy is JSON and narrows a role, be it the project's."""
    check(CredentialConfig={"ServiceRole": "r", "Policy": "{}", "Chain": [{"Role": "r", "RoleType": "user"}]})
    with pytest.raises(InvalidArgument) as error:
        check(CredentialConfig=config)
    assert fields(error.value) == {field}


def test_the_roles_of_a_request_as_plain_data() -> None:
    """The request's own role counts before its project's; a chain follows; nothing at all is the worker's own identity."""
    config = vendor_json.parse(
        {"ProjectName": "p", "CredentialConfig": {"Policy": "{}", "Chain": [{"Role": "r", "AssumeRoleFor": "1"}]}},
        CreateMediaConvertTaskRequest,
    ).credential_config
    assert credentials(config, "") == Credentials((Role("r", "1"),), "{}")
    assert credentials(config, "project") == Credentials((Role("project"), Role("r", "1")), "{}")
    config.service_role = "own"
    assert credentials(config, "project").roles[0] == Role("own")
    config.Clear()
    assert credentials(config, "") == Credentials()


def test_a_missing_project_alone_and_among_others() -> None:
    """NOT_FOUND alone, one violation among others otherwise."""
    missing = ResourceNotFound("project p is not found")
    request = vendor_json.parse(
        {"ProjectName": "p", "Sources": [{"URI": "file:///a"}], "Targets": [{"URI": "file:///b.mkv", "Container": "mkv"}]},
        CreateMediaConvertTaskRequest,
    )
    with pytest.raises(ResourceNotFound):
        validate.check_create(request, Anywhere(), missing)
    request.priority = 77
    with pytest.raises(InvalidArgument) as failure:
        validate.check_create(request, Anywhere(), missing)
    assert fields(failure.value) == {"project_name", "priority"}


JOINED = {"Sources": [{"URI": "file:///in.mp4"}, {"URI": "file:///in.mp4"}]}


@pytest.mark.parametrize(
    ("target", "problems"),
    [
        ({}, {"targets[0].video.transcode_video.codec", "targets[0].audio.transcode_audio.codec"}),
        ({"Video": {"TranscodeVideo": {}}, "Audio": {}}, {"targets[0].video.transcode_video.codec"}),
        ({"Video": {"TranscodeVideo": {"Codec": "h264"}}, "Audio": {"DisableAudio": True}}, set()),
        ({"Video": {"TranscodeVideo": {"Codec": "copy"}}, "Audio": {"TranscodeAudio": {"Codec": "copy"}}}, set()),
    ],
)
def test_several_sources_are_copied_only_when_that_is_said(target: dict[str, Any], problems: set[str]) -> None:
    """The default is a copy, which cannot join; COPY by name is another thing."""
    if not problems:
        check(target, **JOINED)
        return
    with pytest.raises(InvalidArgument) as failure:
        check(target, **JOINED)
    assert fields(failure.value) == problems


def test_what_makes_no_video_and_no_sound_copies_none() -> None:
    """Pictures and subtitles alone are made of joined sources, and ignore speed."""
    picture = {"Snapshots": [{"URI": "file:///out/s", "Format": "jpg"}]}
    check({"URI": "", "Container": "", "Image": picture, "Speed": 0.5}, **JOINED)


def test_speed_needs_sound_that_is_encoded_and_says_one_thing() -> None:
    """Copied packets cannot be stretched; two speeds of the pictures contradict each other."""
    with pytest.raises(InvalidArgument) as failure:
        check({"Speed": 0.5})
    assert fields(failure.value) == {"targets[0].speed"}
    check({"Speed": 0.5, "Audio": {"DisableAudio": True}})
    with pytest.raises(InvalidArgument) as failure:
        check(
            {
                "Speed": 0.5,
                "Audio": {"DisableAudio": True},
                "Video": {"TranscodeVideo": {"Codec": "h264"}, "FilterVideo": {"Speed": 0.75}},
            }
        )
    assert fields(failure.value) == {"targets[0].video.filter_video.speed"}


def test_alignment_is_for_attached_sources() -> None:
    """Others follow each other."""
    with pytest.raises(InvalidArgument) as failure:
        check(Sources=[{"URI": "file:///in.mp4", "AlignMode": "loop"}])
    assert fields(failure.value) == {"sources[0].align_mode"}


@pytest.mark.parametrize(
    ("extract", "at_fault"),
    [
        ({"Format": "srt", "URI": "file:///out/{barename}"}, set()),
        ({"URI": "file:///out/a"}, {"format"}),
        ({"Format": "vtt"}, {"uri"}),
        ({"Format": "ass", "URI": "file:///out/{nobody}"}, {"uri"}),
        ({"Format": "webvtt", "URI": "file:///bad"}, {"uri"}),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_extracted_subtitles_need_a_format_and_a_uri(extract: dict[str, str], at_fault: set[str], alone: bool) -> None:
    """With and without a container beside them."""
    target: dict[str, Any] = {"Subtitle": {"ExtractSubtitle": extract}, **({"URI": "", "Container": ""} if alone else {})}
    if not at_fault:
        check(target)
        return
    with pytest.raises(InvalidArgument) as failure:
        check(target)
    assert fields(failure.value) == {f"targets[0].subtitle.extract_subtitle.{name}" for name in at_fault}


def test_subtitle_files_are_checked_as_sources_are() -> None:
    """Where they may lie, and how far they may be moved; an attached source has none."""
    good = {"URI": "file:///a.srt", "TimeOffset": -2.5, "Language": "deu"}
    check(Sources=[{"URI": "file:///in.mp4", "Subtitles": [good]}])
    files = [{"URI": "file:///bad.srt"}, {"URI": "file:///a.srt", "TimeOffset": 1e6}]
    with pytest.raises(InvalidArgument) as failure:
        check(Sources=[{"URI": "file:///in.mp4", "Subtitles": files}])
    assert fields(failure.value) == {"sources[0].subtitles[0].uri", "sources[0].subtitles[1].time_offset"}
    with pytest.raises(AccessDenied):
        check(Sources=[{"URI": "file:///in.mp4", "Subtitles": [{"URI": "file:///denied.srt"}]}])
    with pytest.raises(InvalidArgument) as failure:
        check(Sources=[{"URI": "file:///in.mp4"}, {"URI": "file:///b.mp4", "Attached": True, "Subtitles": [good]}])
    assert "sources[1].subtitles" in fields(failure.value)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"Container": "mkv", "Segment": {"Format": "hls"}, "URI": "file:///out/x"}, "targets[0].container"),
        ({"Container": "ts", "Segment": {"Format": "dash"}, "URI": "file:///out/x"}, "targets[0].container"),
        ({"Container": "mp3", "Segment": {"Format": "hls"}, "URI": "file:///out/x"}, "targets[0].container"),
        ({"Segment": {"Format": "dash", "StartNumber": 3}, "URI": "file:///out/x"}, "targets[0].segment.start_number"),
        ({"Segment": {"Duration": 4}, "URI": "file:///out/x"}, "targets[0].segment.format"),
        ({"Segment": {"Format": "hls"}}, "targets[0].uri"),
        ({"Segment": {"Format": "hls"}, "URI": "file:///out/{index}/x"}, "targets[0].uri"),
    ],
)
def test_segments_that_cannot_be(target: dict[str, Any], field: str) -> None:
    """Pairs of container and format, numbers of DASH, names of media."""
    with pytest.raises(InvalidArgument) as caught:
        check(target)
    assert fields(caught.value) == {field}


@pytest.mark.parametrize(
    ("target", "field", "would"),
    [
        ({"Container": "mkv", "Data": {"Stream": [-1]}}, "targets[0].data.stream", "(supported by mp4)"),
        (
            {"Container": "mov", "AttachedPicture": {"Stream": [0]}},
            "targets[0].attached_picture.stream",
            "(supported by mp4, mkv)",
        ),
        ({"Segment": {"Format": "hls"}, "URI": "file:///x", "Data": {"Stream": [0]}}, "targets[0].data.stream", "segmented"),
        ({"AttachedPicture": {"Stream": [-2]}}, "targets[0].attached_picture.stream[0]", "-1"),
    ],
)
def test_data_and_covers_where_there_is_no_place_for_them(target: dict[str, Any], field: str, would: str) -> None:
    """The message says what would take them; an empty selection asks for nothing."""
    with pytest.raises(InvalidArgument) as caught:
        check(target)
    assert fields(caught.value) == {field}
    assert would in caught.value.violations[0].description
    check({"Container": "mp3", "Data": {"Stream": []}, "AttachedPicture": {}})


@pytest.mark.parametrize(
    ("uri", "member", "field"),
    [
        ("file:///out/m.m3u8", {"URI": "file:///other/v"}, "target_groups[0].targets[0].uri"),
        ("file:///out/m.m3u8", {"URI": "file:///out/../v"}, "target_groups[0].targets[0].uri"),
        ("file:///out/m.m3u8", {"URI": "file:///out/{nobody}"}, "target_groups[0].targets[0].uri"),
        ("file:///out/{nobody}", {}, "target_groups[0].uri"),
        ("file:///out/m-{index}", {}, "target_groups[0].uri"),
        ("file:///out/m.m3u8", {"Segment": {"Format": "dash"}}, "target_groups[0].targets[0].segment.format"),
        ("file:///out/m.m3u8", {"Container": "mkv"}, "target_groups[0].targets[0].container"),
        ("file:///out/m.m3u8", video(Codec="vp9"), "target_groups[0].targets[0].video.transcode_video.codec"),
    ],
)
def test_groups_that_cannot_be(uri: str, member: dict[str, Any], field: str) -> None:
    """Members elsewhere, unknown variables, other formats, and what segments do not hold."""
    group = {"URI": uri, "Targets": [{"URI": "file:///out/v", "Container": "ts", **member}]}
    with pytest.raises(InvalidArgument) as caught:
        check(TargetGroups=[group])
    assert fields(caught.value) == {field}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"QualityTarget": {"Value": 93}}, "quality_target"),
        ({"Passes": 2, "Bitrate": 500_000}, "passes"),
        ({"SmartCut": "preferred", "Hardware": "required"}, "smart_cut"),
    ],
)
def test_only_an_encode_gives_some_things(asked: dict[str, Any], field: str) -> None:
    """Copied video would not have what was asked for."""
    with pytest.raises(InvalidArgument) as caught:
        check(Targets=[{"URI": "file:///out/v.mkv", "Container": "mkv", **video(Codec="copy", **asked)}])
    assert fields(caught.value) == {f"targets[0].video.transcode_video.{field}"}


MADE_LADDER = {"URI": "file:///out/{rung}/v", "Container": "mp4", **video(Codec="h264")}


@pytest.mark.parametrize(
    ("member", "ladder", "field"),
    [
        ({}, {"MaxRenditions": 2}, "auto_ladder.max_renditions"),
        ({}, {"MinBitrate": 900_000, "MaxBitrate": 800_000}, "auto_ladder"),
        ({"URI": "file:///out/v"}, {}, "targets[0].uri"),
        ({"URI": "file:///out/{rung}/{nobody}"}, {}, "targets[0].uri"),
        ({"Video": {}}, {}, "targets[0].video.transcode_video.codec"),
        (video(Codec="copy"), {}, "targets[0].video.transcode_video.codec"),
        (video(Codec="h264", CRF=20), {}, "targets[0].video.transcode_video.crf"),
        (video(Codec="h264", Bitrate=500_000), {}, "targets[0].video.transcode_video.bitrate"),
        (video(Codec="h264", Resolution="640x360"), {}, "targets[0].video.transcode_video.resolution"),
        (video(Codec="h264", QualityTarget={"Value": 90}), {}, "targets[0].video.transcode_video.quality_target"),
        (video(Codec="h264", Hardware="required"), {}, "targets[0].video.transcode_video.hardware"),
    ],
)
def test_ladders_that_cannot_be_made(member: dict[str, Any], ladder: dict[str, Any], field: str) -> None:
    """What is chosen is not given, and each rung has a name."""
    group = {"URI": "file:///out/m", "Targets": [{**MADE_LADDER, **member}], "AutoLadder": ladder}
    with pytest.raises(InvalidArgument) as caught:
        check(TargetGroups=[group])
    assert fields(caught.value) == {f"target_groups[0].{field}"}


def test_one_target_stands_for_all_rungs() -> None:
    """Two do not; and outside of a ladder nobody knows what a rung is."""
    check(TargetGroups=[{"URI": "file:///out/m", "Targets": [MADE_LADDER], "AutoLadder": {}}])
    with pytest.raises(InvalidArgument) as caught:
        check(TargetGroups=[{"URI": "file:///out/m", "Targets": [MADE_LADDER] * 2, "AutoLadder": {}}])
    assert fields(caught.value) == {"target_groups[0].targets"}
    with pytest.raises(InvalidArgument) as caught:
        check(TargetGroups=[{"URI": "file:///out/m", "Targets": [MADE_LADDER]}])
    assert fields(caught.value) == {"target_groups[0].targets[0].uri"}


def test_ducking_needs_a_voice_and_a_mix() -> None:
    """An attached source, and audio that is mixed."""
    audio = {"TranscodeAudio": {"Codec": "aac"}, "FilterAudio": {"Mixing": True, "Ducking": {}}}
    voice = [{"URI": "file:///in"}, {"URI": "file:///voice", "Attached": True}]
    check({"Audio": audio}, Sources=voice)
    for given, sources in ((audio, voice[:1]), ({**audio, "FilterAudio": {"Ducking": {}}}, voice)):
        with pytest.raises(InvalidArgument) as caught:
            check({"Audio": given}, Sources=sources)
        assert fields(caught.value) == {"targets[0].audio.filter_audio.ducking"}


VTT = {"Format": "vtt", "URI": "file:///out/s"}


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        ({}, {"Subtitle": {}}, "targets[1].subtitle"),
        ({}, {"Subtitle": {"Stream": [0]}}, "targets[1].subtitle"),
        ({"Subtitle": {"ExtractSubtitle": {**VTT, "Format": "srt"}}}, {}, "targets[0].subtitle.extract_subtitle.format"),
        ({"Subtitle": {"ExtractSubtitle": {"URI": VTT["URI"]}}}, {}, "targets[0].subtitle.extract_subtitle.format"),
        ({"Subtitle": {"ExtractSubtitle": {"Format": "vtt"}}}, {}, "targets[0].subtitle.extract_subtitle.uri"),
        (
            {},
            {"Subtitle": {"ExtractSubtitle": {**VTT, "URI": "file:///other/s"}}},
            "targets[1].subtitle.extract_subtitle.uri",
        ),
        (
            {"Subtitle": {"ExtractSubtitle": VTT}},
            {"Subtitle": {"ExtractSubtitle": {**VTT, "URI": "file:///out/t"}}},
            "targets[1].subtitle",
        ),
        ({"Subtitle": {"ExtractSubtitle": VTT}}, {"Container": "mp4"}, "targets[0].container"),
    ],
)
def test_subtitles_of_groups_that_cannot_be(first: dict[str, Any], second: dict[str, Any], field: str) -> None:
    """Inside of segments, in other formats, elsewhere, twice, and on two clocks."""
    usual = [{"URI": "file:///out/v", "Container": "ts"}, {"URI": "file:///out/w", "Container": "ts"}]
    targets = [usual[0] | first, usual[1] | second]
    with pytest.raises(InvalidArgument) as caught:
        check(TargetGroups=[{"URI": "file:///out/m.m3u8", "Targets": targets}])
    assert fields(caught.value) == {f"target_groups[0].{field}"}


def test_subtitles_of_groups_that_can_be() -> None:
    """In one target, in all, and none."""
    for first, second in (({"ExtractSubtitle": VTT}, {"DisableSubtitle": True}), ({"ExtractSubtitle": VTT},) * 2):
        targets = [{"URI": f"file:///out/{n}", "Container": "ts", "Subtitle": one} for n, one in enumerate((first, second))]
        check(TargetGroups=[{"URI": "file:///out/m.m3u8", "Targets": targets}])


def test_a_list_that_is_too_long_is_refused_before_its_elements_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """With thousands, that took a replica most of a second, in which it did nothing else."""

    def looked(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Anywhere, "check_writable", looked)
    monkeypatch.setattr(validate, "_proto_violations", looked)
    with pytest.raises(InvalidArgument) as failure:
        check(Targets=[{"URI": f"file:///out/{number}", "Container": "mp4"} for number in range(101)])
    assert fields(failure.value) == {"targets"}


def test_every_text_and_list_of_a_request_is_bounded() -> None:
    """Records, logs and workflows hold them: one without a bound may have the four megabytes of a message."""
    services = (media_convert_service_pb2, project_service_pb2, notification_service_pb2)
    entries = [entry for file in services for entry in file.DESCRIPTOR.services_by_name.values()]
    todo = [method.input_type for entry in entries for method in entry.methods]
    unbounded, seen = [], set()
    while todo:
        message = todo.pop()
        for field in message.fields if message.full_name not in seen else ():
            rules = field.GetOptions().Extensions[validate_pb2.field]
            text = rules.repeated.items.string if field.is_repeated else rules.string
            bounds = getattr(text, "in") or any(text.HasField(name) for name in ("max_len", "max_bytes", "len", "uuid"))
            if (field.is_repeated and not rules.repeated.max_items) or (
                field.type == field.TYPE_STRING and not (bounds or field.name in ("language", "resolution"))
            ):
                unbounded.append(f"{message.name}.{field.name}")
            elif field.message_type and field.message_type.full_name.startswith("reelmill."):
                todo.append(field.message_type)
        seen.add(message.full_name)
    assert unbounded == []
