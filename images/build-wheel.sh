#!/bin/sh
# Builds the wheel of our own package from /source into /wheels, by tools that have hashes, too.
# Usage: build-wheel.sh SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$1" PIP_NO_CACHE_DIR=1
python3 -m venv --without-pip /tmp/build
python3 -m pip --python /tmp/build/bin/python install --no-deps --only-binary :all: --require-hashes -r /images/build.lock
(cd /source && /tmp/build/bin/python -m hatchling build -t wheel -d /wheels)
rm -r /tmp/build
