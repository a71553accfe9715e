#!/bin/sh
# reachable.sh COMMAND...: run it where other users can come to. The tests run servers as nobody, to whom a clone in /root is
# closed: then it is seen at a place below /tmp as well, by a mount that only COMMAND and what it starts have.
set -u
here=$(pwd)

if [ "$(id -u)" != 0 ] || setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$here"; then
    exec "$@"
fi
place=$(mktemp -d /tmp/lastcall-tree-XXXXXX)
chmod 755 "$place"
# shellcheck disable=SC2016
unshare --mount --propagation private sh -c 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"' "$here" "$place" "$@"
status=$?
rmdir "$place"
exit $status
