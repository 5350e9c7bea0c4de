#!/bin/sh
# Makes the environment of the service from /source, with the PyAV of /wheels.
# Usage: build-venv.sh FOLDER (where it will be in the image, too) SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$2"
python3 -m venv --without-pip "$1"
# The wheel by its path: by its name, the index's own of the same version would win.
python3 -m pip --python "$1/bin/python" install --no-cache-dir /wheels/av-*.whl '/source[privacy,rocketmq]'
