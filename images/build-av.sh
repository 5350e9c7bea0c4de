#!/bin/sh
# Builds PyAV against the FFmpeg that is installed, into /wheels, from the source archive whose hash is in the lock.
# Usage: build-av.sh VERSION (as 19.0.2) SNAPSHOT (as 20261031T000000Z: nothing newer is used)
set -eu
export PIP_UPLOADED_PRIOR_TO="$2"
grep -q "^av==$1 " /images/av.lock || { echo "images/av.lock has another version than $1: make lock" >&2; exit 1; }
python3 -m pip wheel --no-cache-dir --no-deps --no-binary av --wheel-dir /wheels --require-hashes -r /images/av.lock
