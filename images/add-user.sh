#!/bin/sh
# Adds the user that the service runs as, and its folder. Usage: add-user.sh ID FOLDER
set -eu
groupadd --gid "$1" reelmill
useradd --uid "$1" --gid "$1" --home-dir "$2" --no-create-home --shell /usr/sbin/nologin reelmill
install -d -o "$1" -g "$1" -m 0750 "$2"
