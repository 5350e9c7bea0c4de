"""Generates the Python modules and the descriptor image of the protos.

    python protos/generate.py             write the *_pb2 modules beside their protos
    python protos/generate.py --check     fail when they are not what the protos say
    python protos/generate.py --image F   write a descriptor image with imports and comments (for buf)

`buf/validate/validate.proto` is not shipped as a file by protovalidate: its descriptor is taken from the wheel, whose
version is pinned, so that the generated module and the validator always agree (docs/adr/0003).
"""

import argparse
import filecmp
import sys
import tempfile
from importlib import resources
from pathlib import Path

import grpc_tools
import protovalidate._gen.buf.validate.validate_pb as validate_pb
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def run_protoc(*arguments: str) -> None:
    """Runs protoc over our protos; raises SystemExit with its status when it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch, "validate.binpb")
        well_known = Path(str(resources.files(grpc_tools)), "_proto")
        own = FileDescriptorSet()
        own.file.add().MergeFromString(validate_pb._DESC.proto.to_binary())
        descriptors.write_bytes(own.SerializeToString())
        status = protoc.main(
            ["protoc", f"--proto_path={ROOT}", f"--proto_path={well_known}", f"--descriptor_set_in={descriptors}", *arguments]
        )
    if status:
        raise SystemExit(status)


def generate(destination: Path) -> None:
    """Writes all generated modules below `destination`."""
    ours = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("reelmill/**/*.proto"))
    services = [name for name in ours if name.endswith("_service.proto")]
    run_protoc(f"--python_out={destination}", f"--pyi_out={destination}", *ours, "buf/validate/validate.proto")
    run_protoc(f"--grpc_python_out={destination}", *services)


def check() -> None:
    """Exits with a message when a generated module is missing, stale or left over."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = {path.relative_to(scratch) for pattern in GENERATED for path in Path(scratch).rglob(pattern)}
        present = {path.relative_to(ROOT) for pattern in GENERATED for path in ROOT.rglob(pattern)}
        stale = [path for path in fresh & present if not filecmp.cmp(Path(scratch, path), ROOT / path, shallow=False)]
        wrong = sorted({*(fresh ^ present), *stale})
    if wrong:
        sys.exit("not what the protos say (run `make protos`): " + ", ".join(map(str, wrong)))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--image", metavar="F")
    options = parser.parse_args()
    if options.image:
        ours = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("reelmill/**/*.proto"))
        run_protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={options.image}", *ours)
    elif options.check:
        check()
    else:
        generate(ROOT)


if __name__ == "__main__":
    main()
