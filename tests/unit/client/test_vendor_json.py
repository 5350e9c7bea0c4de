"""Messages to and from the vendor's JSON."""

import datetime
import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1 import project_service_pb2 as projects
from reelmill.v1.audio_pb2 import AUDIO_CODEC_AAC
from reelmill.v1.common_pb2 import SCALE_TYPE_FIT
from reelmill.v1.media_info_pb2 import MediaInfo
from reelmill.v1.source_pb2 import ALIGN_MODE_FALSE, ALIGN_MODE_LOOP, Source
from reelmill.v1.target_pb2 import CONTAINER_MP4, Segment, Target
from reelmill.v1.task_pb2 import TASK_PHASE_CONVERTING, TASK_STATUS_RUNNING, TASK_STATUS_SUCCEEDED, TargetProgress, Task
from reelmill.v1.video_pb2 import VIDEO_CODEC_H264, TargetVideo, TranscodeVideo
from reelmill.vendor_json import VendorJsonError, dump, parse

CreateRequest = media_convert.CreateMediaConvertTaskRequest

# As the vendor's own SDK sends it: empty arrays everywhere, CamelCase, words.
VENDOR_REQUEST: dict[str, Any] = {
    "ProjectName": "test-project",
    "Sources": [{"URI": "oss://bucket/in.mp4", "Subtitles": [], "AlignMode": "false", "StartTime": 1.5}],
    "Targets": [
        {
            "URI": "oss://bucket/{tags.a}/out.mp4",
            "Container": "mp4",
            "Video": {
                "TranscodeVideo": {"Codec": "h264", "CRF": 23, "FrameRate": 29.97, "GOPSize": 150, "ScaleType": "fit"},
                "FilterVideo": {"Watermarks": [{"Type": "text", "FontApha": 0.5}], "Delogos": []},
            },
            "Audio": {"TranscodeAudio": {"Codec": "aac", "Channel": 2}},
            "Image": {"Animations": [], "Snapshots": [], "Sprites": []},
        }
    ],
    "Tags": {"a": "b", "n": 1, "nested": {"list": [None, True]}},
    "UserData": '{"ID": "user1"}',
    "Notification": {"MNS": {"TopicName": "topic1"}},
    "CredentialConfig": {"Chain": []},
}


def problems(data: Any, message_type: type[Message] = CreateRequest, **options: Any) -> dict[str, str]:
    """What parse finds wrong, by path."""
    with pytest.raises(VendorJsonError) as caught:
        parse(data, message_type, **options)
    result = caught.value.problems
    assert len(result) == len(dict(result)), "one problem a path"
    return dict(result)


def test_the_vendors_form_is_read() -> None:
    """CamelCase keys, vendor words, and numbers for floats all find their fields."""
    request = parse(VENDOR_REQUEST, CreateRequest)
    video = request.targets[0].video.transcode_video
    assert request.sources[0].align_mode == ALIGN_MODE_FALSE
    assert request.targets[0].container == CONTAINER_MP4
    assert (video.codec, video.crf, video.gop_size, video.scale_type) == (VIDEO_CODEC_H264, 23, 150, SCALE_TYPE_FIT)
    assert video.frame_rate == pytest.approx(29.97)
    assert request.targets[0].audio.transcode_audio.codec == AUDIO_CODEC_AAC
    assert json_format.MessageToDict(request.tags)["nested"] == {"list": [None, True]}
    assert request.notification.mns.topic_name == "topic1"


def test_the_vendors_form_is_written() -> None:
    """What parse read, dump writes as it was, less the empty arrays."""
    dumped = dump(parse(VENDOR_REQUEST, CreateRequest))
    expected = json.loads(json.dumps(VENDOR_REQUEST))
    del expected["Sources"][0]["Subtitles"]
    del expected["Targets"][0]["Video"]["FilterVideo"]["Delogos"]
    expected["Targets"][0]["Image"] = {}
    expected["CredentialConfig"] = {}
    assert dumped == expected
    assert "1.0" not in json.dumps(dumped["Tags"])


