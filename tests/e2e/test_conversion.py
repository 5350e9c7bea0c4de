"""From a client to a file and back, against a running service."""

import hashlib
import json
import shlex
import threading
import uuid
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill.v1.video_pb2 import VIDEO_CODEC_H264
from reelmill_client import (
    Client,
    FailedPrecondition,
    FieldNotSupported,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TaskCanceled,
    TaskFailed,
)
from tests import judge, servers
from tests.sources import Audio, Clip, Data, cover, write

pytestmark = pytest.mark.xdist_group("service")


def judged(path: Path) -> tuple[int, float]:
    """Pictures and seconds of a file, counted by another FFmpeg than the one that wrote it."""
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    return frames, seconds


def test_one_task_makes_several_verified_files(client: Client, clip: Path, files: Path) -> None:
    """An encode, a stream copy and sound alone from one decode, each whole when its task has succeeded."""
    base = f"{files.as_uri()}/several/{{barename}}"
    h264 = {"TranscodeVideo": {"Codec": "h264", "Resolution": "160x90", "CRF": 30}}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri()}],
        "Targets": [
            {"URI": f"{base}-{{resolution}}", "Container": "mp4", "Video": h264, "Audio": {"TranscodeAudio": {"Codec": "aac"}}},
            {"URI": f"{base}.copy.mkv", "Container": "mkv"},
            {"URI": f"{base}-{{tags.kind}}", "Container": "m4a", "Video": {"DisableVideo": True}},
        ],
        "Tags": {"kind": "sound", "n": 1},
        "UserData": "abc",
    }
    progress: list[int] = []
    submitted = client.submit(request)
    for task in client.watch(submitted.task_id):
        progress.append(task.progress)
    assert task.status == task_pb2.TASK_STATUS_SUCCEEDED, task.message
    assert progress == sorted(progress) and progress[-1] == 100
    names = [Path(artifact.uri).name for artifact in task.artifacts]
    assert names == ["clip-160x90.mp4", "clip.copy.mkv", "clip-sound.m4a"]
    for artifact in task.artifacts:
        path = files / "several" / Path(artifact.uri).name
        assert artifact.size == path.stat().st_size
    for name in names[:2]:
        frames, seconds = judged(files / "several" / name)
        assert frames == 50 and seconds == pytest.approx(2, abs=0.05)
    assert [stream.encoder for stream in task.artifacts[0].streams] == ["libx264", "aac"]
    assert {stream.encoder for stream in task.artifacts[1].streams} == {"copy"}
    assert (task.user_data, task.tags["n"], task.event_id[3]) == ("abc", 1, "-")
    assert not list((files / "several").glob(".reelmill*"))


@pytest.mark.slow
def test_a_ladder_and_one_set_of_files_for_hls_and_dash(client: Client, clip: Path, files: Path) -> None:
    """Every list that the task names can be played, and the checksums are those of the files."""
    base, aac = f"{files.as_uri()}/ladder", {"TranscodeAudio": {"Codec": "aac"}}
    lines = files / "lines.srt"
    lines.write_text("1\n00:00:00,500 --> 00:00:01,500\nover the border\n\n")
    extract = {"ExtractSubtitle": {"Format": "vtt", "URI": f"{base}/lines"}}

    def target(name: str, size: str, **more: object) -> dict[str, object]:
        video = {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast", "Resolution": size}}
        return {"URI": f"{base}/{name}", "Container": "mp4", "Video": video, "Audio": aac, **more}

    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri(), "Subtitles": [{"URI": lines.as_uri(), "Language": "eng"}]}],
        "Targets": [target("both", "160x90", Segment={"Format": form, "Duration": 1}) for form in ("hls", "dash")],
        "TargetGroups": [
            {
                "URI": f"{base}/main.m3u8",
                "Targets": [
                    target("160x90/v", "160x90", Segment={"Format": "hls", "Duration": 1}, Subtitle=extract),
                    target("80x46/v", "80x46", Segment={"Format": "hls", "Duration": 1}),
                ],
            }
        ],
    }
    *_, task = client.watch(client.submit(request).task_id)
    assert task.status == task_pb2.TASK_STATUS_SUCCEEDED, task.message
    assert [target.target_index for target in task.targets] == [0, 1, 2, 3]
    kinds = {Path(artifact.uri).name: artifact.kind for artifact in task.artifacts}
    assert kinds["both.mpd"] == task_pb2.ARTIFACT_KIND_MANIFEST and kinds["v.m3u8"] == task_pb2.ARTIFACT_KIND_PLAYLIST
    assert kinds["both.m3u8"] == kinds["main.m3u8"] == task_pb2.ARTIFACT_KIND_MASTER_PLAYLIST
    assert {"main-audio.m3u8", "both-0.m3u8", "both-1.m3u8"} <= set(kinds)
    for artifact in task.artifacts:
        path = files / artifact.uri.removeprefix(f"{files.as_uri()}/")
        assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        if not any(word in path.name for word in ("audio", "lines", "both-1.m3u8")):
            assert judged(path)[0] == 50
    shown = ["over the border" in (files / f"ladder/lines_0-{number}.vtt").read_text() for number in range(2)]
    assert shown == [True, True] and 'LANGUAGE="eng"' in (files / "ladder/main.m3u8").read_text()


