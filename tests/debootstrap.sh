#!/bin/sh
# debootstrap.sh SUITE DIRECTORY PACKAGES: Debian's smallest root filesystem and these packages (a,b,c) in DIRECTORY, from
# this machine's own mirror. Made whole or not at all; its output is in DIRECTORY.log. Mounts are its own: none stays.
set -eu
. "$(dirname "$0")/debian.sh"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
suite=$1 root=$2 packages=$3

mkdir -p "$(dirname "$root")"
rm -rf "$root.part"
timeout 3600 unshare -m --propagation private debootstrap --variant=minbase --include="$packages" "$suite" "$root.part" "$(debian_mirror)" \
    >"$root.log" 2>&1
mv "$root.part" "$root"
