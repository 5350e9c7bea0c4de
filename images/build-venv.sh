#!/bin/sh
# Makes the environment of the service from /source, with the PyAV of /wheels and the versions and hashes of the locks.
# Usage: build-venv.sh FOLDER (where it will be in the image, too) SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$2" PIP_NO_CACHE_DIR=1
install() { python3 -m pip --python "$1/bin/python" install --no-deps --only-binary :all: --require-hashes -r "$2"; }

# Our own package, by tools that have hashes, too.
python3 -m venv --without-pip /tmp/build
install /tmp/build /images/build.lock
(cd /source && /tmp/build/bin/python -m hatchling build -t wheel -d /wheels)
rm -r /tmp/build

python3 -m venv --without-pip "$1"
install "$1" /images/requirements.lock
# Wheels by their paths: by its name, the index's own PyAV of the same version would win.
python3 -m pip --python "$1/bin/python" install --no-deps --no-index /wheels/av-*.whl /wheels/reelmill-*.whl
python3 -m pip --python "$1/bin/python" check