def test_pictures_beside_a_conversion_and_alone(client: Client, clip: Path, files: Path) -> None:
    """Snapshots, a sheet with its WebVTT and an animation; the plan says how the frames are found, the task when they are."""
    base = f"{files.as_uri()}/pictures"
    image = {
        "Snapshots": [{"URI": f"{base}/shot", "Format": "jpg", "Mode": "average", "Number": 3}],
        "Sprites": [
            {"URI": f"{base}/sheet", "Format": "png", "Interval": 0.5, "ScaleWidth": 0.5, "WebVTTURI": f"{base}/sheet"}
        ],
        "Animations": [{"URI": f"{base}/moving.{{autoext}}", "Format": "gif", "Interval": 0.25, "Width": 64, "Height": 36}],
    }
    video = {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast"}}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri()}],
        "Targets": [{"URI": f"{base}/film", "Container": "mp4", "Video": video, "Image": image}, {"Image": image}],
    }
    planned = client.plan(request).plan.images
    assert [entry.reading for entry in planned] == ["shared"] * 6
    request["Targets"] = request["Targets"][1:]  # type: ignore[index]
    *_, task = client.watch(client.submit(request).task_id)
    assert task.status == task_pb2.TASK_STATUS_SUCCEEDED, task.message
    results = {Path(artifact.uri).name: artifact for artifact in task.artifacts}
    assert list(results) == ["shot_0_1.jpg", "shot_0_2.jpg", "shot_0_3.jpg", "sheet_0_1.png", "sheet.vtt", "moving.gif"]
    for artifact in task.artifacts:
        content = (files / "pictures" / Path(artifact.uri).name).read_bytes()
        assert (artifact.size, artifact.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert results["shot_0_2.jpg"].frame_times == pytest.approx([1])
    assert results["shot_0_2.jpg"].kind == task_pb2.ARTIFACT_KIND_SNAPSHOT
    assert results["moving.gif"].frame_times == pytest.approx([step / 4 for step in range(8)], abs=0.04)
    assert task.targets[0].percent == 100


def test_the_request_comes_back_in_the_vendors_form(client: Client, clip: Path, files: Path) -> None:
    """GetTask and ListTasks give the definition only when asked, and it parses to the same request."""
    request = pb.CreateMediaConvertTaskRequest(project_name="default", request_id=str(uuid.uuid4()))
    request.sources.add(uri=clip.as_uri(), duration=1)
    request.targets.add(uri=f"{files.as_uri()}/definition.mkv", container=2)
    task_id = client.submit(request).task_id
    assert client.get(task_id).task_request_definition == ""
    definition = json.loads(client.get(task_id, with_definition=True).task_request_definition)
    assert definition["Targets"][0]["Container"] == "mkv"
    assert vendor_json.parse(definition, pb.CreateMediaConvertTaskRequest) == request
    client.wait(task_id)


def test_the_same_request_id_is_the_same_task(client: Client, clip: Path, files: Path) -> None:
    """A retried create makes nothing new; another id does."""
    arguments = {"source": clip, "destination": files / "same.mkv"}
    ids = {client.submit(**arguments, request_id="0f0e0d0c-1111-4222-8333-444455556666").task_id for _ in range(3)}
    assert len(ids) == 1
    assert client.submit(**arguments).task_id not in ids
    other = {**arguments, "destination": str(files / "other.mp4")}
    with pytest.raises(FailedPrecondition, match="belongs to another request"):
        client.submit(**other, request_id="0f0e0d0c-1111-4222-8333-444455556666")


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.mp4", b"", "InvalidMedia"),
        ("text.mp4", b"this is text\n" * 50, "InvalidMedia"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclip.mp4\n#EXT-X-ENDLIST\n", "InvalidMedia"),
        ("concat.mp4", b"ffconcat version 1.0\nfile clip.mp4\n", "UnsupportedFormat"),
    ],
)
def test_files_that_are_no_media_fail_with_a_code(
    client: Client, files: Path, clip: Path, name: str, content: bytes, code: str
) -> None:
    """The task fails and says why; the service is untouched and leaves nothing behind."""
    (files / name).write_bytes(content)
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(source=files / name, destination=files / "bad" / "out.mp4", video="h264").task_id)
    assert failure.value.code == code
    assert not (files / "bad").exists()