def test_spellings_may_be_mixed() -> None:
    """snake_case and CamelCase keys, proto enum names, words in any case."""
    data = {
        "project_name": "p",
        "Sources": [{"uri": "x", "AlignMode": "LOOP"}],
        "targets": [{"video": {"TranscodeVideo": {"codec": "VIDEO_CODEC_H264", "scale_type": "SCALE-TYPE_FIT"}}}],
    }
    request = parse(data, CreateRequest)
    assert request.sources[0].align_mode == ALIGN_MODE_LOOP
    assert request.targets[0].video.transcode_video.codec == VIDEO_CODEC_H264
    assert request.targets[0].video.transcode_video.scale_type == SCALE_TYPE_FIT


@pytest.mark.parametrize(
    ("value", "number"),
    [(False, 1), ("false", 1), ("loop", 2), ("Pad", 3), ("", 0), (None, 0), (2, 2), ("align_mode_pad", 3)],
)
def test_align_mode_takes_the_boolean_false(value: object, number: int) -> None:
    """YAML and JSON writers drop the quotes around `false`."""
    assert parse({"AlignMode": value}, Source).align_mode == number


@pytest.mark.parametrize("word", ["desc", "DESC", "DES", "des", "SORT_ORDER_DESC"])
def test_order_takes_older_words(word: str) -> None:
    """An older text of the vendor spells it DES."""
    assert parse({"Order": word}, media_convert.ListTasksRequest).order == media_convert.SORT_ORDER_DESC


@pytest.mark.parametrize("field", ["Sources", "Targets", "Tags", "Video", "UserData"])
def test_null_is_absent(field: str) -> None:
    """null never sets anything."""
    message_type = Target if field == "Video" else CreateRequest
    assert parse({field: None}, message_type) == message_type()


def test_an_empty_object_is_present() -> None:
    """Video:{} says something else than no Video."""
    target = parse({"Video": {}, "Audio": None}, Target)
    assert target.HasField("video")
    assert not target.HasField("audio")
    assert not target.video.HasField("transcode_video")
    assert dump(target) == {"Video": {}}
    assert dump(parse({"Video": {"TranscodeVideo": {}}}, Target)) == {"Video": {"TranscodeVideo": {}}}


def test_an_explicit_zero_is_present() -> None:
    """crf 0 is lossless, not absent."""
    assert parse({"CRF": 0}, TranscodeVideo).HasField("crf")
    assert dump(TranscodeVideo(crf=0)) == {"CRF": 0}
    assert dump(TranscodeVideo()) == {}


def test_every_problem_is_reported_with_its_path() -> None:
    """Unknown fields, wrong types and wrong words, all at once."""
    data = {
        "ProjectName": 5,
        "Sources": [{"URI": "x", "Durration": 3}, "file.mp4"],
        "targets": [{"Video": {"TranscodeVideo": {"Codec": "h266", "bitrate": "fast", "crf": True}}}],
        "Tags": ["a"],
        "Priority": 1.5,
        "Webhook": "x",
    }
    result = problems(data)
    assert result["project_name"] == "must be a string, not the number 5"
    assert result["sources[0].Durration"] == "is not a field of Source; did you mean Duration?"
    assert result["sources[1]"] == "must be an object, not the string 'file.mp4'"
    assert result["targets[0].video.transcode_video.codec"] == "must be one of copy, h264, h265, vp9, av1, not 'h266'"
    assert result["targets[0].video.transcode_video.bitrate"] == "must be a whole number, not the string 'fast'"
    assert result["targets[0].video.transcode_video.crf"] == "must be a number, not true"
    assert result["tags"] == "must be an object of JSON values"
    assert result["priority"] == "must be a whole number, not the number 1.5"
    assert result["Webhook"] == "is not a field of CreateMediaConvertTaskRequest"
    assert len(result) == 9


