"""Generate the Python modules and the descriptor image of the protos.

    python protos/generate.py             write the *_pb2 modules beside their protos
    python protos/generate.py --check     fail if they are not up to date
    python protos/generate.py --image F   write a descriptor image with imports and comments (for buf, and for releases)

protovalidate ships `buf/validate/validate.proto` as a descriptor only: its source is written from that of the wheel, whose
version is pinned, so that the generated module and the validator always agree (docs/adr/0003).
"""

import argparse
import filecmp
import sys
import tempfile
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import grpc_tools
import protovalidate._gen.buf.validate.validate_pb as validate_pb
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_tools import protoc

from proto_source import source

ROOT = Path(__file__).resolve().parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "validate.proto")
VALIDATE = "buf/validate/validate.proto"
_IMPORTED = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)
_ORIGIN = """\
// Rules for fields, of https://github.com/bufbuild/protovalidate, Apache License 2.0 (LICENSE beside this file).
//
// Written by protos/generate.py from the descriptor in the package protovalidate {version} of PyPI, which has no comments: they
// are in proto/protovalidate/buf/validate/validate.proto of that repository.

"""


def validate_source() -> str:
    """Return the source of the rules' own proto."""
    imports = []
    for module in _IMPORTED:
        imports.append(FileDescriptorProto())
        module.DESCRIPTOR.CopyToProto(imports[-1])
    file = FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary())
    return _ORIGIN.format(version=version("protovalidate")) + source(file, imports)


def run_protoc(*arguments: str) -> None:
    """Run protoc over Reelmill's protos; raises SystemExit with its status if it fails."""
    well_known = Path(str(resources.files(grpc_tools)), "_proto")
    status = protoc.main(["protoc", f"--proto_path={ROOT}", f"--proto_path={well_known}", *arguments])
    if status:
        raise SystemExit(status)


def generate(destination: Path) -> None:
    """Write all generated modules below `destination`."""
    names = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("reelmill/**/*.proto"))
    services = [name for name in names if name.endswith("_service.proto")]
    (destination / VALIDATE).parent.mkdir(parents=True, exist_ok=True)
    (destination / VALIDATE).write_text(validate_source())
    run_protoc(f"--python_out={destination}", f"--pyi_out={destination}", *names, VALIDATE)
    run_protoc(f"--grpc_python_out={destination}", *services)


def check() -> None:
    """Exit with a message if a generated module is missing, outdated or left over."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = {path.relative_to(scratch) for pattern in GENERATED for path in Path(scratch).rglob(pattern)}
        present = {path.relative_to(ROOT) for pattern in GENERATED for path in ROOT.rglob(pattern)}
        stale = [path for path in fresh & present if not filecmp.cmp(Path(scratch, path), ROOT / path, shallow=False)]
        outdated = sorted({*(fresh ^ present), *stale})
    if outdated:
        sys.exit("outdated (run `make protos`): " + ", ".join(map(str, outdated)))


def main() -> None:
    """Generate, check or write the image, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--image", metavar="F")
    options = parser.parse_args()
    if options.image:
        names = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("reelmill/**/*.proto"))
        run_protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={options.image}", *names)
    elif options.check:
        check()
    else:
        generate(ROOT)


if __name__ == "__main__":
    main()