@pytest.mark.slow
def test_a_truncated_source_fails_rather_than_giving_a_short_output(client: Client, files: Path, long_clip: Path) -> None:
    """An mp4 whose index promises more than the file holds is not converted."""
    broken = files / "truncated.mp4"
    data = long_clip.read_bytes()
    index = data.index(b"mdat") if data.index(b"moov") < data.index(b"mdat") else None
    moved = data if index else _with_index_in_front(long_clip, files / "front.mp4").read_bytes()
    broken.write_bytes(moved[: len(moved) // 2])
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(source=broken, destination=files / "short.mp4", video="h264", preset="ultrafast").task_id)
    assert failure.value.code == "InvalidMedia" and "truncated" in failure.value.message
    assert not (files / "short.mp4").exists()


def _with_index_in_front(source: Path, copy: Path) -> Path:
    import av

    with av.open(str(source)) as read, av.open(str(copy), "w", options={"movflags": "+faststart"}) as written:
        streams = {stream.index: written.add_stream_from_template(stream, opaque=True) for stream in read.streams}
        for packet in read.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                written.mux(packet)
    return copy


def test_missing_and_forbidden_sources(client: Client, files: Path, tmp_path: Path) -> None:
    """What is not there fails the task; what lies outside the roots is refused at once, also through a link."""
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(source=files / "nope.mp4", destination=files / "x.mp4").task_id)
    assert failure.value.code == "ResourceNotFound"
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(b"x")
    (files / "link.mp4").symlink_to(outside)
    for source in (outside, files / "link.mp4", f"{files.as_uri()}/../../secret.mp4"):
        with pytest.raises(PermissionDenied):
            client.submit(source=source, destination=files / "x.mp4")
    with pytest.raises(PermissionDenied):
        client.submit(source=files / "clip.mp4", destination=tmp_path / "x.mp4")


def test_every_violation_is_told_at_once(client: Client, files: Path) -> None:
    """Eleven mistakes in one request, the unknown project among them, give eleven violations with their paths."""
    request = pb.CreateMediaConvertTaskRequest(
        project_name="unknown", request_id="not-a-uuid", priority=9, user_data="x" * 3000
    )
    request.sources.add(uri="ftp://host/a.mp4", start_time=-1)
    target = request.targets.add(uri=f"{files.as_uri()}/{{nothing}}.mp4", container=1)
    video = target.video.transcode_video
    video.codec, video.crf, video.resolution, video.rotation = VIDEO_CODEC_H264, 60, "0x10", 45
    target.audio.transcode_audio.codec = 4
    target.audio.transcode_audio.bitrate = 10
    with pytest.raises(InvalidArgument) as failure:
        client.submit(request)
    assert {violation.field for violation in failure.value.violations} == {
        "project_name",
        "request_id",
        "priority",
        "user_data",
        "sources[0].uri",
        "sources[0].start_time",
        "targets[0].uri",
        "targets[0].video.transcode_video.crf",
        "targets[0].video.transcode_video.resolution",
        "targets[0].video.transcode_video.rotation",
        "targets[0].audio.transcode_audio.bitrate",
    }
    assert failure.value.request_id