def test_suggestions_keep_the_callers_spelling() -> None:
    """Who writes snake_case is told the snake_case name."""
    assert problems({"transcode_vidio": {}}, TargetVideo)["transcode_vidio"].endswith("did you mean transcode_video?")
    assert problems({"TranscodeVidio": {}}, TargetVideo)["TranscodeVidio"].endswith("did you mean TranscodeVideo?")
    assert problems({"transcodeVideo": {}}, TargetVideo)["transcodeVideo"].endswith("did you mean TranscodeVideo?")


def test_unknown_fields_can_be_ignored_but_nothing_else() -> None:
    """As the vendor's service does."""
    assert parse({"Nope": 1, "URI": "x"}, Source, ignore_unknown=True) == Source(uri="x")
    assert list(problems({"Nope": 1, "URI": 1}, Source, ignore_unknown=True)) == ["uri"]


@pytest.mark.parametrize(
    ("data", "message_type", "path"),
    [
        ({"Priority": 2**31}, CreateRequest, "priority"),
        ({"Stream": [1, None]}, TargetVideo, "stream[1]"),
        ({"Stream": 3}, TargetVideo, "stream"),
        ({"URI": "\ud800"}, Source, "uri"),
        ({"FrameRate": 1e39}, TranscodeVideo, "frame_rate"),
        ({"Attached": "yes"}, Source, "attached"),
        ({"Codec": 77}, TranscodeVideo, "codec"),
        ({"Codec": True}, TranscodeVideo, "codec"),
        ({"StartTime": "yesterday"}, Task, "start_time"),
        ({"StartTime": 5}, Task, "start_time"),
        ({"URI": "a", "uri": "a"}, Source, "uri"),
        ({"Limits": {"a": "much"}}, media_convert.GetCapabilitiesResponse, "limits['a']"),
        ([], CreateRequest, ""),
        ({"Tags": {"a": datetime.date(2026, 1, 31)}}, CreateRequest, "tags"),
    ],
)
def test_values_that_do_not_fit(data: Any, message_type: type[Message], path: str) -> None:
    """Each is refused with its path, never with another exception."""
    assert list(problems(data, message_type)) == [path]


def test_numbers_and_booleans_may_be_text() -> None:
    """Parameters from a query string are text; 64-bit integers may be in JSON."""
    assert parse({"Priority": "3", "RequestId": ""}, CreateRequest).priority == 3
    assert parse({"Attached": "True", "StartTime": "1.5"}, Source) == Source(attached=True, start_time=1.5)
    assert parse({"MaxResults": 7.0}, media_convert.ListTasksResponse).max_results == 7


def test_words_and_times_of_a_task() -> None:
    """Statuses, types and phases are CamelCase; times are RFC 3339; 64-bit numbers are numbers."""
    task = parse(
        {
            "Status": "Succeeded",
            "TaskType": "MediaConvert",
            "StartTime": "2026-01-31T12:00:00.5+02:00",
            "Artifacts": [{"URI": "x", "Size": 2**40, "Streams": [{"Type": "video"}]}],
            "Phase": "Converting",
        },
        Task,
    )
    assert (task.status, task.phase) == (TASK_STATUS_SUCCEEDED, TASK_PHASE_CONVERTING)
    assert dump(task) == {
        "Status": "Succeeded",
        "TaskType": "MediaConvert",
        "StartTime": "2026-01-31T10:00:00.500Z",
        "Artifacts": [{"URI": "x", "Size": 2**40, "Streams": [{"Type": "video"}]}],
        "Phase": "Converting",
    }
    request = media_convert.ListTasksRequest(sort=media_convert.TASK_SORT_TASK_ID, order=media_convert.SORT_ORDER_DESC)
    assert dump(request) == {"Sort": "TaskId", "Order": "desc"}


