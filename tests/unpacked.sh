#!/bin/sh
# unpacked.sh SUITE DIRECTORY PACKAGE...: these packages of that release of Debian, and all that they depend on,
# unpacked in DIRECTORY: enough to run a program there, for much less than debootstrap takes. Made whole or not at all;
# what went wrong is in DIRECTORY.log.
set -eu
. "$(dirname "$0")/debian.sh"
suite=$1 directory=$2
shift 2
# shellcheck disable=SC2034
architecture=$(dpkg --print-architecture)
state=$directory.apt
rm -rf "$directory.part" "$state"
mkdir -p "$directory.part/dev" "$directory.part/etc" "$directory.part/proc" "$directory.part/tmp"
echo root:x:0:0:root:/root:/bin/sh >"$directory.part/etc/passwd"
{
    debian_begin "$suite"
    debian_unpack "$directory.part" "$@"
} >"$directory.log" 2>&1
rm -rf "$state"
mv "$directory.part" "$directory"
