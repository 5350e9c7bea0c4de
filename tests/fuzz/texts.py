"""Texts from strangers and what reads them: each is read, or refused in the way that its reader promises, whatever it is.

`python -m tests.fuzz.texts` tries them under Atheris, which looks for texts that take new paths (`make fuzz-texts`); the test
suite tries some with Hypothesis.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl

from reelmill import vendor_json
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api.http.methods import Method
from reelmill_server.api.http.queries import message_of_fields, nested
from reelmill_server.api.signature import NotSigned, acs3, hmac_sha1
from reelmill_server.errors import ReelmillError
from reelmill_server.media.package import playlists
from reelmill_server.plan.output.naming import OutputName, expand, source_variables, unknown_variables
from reelmill_server.tasks.page_tokens import decode_token
from reelmill_server.tasks.selector import parse_selector

_CREATE = Method(
    "/x/Create", CreateMediaConvertTaskRequest, CreateMediaConvertTaskRequest, streams=False, safe=False, handler=None
)
_SOURCE = source_variables("s3://bucket/folder/film.mov", 0)


def template(text: str) -> None:
    """Expand a URI's template, where it has variables that are known."""
    if not unknown_variables(text, {}):
        _or(lambda: expand(text, OutputName("mp4"), _SOURCE, {}, 0), ReelmillError)


def selector(text: str) -> None:
    """Parse a selector of tags."""
    _or(lambda: parse_selector(text), ReelmillError)


def page_token(text: str) -> None:
    """Decode a token, which anyone can forge."""
    _or(lambda: decode_token(text, "digest", (int, str)), ReelmillError)


def playlist(text: str) -> None:
    """Read a playlist of HLS."""
    _or(lambda: playlists.read_playlist(text), ValueError)


def manifest(text: str) -> None:
    """Read a manifest of DASH."""
    _or(lambda: playlists.read_manifest(text), ValueError)


def request(text: str) -> None:
    """Read a request in the vendor's JSON, and write it again."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(data, Mapping):
        _or(lambda: vendor_json.dump(vendor_json.parse(data, CreateMediaConvertTaskRequest)), vendor_json.VendorJsonError)


def signature(text: str) -> None:
    """Read a signature of the vendor's protocol, of either generation."""
    headers = {name: [text] for name in ("authorization", "x-acs-date", "x-acs-signature-nonce", "host", "x-acs-action")}
    _or(
        lambda: acs3("POST", "/", [], headers | {"x-acs-content-sha256": [sha256(b"").hexdigest()]}, b"").matches(text),
        NotSigned,
    )
    sent = {**headers, "authorization": [EXAMPLES["signature"][0]], "x-acs-content-sha256": [text]}
    _or(lambda: acs3("POST", "/", [], sent, b""), NotSigned)
    pairs = parse_qsl(text, keep_blank_values=True)
    _or(lambda: hmac_sha1("GET", pairs).matches("secret"), NotSigned)


def parameters(text: str) -> None:
    """Read a request whose fields are parameters."""
    given = dict(parse_qsl(text, keep_blank_values=True))
    _or(lambda: message_of_fields(_CREATE, nested(given), ignore_unknown=True), ReelmillError)


READERS: Mapping[str, Callable[[str], None]] = {
    reader.__name__: reader for reader in (template, selector, page_token, playlist, manifest, request, signature, parameters)
}
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "template": ("s3://out/{bucket}/{dirname}/{barename}-{index}.{ext}", "file:///{{x}}/{tags.a}"),
    "selector": ("a=b,c=d", "a=b=c"),
    "page_token": ("WyJkaWdlc3QiLDEsIngiXQ", "W10"),
    "playlist": (
        '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:1.0,\na-1.m4s\n#EXT-X-ENDLIST\n',
        "#EXTM3U\n#EXTINF:1,\na.ts\n",
    ),
    "manifest": (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT1S"><Period><AdaptationSet>'
        '<Representation id="0"><SegmentTemplate timescale="1" startNumber="1"><SegmentTimeline><S d="1" r="2"/>'
        "</SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></Period></MPD>",
    ),
    "signature": (
        f"ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host;x-acs-date,Signature={'0' * 64}",
        "SignatureMethod=HMAC-SHA1&Timestamp=2026-01-31T12:00:00Z&SignatureNonce=1&Signature=AA%3D%3D",
    ),
    "parameters": ("ProjectName=a&Sources.1.URI=b&Sources.2=c&Targets=%5B%7B%7D%5D&Priority=2&Tags.a.1=x",),
    "request": ('{"ProjectName": "a", "Sources": [{"URI": "file:///a", "StartTime": 1e3}], "Tags": {"a": [1, null]}}',),
}
"""Texts to begin with, by reader."""


def _or(read: Callable[[], object], refusal: type[Exception]) -> None:
    try:
        read()
    except refusal:
        pass


def main() -> None:
    """Feed all readers from Atheris, with the arguments of libFuzzer (`-runs=100000`)."""
    import atheris

    atheris.instrument_all()
    names = tuple(READERS)

    def one(data: bytes) -> None:
        if data:
            READERS[names[data[0] % len(names)]](data[1:].decode(errors="replace"))

    with tempfile.TemporaryDirectory(prefix="reelmill-fuzz-") as corpus:
        for number, name in enumerate(names):
            for count, text in enumerate(EXAMPLES[name]):
                Path(corpus, f"{name}-{count}").write_bytes(bytes([number]) + text.encode())
        atheris.Setup([*sys.argv, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