def test_an_unknown_project_alone_is_not_found(client: Client, clip: Path, files: Path) -> None:
    """The status says what is missing."""
    with pytest.raises(NotFound) as failure:
        client.submit(source=clip, destination=files / "x.mp4", project="unknown")
    assert failure.value.code == "ResourceNotFound"


def test_what_is_not_honored_yet_is_refused_field_by_field(client: Client, clip: Path, files: Path) -> None:
    """UNIMPLEMENTED with one violation for each such field; nothing is silently ignored."""
    slim = {"TranscodeVideo": {"Codec": "h264", "VideoSlim": 1}}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri()}],
        "Targets": [{"URI": f"{files.as_uri()}/{name}.mp4", "Container": "mp4", "Video": slim} for name in ("x", "y")],
    }
    with pytest.raises(FieldNotSupported) as failure:
        client.submit(request)
    fields = {violation.field for violation in failure.value.violations}
    assert fields == {f"targets[{number}].video.transcode_video.video_slim" for number in (0, 1)}


def test_a_bitrate_above_the_source_is_lowered_or_fails_the_task(client: Client, clip: Path, files: Path) -> None:
    """The source's rate is found by the worker, as its container may not tell it."""
    answers = {}
    for option in ("adaptive", "fall"):
        transcode = {"Codec": "h264", "Bitrate": 50_000_000, "BitrateOption": option}
        request = {
            "ProjectName": "default",
            "Sources": [{"URI": clip.as_uri()}],
            "Targets": [
                {
                    "URI": f"{files.as_uri()}/{option}.avi",
                    "Container": "avi",
                    "Video": {"TranscodeVideo": transcode},
                    "Audio": {"TranscodeAudio": {"Codec": "mp3", "Quality": 50}},
                }
            ],
        }
        answers[option] = client.plan(request)
    video, audio = answers["adaptive"].plan.targets[0].streams
    assert 0 < int(video.options["b"]) < 50_000_000
    assert audio.options["flags"] == "+qscale"
    assert not answers["fall"].valid and answers["fall"].problems[0].code == "ConditionNotMet"


@pytest.mark.slow
def test_cancel_ends_the_child_and_leaves_nothing(client: Client, server: servers.Server, long_clip: Path, files: Path) -> None:
    """A canceled task is CANCELED, its process is gone, no file appears; a second cancel is the same, a late one refused."""
    before = servers.at_work(server)
    task_id = client.submit(source=long_clip, destination=files / "canceled.mp4", **servers.ENDLESS).task_id
    servers.wait_for(lambda: client.get(task_id).phase == task_pb2.TASK_PHASE_CONVERTING, "the encode")
    children = servers.at_work(server) - before
    assert children
    assert client.cancel(task_id).cancel_requested
    client.cancel(task_id)
    with pytest.raises(TaskCanceled):
        client.wait(task_id)
    assert not children & set(servers.processes(server.process.pid))
    assert client.cancel(task_id).status == task_pb2.TASK_STATUS_CANCELED
    assert not (files / "canceled.mp4").exists() and not list(files.glob(".reelmill*"))


def test_a_finished_task_cannot_be_canceled(client: Client, clip: Path, files: Path) -> None:
    """FAILED_PRECONDITION once it has succeeded."""
    task_id = client.submit(source=clip, destination=files / "finished.mkv").task_id
    client.wait(task_id)
    with pytest.raises(FailedPrecondition) as failure:
        client.cancel(task_id)
    assert failure.value.code == "StatusConflict"