def test_dump_is_always_json() -> None:
    """NaN, infinities and enum numbers from a newer server do not break the output."""
    request = CreateRequest(sources=[Source(start_time=float("inf"))])
    request.tags["x"] = float("nan")
    task = Task(status=TASK_STATUS_RUNNING, phase=99)  # type: ignore[arg-type]
    text = json.dumps([dump(request), dump(task)], allow_nan=False)
    assert json.loads(text) == [
        {"Sources": [{"StartTime": "Infinity"}], "Tags": {"x": "NaN"}},
        {"Status": "Running", "Phase": 99},
    ]


def test_short_floats_stay_short() -> None:
    """A 32-bit 0.1 is not 0.10000000149011612."""
    for speed in (0.7, 0.123456, 0.9876543):
        assert dump(Target(speed=speed)) == {"Speed": speed}
    assert dump(Segment(duration=10.0)) == {"Duration": 10}
    assert repr(dump(Segment(duration=10.0))["Duration"]) == "10"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

_BITS = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values of a scalar or enum field."""
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.cpp_type in _BITS:
        return st.integers(-(2 ** _BITS[field.cpp_type]), 2 ** _BITS[field.cpp_type] - 1)
    return {
        FieldDescriptor.CPPTYPE_STRING: st.text(max_size=8),
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
        FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False),
    }[field.cpp_type]


def fill(draw: st.DrawFn, message: Any) -> None:
    """Sets some fields of a message, at random."""
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        child = field.message_type
        if child is None and field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(scalars(field), max_size=2)))
        elif child is None:
            setattr(message, field.name, draw(scalars(field)))
        elif child.GetOptions().map_entry:
            values = scalars(child.fields_by_name["value"])
            getattr(message, field.name).update(draw(st.dictionaries(st.text(max_size=5), values, max_size=2)))
        elif child.full_name == "google.protobuf.Struct":
            getattr(message, field.name).update(draw(st.dictionaries(st.text(max_size=5), json_values, max_size=2)))
        elif child.full_name == "google.protobuf.Timestamp":
            getattr(message, field.name).FromNanoseconds(draw(st.integers(0, 10**18)))
        elif field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                fill(draw, getattr(message, field.name).add())
        else:
            getattr(message, field.name).SetInParent()
            fill(draw, getattr(message, field.name))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message of the contract."""
    kinds = [CreateRequest, Task, MediaInfo, media_convert.GetCapabilitiesResponse, projects.CreateProjectRequest, Target]
    message: Message = draw(st.sampled_from(kinds))()
    fill(draw, message)
    return message


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(messages())
def test_parse_undoes_dump(message: Message) -> None:
    """Whatever is in a message survives the way through JSON text."""
    text = json.dumps(dump(message), allow_nan=False)
    assert parse(json.loads(text), type(message)) == message


def test_zeros_are_written_on_demand() -> None:
    """Numbers and booleans of every message that is present; nothing that was merely not said."""
    task = Task(task_id="t", targets=[TargetProgress(percent=5)])
    assert dump(task)["Targets"] == [{"Percent": 5}]
    dumped = dump(task, zeros=True)
    assert dumped["Progress"] == 0 and dumped["CancelRequested"] is False
    assert dumped["Targets"][0]["TargetIndex"] == 0 and dumped["Targets"][0]["Percent"] == 5
    assert not {"Status", "Message", "Artifacts", "StartTime"} & dumped.keys()
    assert parse(dumped, Task) == task


def test_a_document_of_many_problems_is_soon_refused() -> None:
    """It has the first hundred of them, with names and values of a length that fits into a line of a log."""
    with pytest.raises(VendorJsonError) as caught:
        parse({f"Key{number}": 1 for number in range(300_000)}, CreateRequest)
    assert len(caught.value.problems) == 101 and caught.value.problems[-1] == ("", "these are the first 100 problems")
    with pytest.raises(VendorJsonError) as caught:
        parse({"x" * 1_000_000: 1, "Priority": "9" * 1_000_000, "Sources": "9" * 1_000_000}, CreateRequest)
    assert len(caught.value.problems) == 3 and len(str(caught.value)) < 2000
