#!/bin/sh
# debootstrap.sh SUITE DIRECTORY PACKAGES: Debian's smallest root filesystem and these packages (a,b,c) in DIRECTORY, from
# this machine's own mirror. Made whole or not at all; its output is in DIRECTORY.log. Mounts are its own: none stays.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
suite=$1 root=$2 packages=$3

mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
    sed -nE 's/^(URIs:|deb)[^h]*(http[^ ]*).*/\2/p' | head -n 1)
mkdir -p "$(dirname "$root")"
rm -rf "$root.part"
timeout 3600 unshare -m --propagation private debootstrap --variant=minbase --include="$packages" "$suite" "$root.part" "$mirror" \
    >"$root.log" 2>&1
mv "$root.part" "$root"