def test_plan_says_what_would_run_and_creates_nothing(client: Client, clip: Path, files: Path) -> None:
    """The same request, the encoder with the reasons, and no task."""
    count = len(list(client.list()))
    answer = client.plan(source=clip, destination=files / "planned.webm", video="vp9", audio="opus", size="100x")
    assert answer.valid and answer.media_infos[0].video_width == 320
    video, audio = answer.plan.targets[0].streams
    assert (video.encoder, audio.encoder) == ("libvpx-vp9", "libopus")
    command = answer.plan.ffmpeg_command.lines
    assert command[0] == "ffmpeg" and command[1].endswith(f"-i {shlex.quote(str(clip))}")
    assert command[-1].endswith(str(files / "planned.webm")) and any("-c:v libvpx-vp9" in line for line in command)
    assert "vp9_vaapi" in video.reason and "scale=100:180:flags=bicubic" in video.filters
    assert len(list(client.list())) == count and not (files / "planned.webm").exists()
    wrong = client.plan(source=clip, destination=files / "planned.webm", video="h264")
    assert not wrong.valid and wrong.problems[0].field == "targets[0].video.transcode_video.codec"


def test_probe_and_capabilities(client: Client, clip: Path) -> None:
    """Both come from a worker, without a task."""
    info = client.probe(clip.as_uri())
    assert (info.format_name, info.video_streams[0].average_frame_rate) == ("mov,mp4,m4a,3gp,3g2,mj2", "25/1")
    assert (info.audio_streams[0].sample_rate, info.video_streams[0].field_order) == (48000, "progressive")
    answer = client.capabilities()
    results = {encoder.name: encoder for encoder in answer.encoders}
    assert results["libx264"].available and results["libsvtav1"].available
    assert [name for name, encoder in results.items() if not encoder.available and not encoder.reason] == []
    assert {filter_.codec for filter_ in answer.filters if filter_.available or filter_.reason} == {"vmaf", "xpsnr"}
    assert answer.limits["max_pixels"] > 0 and "pyav" in answer.versions
    assert answer.sandbox.mode == "prefer" and (answer.sandbox.walls or answer.sandbox.lacks)


@pytest.mark.cluster
def test_fifty_tasks_on_two_slots_with_twenty_watchers(client: Client, server: servers.Server, clip: Path, files: Path) -> None:
    """All end well, and every watcher sees its task's end and a progress that never falls."""
    ids = [
        client.submit(source=clip, destination=files / "fifty" / f"{number}.mkv", tags={"batch": "fifty"}).task_id
        for number in range(50)
    ]
    ends: dict[int, int] = {}

    def watch(number: int) -> None:
        with servers.client(server) as own:
            seen = [(task.progress, task.status) for task in own.watch(ids[-1 - number % 5])]
            assert [progress for progress, _ in seen] == sorted(progress for progress, _ in seen)
            ends[number] = seen[-1][1]

    watchers = [threading.Thread(target=watch, args=(number,)) for number in range(20)]
    for watcher in watchers:
        watcher.start()
    for task_id in ids:
        client.wait(task_id)
    for watcher in watchers:
        watcher.join(60)
    assert list(ends.values()) == [task_pb2.TASK_STATUS_SUCCEEDED] * 20
    assert len(list((files / "fifty").iterdir())) == 50
    listed = list(client.list(tags={"batch": "fifty"}))
    assert {task.task_id for task in listed} == set(ids)


def test_watching_a_project_sees_new_tasks_and_their_end(client: Client, clip: Path, files: Path) -> None:
    """All that match come first, then every change."""
    first = client.submit(source=clip, destination=files / "w1.mkv", tags={"watch": "me"}).task_id
    client.wait(first)
    seen: dict[str, list[int]] = {}
    second = ""
    for task in client.watch_all(tags={"watch": "me"}):
        seen.setdefault(task.task_id, []).append(task.status)
        if task.task_id == first and not second:
            second = client.submit(source=clip, destination=files / "w2.mkv", tags={"watch": "me"}).task_id
        if task.task_id == second and task.status != task_pb2.TASK_STATUS_RUNNING:
            break
    assert seen[first] == [task_pb2.TASK_STATUS_SUCCEEDED]
    assert seen[second][-1] == task_pb2.TASK_STATUS_SUCCEEDED


