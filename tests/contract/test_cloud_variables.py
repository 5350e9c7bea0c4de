"""Variables that people set for their clouds' tools: what they lead to, against real servers (docs/storage.md)."""

from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from reelmill_server.settings import Settings
from reelmill_server.storage.base import Storage
from reelmill_server.storage.build import build_storage
from reelmill_server.storage.retry import RetryPolicy
from tests.stores import KEYS, GcsEmulator, Moto

DATA = b"data"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No pauses, and nothing of this machine's own credentials."""
    monkeypatch.setattr(RetryPolicy, "_wait", lambda self: wait_none())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def storage(tmp_path: Path, *buckets: str) -> Storage:
    """The storage of a worker."""
    return build_storage(Settings(data_dir=tmp_path / "data", **({"bucket": buckets} if buckets else {})))  # type: ignore[arg-type]


async def read(opened: Storage, uri: str) -> bytes:
    """An object's first bytes."""
    reader = await opened.open(uri)
    return await reader.read(0, len(DATA))


@pytest.fixture
def s3(moto: Moto) -> Moto:
    """S3 with an object."""
    moto.bucket("media")
    moto.client.put_object(Bucket="media", Key="a.mp4", Body=DATA)
    return moto


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_endpoint_of_s3(s3: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, host: str) -> None:
    """Buckets are in the path there, as such servers have no host name for each."""
    for variable, value in KEYS.items():
        monkeypatch.setenv(variable.upper(), value)
    monkeypatch.setenv(name, s3.url.replace("127.0.0.1", host))
    assert await read(storage(tmp_path), "s3://media/a.mp4") == DATA


async def test_an_endpoint_in_the_table_wins(s3: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the environment's."""
    for variable, value in KEYS.items():
        monkeypatch.setenv(variable.upper(), value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert await read(storage(tmp_path, f"s3://*=s3://*?endpoint={s3.url}"), "s3://media/a.mp4") == DATA


async def test_a_profile_in_files_elsewhere(s3: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, region and endpoint of the profile that AWS_PROFILE names."""
    (tmp_path / "keys").write_text("[work]\n" + "".join(f"{name} = {value}\n" for name, value in KEYS.items()))
    (tmp_path / "config").write_text(f"[profile work]\nregion = eu-central-1\nendpoint_url = {s3.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert await read(storage(tmp_path), "s3://media/a.mp4") == DATA


@pytest.mark.parametrize(
    ("environment", "option", "region"),
    [
        ({}, "", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "", "eu-west-1"),
        ({"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "", "eu-west-2"),
        ({"AWS_REGION": "eu-west-2"}, "&region=eu-west-3", "eu-west-3"),
    ],
)
def test_the_region_of_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], option: str, region: str
) -> None:
    """As Amazon's newer tools choose it."""
    from reelmill_server.model.buckets import parse_rule
    from reelmill_server.storage.roles import Identity
    from reelmill_server.storage.s3 import S3Service

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    target = parse_rule(f"s3://*=s3://*?endpoint=http://127.0.0.1:9{option}").target
    assert S3Service(target, Identity())._client.meta.region_name == region


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_the_emulator_of_google(
    gcs_emulator: GcsEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """It asks for no credentials."""
    gcs_emulator.bucket("media").blob("a.mp4").upload_from_string(DATA)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"{scheme}{gcs_emulator.url.partition('://')[2]}")
    assert await read(storage(tmp_path), "gs://media/a.mp4") == DATA


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        ("OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET OSS_SESSION_TOKEN", ("a", "b", "c")),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET ALIBABA_CLOUD_SECURITY_TOKEN", ("a", "b", "c")),
    ],
)
def test_the_keys_of_alibaba(monkeypatch: pytest.MonkeyPatch, names: str, keys: tuple[str, ...]) -> None:
    """Of its tools for OSS, and of all its tools."""
    from reelmill_server.storage.assumed_roles import session_of
    from reelmill_server.storage.roles import Identity

    for name, value in zip(names.split(), keys, strict=True):
        monkeypatch.setenv(name, value)
    result: Any = session_of(_oss_target(), Identity()).get_credentials()
    assert (result.access_key, result.secret_key, result.token) == keys


def _oss_target() -> Any:
    (rule,) = Settings(bucket=["oss://*=oss://*?endpoint=https://oss-cn-beijing.aliyuncs.com"]).bucket  # type: ignore[list-item]
    return rule.target


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({"OSS_ENDPOINT": "oss-cn-hangzhou.aliyuncs.com"}, "https://oss-cn-hangzhou.aliyuncs.com"),
        ({"OSS_ENDPOINT": "http://127.0.0.1:9000", "OSS_REGION": "cn-beijing"}, "http://127.0.0.1:9000"),
        ({"OSS_REGION": "cn-beijing"}, "https://oss-cn-beijing.aliyuncs.com"),
    ],
)
def test_the_endpoint_of_oss(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], endpoint: str) -> None:
    """As Alibaba's own tool chooses it; that of a target wins."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    rules = Settings(bucket=["oss://*", "oss://*=oss://*?endpoint=https://here"]).bucket  # type: ignore[list-item]
    assert [rule.target.option("endpoint") for rule in rules] == [endpoint, "https://here"]
