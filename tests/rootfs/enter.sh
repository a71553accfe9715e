#!/bin/sh
# enter.sh ROOT BUILD COMMAND...: run COMMAND, the suite, in mount, pid and network namespaces of its own, in which a server can
# chroot to ROOT and finds everything there under the same names: the tests' directories in /tmp, this source tree, BUILD, and
# in place of BUILD/e2e the programs that were built for ROOT. All of it goes with the namespaces.
set -eu
PATH=$PATH:/usr/sbin:/sbin
if [ "${1:-}" != --inside ]; then
    exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc --net "$0" --inside "$@"
fi
root=$(realpath "$2") build=$(realpath "$3")
shift 3
here=$(pwd)

# at SOURCE NAME: SOURCE is NAME in the root.
at()
{
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
}

ip link set lo up
mount -t tmpfs tmpfs "$root/run"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
at /tmp /tmp
at "$here" "$here"
at "$build" "$build"
at "$root/lastcall" "$build/e2e"
exec "$@"