def test_options_keep_or_demand_what_the_source_has(client: Client, clip: Path, files: Path) -> None:
    """`adaptive` keeps the source's size, rate and sample rate when they are lower; `fall` fails the task then."""
    settings = {"Codec": "h264", "Preset": "ultrafast", "FrameRate": 50, "Resolution": "640x360"}
    more = {"FrameRateOption": "adaptive", "ResolutionOption": "adaptive"}
    sound = {"Codec": "opus", "SampleRate": 24000, "SampleRateOption": "fall"}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri()}],
        "Targets": [
            {
                "URI": f"{files.as_uri()}/options-{{resolution}}.mkv",
                "Container": "mkv",
                "Video": {"TranscodeVideo": {**settings, **more}},
                "Audio": {"TranscodeAudio": sound},
            }
        ],
    }
    task = client.wait(client.submit(request).task_id)
    video, audio = task.artifacts[0].streams
    assert (video.width, video.height, video.packet_count, audio.sample_rate) == (320, 180, 50, 48000)
    assert task.artifacts[0].uri.endswith("options-320x180.mkv")
    settings["FrameRateOption"] = "fall"
    request["Targets"][0]["Video"] = {"TranscodeVideo": settings}
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(request).task_id)
    assert failure.value.code == "ConditionNotMet" and "frame_rate is 50" in failure.value.message


def test_subtitles_come_from_a_file_and_leave_as_files(client: Client, clip: Path, files: Path) -> None:
    """A Russian file becomes a stream of the output and a file of its own, and a target may be nothing but files."""
    lines = "1\n00:00:00,250 --> 00:00:01,125\nЯ не знаю, что сказать.\n\n"
    (files / "lines.srt").write_bytes(lines.encode("cp1251"))
    base = f"{files.as_uri()}/subtitled"
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri(), "Subtitles": [{"URI": f"{files.as_uri()}/lines.srt", "Language": "rus"}]}],
        "Targets": [
            {"URI": f"{base}/a.mp4", "Container": "mp4", "Subtitle": {}},
            {"Subtitle": {"ExtractSubtitle": {"Format": "vtt", "URI": f"{base}/{{barename}}.vtt"}}},
        ],
    }
    task = client.wait(client.submit(request).task_id)
    assert [(Path(artifact.uri).name, artifact.target_index) for artifact in task.artifacts] == [
        ("a.mp4", 0),
        ("clip_0.vtt", 1),
    ]
    assert [stream.codec for stream in task.artifacts[0].streams][-1] == "mov_text"
    text = (files / "subtitled" / "clip_0.vtt").read_text()
    assert "00:00.250 --> 00:01.125\nЯ не знаю, что сказать." in text
    assert [target.target_index for target in task.targets] == [0, 1]
    bad = dict(request, Sources=[{"URI": clip.as_uri(), "Subtitles": [{"URI": clip.as_uri()}]}])
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(bad).task_id)
    assert failure.value.code == "InvalidMedia" and "clip.mp4: has no subtitles" in failure.value.message


