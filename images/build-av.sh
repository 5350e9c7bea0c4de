#!/bin/sh
# Builds PyAV against the FFmpeg that is installed, into /wheels.
# Usage: build-av.sh VERSION (as 19.0.2) SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$2"
python3 -m pip wheel --no-cache-dir --no-deps --no-binary av --wheel-dir /wheels "av==$1"
