#!/bin/sh
# Installs the Debian packages that the lists name, one a line. Usage: install.sh LIST…
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
sed 's/#.*//' "$@" | xargs apt-get install -qy --no-install-recommends
apt-get clean
# dpkg's own records stay: they say what is here.
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