@pytest.mark.slow
def test_sources_are_joined_and_mixed_through_the_service(client: Client, clip: Path, files: Path) -> None:
    """Two in a row, a third beside them for as long; the judge reads the result."""
    request = {
        "ProjectName": "default",
        "Sources": [
            {"URI": clip.as_uri()},
            {"URI": clip.as_uri(), "StartTime": 0.2},
            {"URI": clip.as_uri(), "Attached": True, "AlignMode": "loop", "DisableVideo": True},
        ],
        "Targets": [
            {
                "URI": f"{files.as_uri()}/joined.mp4",
                "Container": "mp4",
                "Video": {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast"}},
                "Audio": {"TranscodeAudio": {"Codec": "aac"}, "FilterAudio": {"Mixing": True}},
            }
        ],
    }
    client.wait(client.submit(request).task_id)
    result, one = judge.describe(files / "joined.mp4"), judge.describe(clip)
    assert [stream.kind for stream in result.streams] == ["Video", "Audio"]
    assert result.duration == pytest.approx(2 * one.duration - 0.2, abs=0.1)
    judge.check(files / "joined.mp4")


@pytest.mark.slow
def test_marks_are_drawn_and_logos_filled_through_the_service(client: Client, clip: Path, files: Path) -> None:
    """A text, a file and a delogo; what no font has is a warning, and a file that is no picture fails the task by name."""
    Image.new("RGBA", (40, 20), (255, 255, 255, 255)).save(files / "white.png")
    filters = {
        "Watermarks": [
            {"Content": "𒀀中", "FontSize": 40, "FontColor": "white", "Dx": 0.5, "Dy": 0.5, "FontApha": 0.9},
            {"Type": "file", "URI": f"{files.as_uri()}/white.png", "ReferPos": "bottomright", "StartTime": 1},
        ],
        "Delogos": [{"Width": 30, "Height": 20, "Dx": 4, "Dy": 4}],
    }
    video = {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast", "CRF": 10}, "FilterVideo": filters}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": clip.as_uri()}],
        "Targets": [{"URI": f"{files.as_uri()}/marked.mp4", "Container": "mp4", "Video": video}],
    }
    task = client.wait(client.submit(request).task_id)
    assert ["U+12000 (Cuneiform)" in warning for warning in task.warnings] == [True]
    shown = judge.planes(files / "marked.mp4", "yuv420p")[0]
    corner = shown[:, -20:, -40:]
    assert corner[24].std() > 5 and corner[25:].min() > 225  # from the first second on
    filters["Watermarks"] = [{"Type": "file", "URI": f"{files.as_uri()}/lines.txt"}]
    (files / "lines.txt").write_text("no picture")
    with pytest.raises(TaskFailed) as failure:
        client.wait(client.submit(request).task_id)
    assert failure.value.code == "InvalidMedia" and "lines.txt" in failure.value.message


def test_data_and_cover_pictures_are_kept_through_the_service(client: Client, files: Path) -> None:
    """Both where asked for, told in the result; a container without a place for them is refused."""
    source = files / "tracked.mp4"
    write(Clip(data=(Data(),), covers=("mjpeg", "png")), source)
    target = {"Container": "mp4", "Data": {"Stream": [-1]}, "AttachedPicture": {"Stream": [1]}, "StripMetadata": True}
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": source.as_uri()}],
        "Targets": [{"URI": f"{files.as_uri()}/kept/all", **target}],
    }
    task = client.wait(client.submit(request).task_id)
    kinds = [task_pb2.StreamType.Name(stream.type).removeprefix("STREAM_TYPE_") for stream in task.artifacts[0].streams]
    assert kinds == ["VIDEO", "AUDIO", "DATA", "ATTACHED_PICTURE"]
    result = files / "kept" / "all.mp4"
    assert judge.content(result, "d:0") == judge.content(source, "d:0")
    assert judge.content(result, "v:1") == cover("png", 1)
    with pytest.raises(InvalidArgument) as caught:
        client.submit(dict(request, Targets=[{"URI": f"{files.as_uri()}/kept/no", **target, "Container": "mkv"}]))
    assert [violation.field for violation in caught.value.violations] == ["targets[0].data.stream"]


