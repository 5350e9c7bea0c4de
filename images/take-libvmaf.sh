#!/bin/sh
# Takes libvmaf, which Debian lacks, out of the wheel of PyAV whose hash is in the lock. Usage: take-libvmaf.sh SNAPSHOT FOLDER
set -eu
export PIP_UPLOADED_PRIOR_TO="$1"
python3 -m pip download --no-cache-dir --no-deps --only-binary :all: --dest /tmp/wheel --require-hashes -r /images/av.lock
python3 -m zipfile -e /tmp/wheel/av-*.whl /tmp/wheel
install -D -m 0644 -t "$2" /tmp/wheel/av.libs/libvmaf-*.so.*
rm -r /tmp/wheel
