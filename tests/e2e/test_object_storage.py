"""A running service between object stores."""

from pathlib import Path
from urllib.parse import quote

import grpc
import imageio_ffmpeg
import pytest

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1.media_convert_service_pb2_grpc import MediaConvertServiceStub
from reelmill.v1.task_pb2 import Task
from reelmill_client import Client, InvalidArgument, PermissionDenied, TaskFailed
from tests import servers
from tests.e2e.conftest import Stores
from tests.stores import KEYS, Front, web_files

pytestmark = pytest.mark.xdist_group("service")
ROLE = "arn:aws:iam::123456789012:role/films"
NAME = "Ep #1 50%25"  # not encoded
SMALL = {"TranscodeVideo": {"Codec": "h264", "Resolution": "160x90"}}


@pytest.fixture
def stored(stores: Stores, clip: Path) -> str:
    """The clip in S3, by the name that a request written for OSS would use."""
    stores.moto.client.put_object(Bucket="films", Key=f"old/{NAME}.mp4", Body=clip.read_bytes())
    return f"oss://library/{NAME}.mp4"


def _request(source: str, target: str, **more: object) -> dict[str, object]:
    hls = {"URI": target, "Container": "ts", "Segment": {"Format": "hls", "Duration": 1}, "Video": SMALL}
    return {"ProjectName": "default", "Sources": [{"URI": source}], "Targets": [hls], **more}


def _run(client: Client, request: dict[str, object]) -> Task:
    return client.wait(client.submit(request).task_id)


def _played(files: dict[str, bytes], name: str) -> int:
    """The frames that a player gets from a web server that has these files under their names."""
    served = Front(web_files(files, {})).start()
    frames, _ = imageio_ffmpeg.count_frames_and_secs(f"{served.url}/{quote(name)}")
    return int(frames)


@pytest.mark.slow
def test_from_one_store_to_another(client: Client, stores: Stores, stored: str) -> None:
    """An alias of S3 is read in the name of a role, HLS appears in S3 and in Google Cloud Storage, whole and labelled."""
    credentials = {"ServiceRole": ROLE}
    request = _request(stored, "s3://films/hls/{barename}.m3u8", CredentialConfig=credentials)
    assert client.plan(request).media_infos[0].duration == pytest.approx(2, abs=0.1)
    assert [artifact.uri for artifact in _run(client, request).artifacts] == [f"s3://films/hls/{NAME}.m3u8"]
    films = stores.moto.client
    keys = [entry["Key"] for entry in films.list_objects_v2(Bucket="films", Prefix="hls/")["Contents"]]
    files = {key: films.get_object(Bucket="films", Key=key)["Body"].read() for key in keys}
    assert _played(files, f"hls/{NAME}.m3u8") == 50
    task = _run(client, _request(f"s3://films/hls/{NAME}-0.ts", "gs://streams/hls/a clip.m3u8"))
    assert [artifact.uri for artifact in task.artifacts] == ["gs://streams/hls/a clip.m3u8"]
    bucket = stores.emulator.client.bucket("streams")
    listed = bucket.get_blob("hls/a clip.m3u8")
    assert (listed.content_type, listed.cache_control) == ("application/vnd.apple.mpegurl", "no-cache")
    assert _played({blob.name: blob.download_as_bytes() for blob in bucket.list_blobs()}, listed.name) == 25


def test_a_file_is_looked_at_in_the_name_of_a_role(server: servers.Server, stored: str) -> None:
    """With the same rules as a conversion's."""
    with grpc.insecure_channel(server.grpc) as channel:
        probe = MediaConvertServiceStub(channel).ProbeMedia
        request = pb.ProbeMediaRequest(project_name="default", source_uri=stored)
        request.credential_config.service_role = ROLE
        assert probe(request, timeout=60).media_info.duration == pytest.approx(2, abs=0.1)
        request.credential_config.service_role = "somebody"
        with pytest.raises(grpc.RpcError) as caught:
            probe(request, timeout=60)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED  # type: ignore[attr-defined]


@pytest.mark.slow
def test_what_a_store_refuses(client: Client, server: servers.Server, stored: str) -> None:
    """At once when the table says so, else the task fails with the code and the URI; no key is told anywhere."""
    with pytest.raises(PermissionDenied, match="not one that this server may assume"):
        client.submit(_request(stored, "s3://films/x.m3u8", CredentialConfig={"ServiceRole": "arn:aws:iam2::1:role/x"}))
    with pytest.raises(InvalidArgument, match="is not a service account of Google Cloud"):
        client.submit(_request(stored, "gs://streams/x.m3u8", CredentialConfig={"ServiceRole": ROLE}))
    for source, code in (("oss://library/none.mp4", "ResourceNotFound"), ("s3://missing/a.mp4", "BucketNotFound")):
        with pytest.raises(TaskFailed) as caught:
            _run(client, _request(source, "s3://films/x.m3u8"))
        assert (caught.value.code, source in caught.value.message) == (code, True)
    with pytest.raises(TaskFailed, match="The bucket of gs://missing"):
        _run(client, _request(stored, "gs://missing/x.m3u8"))
    data = server.log.parent
    for file in (server.log, *data.glob("*.db*")):
        assert not any(value.encode() in file.read_bytes() for value in KEYS.values()), file
