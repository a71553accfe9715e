#!/bin/sh
# bullseye.sh: the same object under glibc 2.31, where dlsym is in libdl: a program has it (ls) or has not (echo).
# The root is made once, of packages from this machine's own mirror, and kept in BUILD/roots/bullseye.
set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
root=$BUILD/roots/bullseye

[ "$(id -u)" -eq 0 ] || skip bullseye "only root may chroot"
command -v apt-get >/dev/null || skip bullseye "no apt-get"

# libc6-dev: so that this machine's compiler links with that libc.
mkdir -p "$BUILD/roots"
[ -d "$root" ] || tests/unpacked.sh bullseye "$root" coreutils dash libc6-dev perl-base ||
    skip bullseye "it cannot be unpacked: $(tail -n 1 "$root.log")"
# Its absolute link would lead a linker outside.
ln -sf ../lib/x86_64-linux-gnu/ld-2.31.so "$root/usr/lib64/ld-linux-x86-64.so.2"

# Mounts are this script's own: they go with it.
if [ -z "${OWN_MOUNTS:-}" ]; then
    OWN_MOUNTS=1 exec unshare -m --propagation private "$0" "$@"
fi
mount -t proc proc "$root/proc" || skip bullseye "no mounts here"
mkdir -p "$root/dev/pts" && mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts" || skip bullseye "no mounts here"
[ -e "$root/dev/ptmx" ] || ln -s pts/ptmx "$root/dev/ptmx"
mkdir -p "$root/lastcall" && cp "$BUILD/liblastcall.so" "$root/lastcall/"
[ -c "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3

inside()
{
    BUILD=/lastcall CI=${CI:-} timeout $HANG chroot "$root" "$@"
}

# same_output PROGRAM ARGS: with and without the preload.
same_output()
{
    bare=$(inside "$@" 2>&1) || fail "bullseye$1" "it does not run at all"
    out=$(inside env LD_PRELOAD=/lastcall/liblastcall.so "$@" 2>&1)
    if [ "$out" = "$bare" ]; then ok "bullseye$1"; else fail "bullseye$1" "'$out', not '$bare'"; fi
}
same_output /bin/echo good evening
same_output /bin/ls /
same_output /bin/true
# shellcheck disable=SC2016
same_output /usr/bin/perl -e 'my $pid = fork; if ($pid == 0) { exit 3 } waitpid $pid, 0; print $? >> 8'

# Whole programs of this folder, linked with that libc: with libdl and without. With libdl the library finds all names in
# another way, and does the same with them: two programs show that, and all of them do in `make soak`.
libs=$root/usr/lib/x86_64-linux-gnu
with_libc()
{
    variant=$1 programs=$2
    shift 2
    for program in $programs; do
        ${CC:-cc} -std=c11 -D_GNU_SOURCE -iquote shim -O1 -w --sysroot="$root" -B"$libs" -L"$libs" -o "$root/lastcall/$program" \
            "tests/integration/$program.c" tests/integration/check.c "$libs/libpthread.so.0" "$@" 2>"$BUILD/roots/cc.log" ||
            { fail "bullseye-$variant/$program" "does not compile: $(head -n 3 "$BUILD/roots/cc.log")"; continue; }
        inside "/lastcall/$program" | sed "s/^\([A-Za-z]* \)/\1bullseye-$variant\//"
    done
}
with_libc plain "$LIBC_PROGRAMS"
inside /bin/ls -l /lastcall >/dev/null && objdump -p "$root/lastcall/signal_outcome" | grep -q libdl &&
    fail bullseye-plain "these programs have libdl: nothing is shown"
[ "${SOAK:-}" ] && with_libdl=$LIBC_PROGRAMS || with_libdl='signal_dispositions signal_outcome'
with_libc libdl "$with_libdl" -Wl,--no-as-needed "$libs/libdl.so.2"
done_here
