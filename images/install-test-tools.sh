#!/bin/sh
# Installs what the media tests need beside the service, the newest: nothing of it is shipped. Usage: install-test-tools.sh FOLDER
set -eu
python3 -m pip install --no-cache-dir --target "$1" pytest pytest-asyncio pytest-timeout pytest-xdist hypothesis 'imageio-ffmpeg>=0.8' m3u8 mpegdash
