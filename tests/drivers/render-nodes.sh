#!/bin/sh
# Gives a throwaway chroot or container of Debian two render nodes for the driver of VA-API for tests; never run it on a machine you keep:
# all programs started afterwards believe that any device is a render node. As root; needs gcc.
set -eu
cc -std=gnu11 -O1 -fPIC -shared -o /opt/drm.so "$(dirname "$0")/drm.c"
mkdir -p /dev/dri
for number in 128 129; do
    [ -e /dev/dri/renderD$number ] || mknod -m 666 /dev/dri/renderD$number c 10 229 # /dev/fuse: to open it does nothing
done
echo /opt/drm.so > /etc/ld.so.preload
