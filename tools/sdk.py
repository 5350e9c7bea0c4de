"""Write the stubs of other languages with their own compilers: python tools/sdk.py FOLDER [LANGUAGE...].

The protos are those of a clean export, so that nothing of the checkout can be missing from them. A language whose compilers are
not here is named and left out; with languages given, that is an error.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_GO = "github.com/reelmill/reelmill/sdk/go"
_ERRORS = ("google/rpc/error_details.proto", "google/rpc/status.proto")
_INCLUDE = "examples/clients/include"


@dataclass(frozen=True)
class Language:
    """What `protoc` is told: `out` are the flags, in which `{out}` is the folder.

    `programs` are on the PATH, with the packages that bring them; `npm` are installed beside the stubs. `errors`: the details
    of errors are in no package of this language, and are compiled, too.
    """

    out: Sequence[str]
    programs: Sequence[tuple[str, str]] = ()
    npm: Sequence[str] = ()
    errors: bool = False


def _plugin(program: str) -> str:
    return f"--plugin=protoc-gen-grpc={shutil.which(program)}"


_DEBIAN_GRPC = "Debian's protobuf-compiler-grpc"
LANGUAGES = {
    "cpp": Language(
        ("--cpp_out={out}", "--grpc_out={out}", _plugin("grpc_cpp_plugin")), [("grpc_cpp_plugin", _DEBIAN_GRPC)], errors=True
    ),
    "java": Language(
        ("--java_out={out}", "--grpc_out={out}", _plugin("grpc_java_plugin")),
        [("grpc_java_plugin", "Debian's protobuf-compiler-grpc-java-plugin")],
        errors=True,  # Debian's package of them is older than ErrorInfo
    ),
    "go": Language(
        (
            *("--go_out={out}", "--go_opt=paths=source_relative", f"--go_opt=Mbuf/validate/validate.proto={_GO}/buf/validate"),
            *("--go-grpc_out={out}", "--go-grpc_opt=paths=source_relative"),
            f"--go-grpc_opt=Mbuf/validate/validate.proto={_GO}/buf/validate",
        ),
        [("protoc-gen-go", "Debian's protoc-gen-go-1-5"), ("protoc-gen-go-grpc", "Debian's protoc-gen-go-grpc")],
    ),
    "ruby": Language(
        ("--ruby_out={out}", "--grpc_out={out}", _plugin("grpc_ruby_plugin")), [("grpc_ruby_plugin", _DEBIAN_GRPC)]
    ),
    "typescript": Language(
        ("--es_out={out}", "--es_opt=target=ts,import_extension=js", "--plugin={npm}/protoc-gen-es"),
        [("npm", "Node.js")],
        ["@bufbuild/protoc-gen-es@^2.17.0"],
        errors=True,
    ),
}


def missing(name: str) -> list[str]:
    """Return the programs that are missing for a language, with the packages that bring them."""
    needed = [("protoc", "Debian's protobuf-compiler"), *LANGUAGES[name].programs]
    return [f"{program} ({package})" for program, package in needed if not shutil.which(program)]


def export(destination: Path) -> None:
    """Write the committed protos to a folder, as whoever clones the repository has them."""
    command = ["git", "-C", str(ROOT), "archive", "HEAD", "protos", _INCLUDE]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(destination)], stdin=archive.stdout, check=True)
    if archive.returncode:
        raise SystemExit("git cannot export the protos")


def generate(name: str, source: Path, out: Path) -> None:
    """Write the stubs of a language from an export. Raises CalledProcessError, or SystemExit if protoc fails."""
    language = LANGUAGES[name]
    out.mkdir(parents=True, exist_ok=True)
    tools = out.parent / f"{name}-tools"
    if language.npm:
        install = ("npm", "install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix", str(tools))
        subprocess.run([*install, *language.npm], check=True)
    protos = source / "protos"
    names = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    flags = [flag.format(out=out, npm=tools / "node_modules" / ".bin") for flag in language.out]
    errors = _ERRORS if language.errors else ()
    command = ["protoc", f"-I{protos}", f"-I{source / _INCLUDE}", *flags, *names, *errors]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:  # else it only warns, of each extension that Ruby has no use for
        raise SystemExit(f"{name}: {done.stderr}")


def main(folder: Path, names: Sequence[str]) -> int:
    """Write the stubs of all languages, or of those named, and return the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory() as exported:
        export(Path(exported))
        for name in names or LANGUAGES:
            lacking = missing(name)
            if lacking:
                failed |= bool(names)
                print(f"{name}: skipped, there is no {', no '.join(lacking)}", flush=True)
                continue
            generate(name, Path(exported), folder / name)
            count = sum(path.is_file() for path in (folder / name).rglob("*"))
            print(f"{name}: {count} files in {folder / name}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
