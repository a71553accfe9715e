#!/bin/sh
# entrypoint.sh [--preload PATH] [--] COMMAND [ARGUMENT...]: starts a server with lastcall in it, for images that take only
# liblastcall.so. It becomes the command (exec), so that signals reach it. `lastcall run` does more: it looks at the
# command first, reaps, and drains a server behind a shell.
set -u

die()
{
    echo "entrypoint.sh: $*" >&2
    exit 2
}

# Beside this script, where `make install` puts it from here, and where libraries usually are.
find_object()
{
    case $0 in
    */*) here=${0%/*} ;;
    *) here=. ;;
    esac
    for place in "$here" "$here/../lib" "$here/../../lib" /usr/lib /usr/local/lib /lib; do
        object=$place/liblastcall.so
        [ -e "$object" ] && return
    done
    die "liblastcall.so is neither beside this script nor in ../lib, ../../lib, /usr/lib, /usr/local/lib or /lib; --preload PATH says where it is"
}

object=
case ${1-} in
--preload)
    [ -n "${2-}" ] || die "the option '--preload' wants a value"
    object=$2
    shift 2
    ;;
--preload=*)
    object=${1#*=}
    shift
    ;;
esac
case ${1-} in
--) shift ;;
-*) die "there is no option '$1'" ;;
esac
[ $# -gt 0 ] || die "there is no command to run"

[ -n "$object" ] || find_object
if [ ! -r "$object" ] || [ -d "$object" ]; then die "'$object' cannot be read; the command is not started"; fi
case $object in
/*) ;;
*) object=$PWD/$object ;; # the command may change its directory
esac

# Blanks and colons separate (ld.so(8)), and there is no way to quote them.
case $object in *[\ :]*) die "'$object' has a blank or a colon in its path: LD_PRELOAD cannot name it" ;; esac

# Ours first, and once, whatever the path; what else was there stays.
preload=$object
set -f
IFS=' :'
for other in ${LD_PRELOAD-}; do
    case $other in
    '' | "${object##*/}" | */"${object##*/}") ;;
    *) preload=$preload:$other ;;
    esac
done
unset IFS
set +f
LD_PRELOAD=$preload
export LD_PRELOAD
exec "$@"