@pytest.mark.slow
def test_each_sound_becomes_a_file_of_its_own_through_the_service(client: Client, files: Path) -> None:
    """One target, two files, which share its progress; one name for both leaves the last, with a warning."""
    source = files / "dubbed.mp4"
    write(Clip(audio=(Audio(hz=440), Audio(hz=880))), source)
    target = {"Container": "mp3", "Audio": {"Stream": [101], "TranscodeAudio": {"Codec": "mp3"}}}
    names = ("dubbed/{barename}", "dubbed/one.mp3")
    request = {
        "ProjectName": "default",
        "Sources": [{"URI": source.as_uri()}],
        "Targets": [{"URI": f"{files.as_uri()}/{name}", **target} for name in names],
    }
    task = client.wait(client.submit(request).task_id)
    assert [target.target_index for target in task.targets] == [0, 1]
    assert sorted(path.name for path in (files / "dubbed").iterdir()) == ["dubbed_0.mp3", "dubbed_1.mp3", "one.mp3"]
    assert len(task.warnings) == 1 and "one.mp3: the last one stays" in task.warnings[0]
    for name, hz in (("dubbed_0", 440), ("dubbed_1", 880), ("one", 880)):
        assert judge.pitch(judge.sound(files / "dubbed" / f"{name}.mp3")[:, 0], 48000) == pytest.approx(hz, abs=2)


@pytest.mark.slow
def test_a_task_that_ended_is_retried_with_the_same_request(client: Client, files: Path, long_clip: Path) -> None:
    """Not one that runs. The new task says which one it retries; sent twice with one request id, there is one."""
    late, out = files / "late.mp4", files / "retried.mp4"
    request = {
        "Sources": [{"URI": late.as_uri()}],
        "Targets": [{"URI": out.as_uri(), "Container": "mp4"}],
        "Tags": {"show": "retry"},
        "UserData": "again",
    }
    failed = client.wait(client.submit(request).task_id, check=False)
    assert failed.code == "ResourceNotFound" and not failed.retry_of
    late.write_bytes(long_clip.read_bytes())
    again = client.retry(failed.task_id).task_id
    task = client.wait(again)
    assert (task.retry_of, task.user_data, dict(task.tags)) == (failed.task_id, "again", {"show": "retry"})
    assert judged(out)[0] == 1000
    definitions = [json.loads(client.get(one, with_definition=True).task_request_definition) for one in (failed.task_id, again)]
    for definition in definitions:
        definition.pop("RequestId")
    assert definitions[0] == definitions[1]
    assert [listed.retry_of for listed in client.list(tags={"show": "retry"}, sort="StartTime")] == ["", failed.task_id]
    running = client.submit(source=long_clip, destination=out, **servers.ENDLESS).task_id
    with pytest.raises(FailedPrecondition, match="has not ended"):
        client.retry(running)
    client.cancel(running)
    with pytest.raises(TaskCanceled):
        client.wait(running)
    with pytest.raises(NotFound):
        client.retry("MediaConvert-nobody")


@pytest.mark.slow
def test_workers_show_what_they_run(client: Client, files: Path, long_clip: Path) -> None:
    """Their room, their lanes, the running task with its encoders, and why an encoder is missing."""
    task_id = client.submit(source=long_clip, destination=files / "shown.mp4", **servers.ENDLESS).task_id

    converting = task_pb2.TASK_PHASE_CONVERTING

    def runs() -> list[pb.Worker]:
        return [one for one in client.workers() if any(attempt.phase == converting for attempt in one.attempts)]

    servers.wait_for(runs, "a worker that converts")
    (worker,) = runs()
    (attempt,) = worker.attempts
    assert (attempt.task_id, attempt.project_name, attempt.attempt) == (task_id, "default", 1)
    assert attempt.part == pb.TASK_PART_WHOLE and attempt.start_time.seconds
    assert "libx264" in attempt.targets[0].encoders
    lanes = {lane.name: lane for lane in worker.lanes}
    assert lanes["software"].available and lanes["fast"].available and not lanes["nvenc"].available
    assert lanes[attempt.lane].attempts == 1
    assert worker.load.max_slots == 2 and worker.load.max_cores > 0
    assert worker.seen_time.seconds >= worker.start_time.seconds > 0 and not worker.draining
    capabilities = client.capabilities()
    assert worker.name == capabilities.worker and worker.versions == capabilities.versions
    assert [one.reason for one in worker.encoders if one.name == "h264_nvenc"] != [""]
    client.cancel(task_id)
    client.wait(task_id, check=False)
    servers.wait_for(lambda: not client.workers()[0].attempts, "an idle worker")
