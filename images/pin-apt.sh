#!/bin/sh
# Takes all Debian packages, those of the base image too, from the archive as it was at SNAPSHOT.
# Usage: pin-apt.sh SUITE SNAPSHOT (as 20261031T000000Z) ARCHIVE (a URL; below it lies a folder for each time)
set -eu
suite=$1 snapshot=$2 archive=$3

# Documentation is left out; who owns the copyright of what is here stays. A build that breaks off is thrown away: nothing is synced.
cat > /etc/dpkg/dpkg.cfg.d/reelmill <<END
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
force-unsafe-io
END
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
# Old lists are not valid for long by themselves; they are signed all the same.
cat > /etc/apt/sources.list.d/debian.sources <<END
Types: deb
URIs: $archive/$snapshot
Suites: $suite
Components: main
Check-Valid-Until: no
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
# More than 1000 lets packages of a newer base image go back, too.
cat > /etc/apt/preferences.d/reelmill <<END
Package: *
Pin: release a=*
Pin-Priority: 1001
END
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get dist-upgrade -qy --allow-downgrades --no-install-recommends
apt-get clean
rm -rf /var/lib/apt/lists/*
