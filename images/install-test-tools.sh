#!/bin/sh
# Installs what the media tests need beside the service. Usage: install-test-tools.sh FOLDER SNAPSHOT
set -eu
export PIP_UPLOADED_PRIOR_TO="$2"
python3 -m pip install --no-cache-dir --target "$1" pytest pytest-asyncio pytest-xdist hypothesis imageio-ffmpeg m3u8 mpegdash
