"""Environment variables of the clouds' own tools: those that stand for settings of ours, and those that are refused or
lead nowhere.

Most of them are read by the clouds' libraries themselves (docs/storage.md lists all).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.model.buckets import BucketRule
from reelmill_server.settings.group import both_names

EMULATOR = "STORAGE_EMULATOR_HOST"
"""Address of an emulator of Google Cloud Storage, as Google's libraries read it."""
REGIONS: Mapping[str, str] = {"s3": "AWS_REGION", "oss": "OSS_REGION"}
"""Variable of the region by scheme. Amazon's newer tools read this one first, the library that is used here does not."""
_PROFILES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in the order of Amazon's library
OSS_KEYS = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
)
"""Variables of access key, secret key and session token of Alibaba Cloud: of its tools for OSS, and of all its tools."""


@dataclass(frozen=True)
class _Refused:
    """Variables that buckets of `scheme` would ignore; `hint` says what to do, with flags by their field.

    They do not matter to a bucket with one of the `options`, nor beside one of the variables in `instead`.
    """

    scheme: str
    names: tuple[str, ...]
    options: tuple[str, ...]
    instead: tuple[str, ...]
    hint: str


_REFUSED = (
    _Refused(
        "s3",
        ("AWS_S3_ENDPOINT", "AWS_S3_ENDPOINT_URL", "S3_ENDPOINT", "S3_ENDPOINT_URL"),
        ("endpoint",),
        ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "set AWS_ENDPOINT_URL_S3, or give {bucket} 's3://*=s3://*?endpoint=URL'",
    ),
    _Refused(
        "gs",
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",),
        ("endpoint",),
        (EMULATOR,),
        "give {bucket} 'gs://*=gs://*?endpoint=https://HOST'",
    ),
    _Refused(
        "gs",
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"),
        ("anonymous",),
        ("GOOGLE_APPLICATION_CREDENTIALS", EMULATOR),
        "set GOOGLE_APPLICATION_CREDENTIALS, or leave gs:// out of {bucket}",
    ),
    _Refused(
        "gs",
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",),
        ("anonymous",),
        (EMULATOR,),
        "allow the account with {service_role}, and name it in requests or projects",
    ),
    _Refused(
        "oss",
        (
            "ALIBABA_CLOUD_PROFILE",
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            "ALIBABA_CLOUD_CREDENTIALS_URI",
            "ALIBABA_CLOUD_ECS_METADATA",
            "ALIBABA_CLOUD_ROLE_ARN",
        ),
        ("anonymous", "profile"),
        tuple(names[0] for names in OSS_KEYS),
        "set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, or add profile=NAME, in Amazon's files, to the target in {bucket}",
    ),
)


def refused_variables(buckets: Sequence[BucketRule], environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Say of each variable that a bucket would ignore, though the cloud's tools would not, what to do instead."""
    flags = {field: both_names(field) for field in ("bucket", "service_role")}
    for refused in _REFUSED:
        ignored = any(
            rule.target.scheme == refused.scheme and not any(map(rule.target.option, refused.options)) for rule in buckets
        )
        if ignored and not any(map(environment.get, refused.instead)):
            for name in filter(environment.get, refused.names):
                yield f"{name} is not used here: {refused.hint.format(**flags)}"


def oss_endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """Return the endpoint of Alibaba's OSS that its tools would use, "" if the environment names none."""
    endpoint, region = environment.get("OSS_ENDPOINT", ""), environment.get(REGIONS["oss"], "")
    if not endpoint:
        return f"https://oss-{region}.aliyuncs.com" if region else ""
    return endpoint if "://" in endpoint else f"https://{endpoint}"


def emulator(environment: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the emulator of Google Cloud Storage, "" if the environment names none."""
    host = environment.get(EMULATOR, "").rstrip("/")
    return host if not host or "://" in host else f"http://{host}"


# Variables that name a file without which no bucket of the scheme can be accessed.
_FILES = (("gs", "GOOGLE_APPLICATION_CREDENTIALS"), ("s3", "AWS_WEB_IDENTITY_TOKEN_FILE"), ("s3", "AWS_CA_BUNDLE"))


def missing_credentials(buckets: Sequence[BucketRule], environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Say of each file and profile of credentials that buckets would use what is wrong with it; no path is repeated."""
    targets = [rule.target for rule in buckets]
    keyed = [target for target in targets if not target.option("anonymous")]
    for scheme, name in _FILES:
        used = environment.get(name) and any(target.scheme == scheme for target in keyed)
        problem = _unreadable(environment[name]) if used and not (scheme == "gs" and environment.get(EMULATOR)) else ""
        if problem:
            yield f"{name}: the file cannot be read: {problem}; mend it, or leave {scheme}:// out of {both_names('bucket')}"
    amazon = [target for target in targets if target.scheme in REGIONS]
    for profile in sorted({target.option("profile") for target in amazon}):
        variable = next(filter(environment.get, _PROFILES), "")
        name = profile or environment.get(variable, "")
        if name and (problem := _profile_problem(name)):
            where = f"profile={name} in {both_names('bucket')}" if profile else f"{variable}={name}"
            yield f"{where}: {problem}"


def _unreadable(path: str) -> str:
    """Say why a file cannot be read; "" if it can."""
    try:
        with open(path, "rb"):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def _profile_problem(name: str) -> str:
    """Say why Amazon's library finds no profile of this name; "" if it does."""
    import botocore.exceptions
    import botocore.session

    try:
        botocore.session.Session(profile=name).get_scoped_config()
    except botocore.exceptions.ProfileNotFound:
        return "there is no such profile in Amazon's files (~/.aws/config, ~/.aws/credentials)"
    except botocore.exceptions.BotoCoreError as error:
        return str(error)
    return ""
