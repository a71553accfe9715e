#!/bin/sh
# musl.sh ROOT BUILD: a root without any glibc in ROOT: musl's loader, nginx and lighttpd compiled against it from Debian's sources,
# and the small servers in ROOT/lastcall. Made once.
set -eu
cd "$(dirname "$0")/../.."
root=$1 build=$2
sources=$(realpath -m "$root-sources")
loader=/lib/ld-musl-x86_64.so.1
busybox=$(command -v busybox)

# What BSD and glibc have and musl as Debian builds it lacks: the empty crypt.h says that there is no crypt(3).
headers()
{
    mkdir -p "$sources/include/sys"
    : >"$sources/include/crypt.h"
    sed '/sys\/cdefs.h/d' /usr/include/x86_64-linux-gnu/sys/queue.h >"$sources/include/sys/queue.h"
}

nginx()
{
    cd "$sources/nginx"
    ./configure --with-cc=musl-gcc --with-cc-opt="-O2 -w -I$sources/include" --with-pcre=../pcre2 --with-pcre-opt='-O2 -w' \
        --without-http_gzip_module --without-http_auth_basic_module --prefix=/usr/share/nginx --sbin-path=/usr/sbin/nginx
    make
    make install DESTDIR="$new"
}

lighttpd()
{
    cd "$sources/lighttpd"
    ./configure CC=musl-gcc CFLAGS="-O2 -w -I$sources/include" --prefix=/usr --libdir=/usr/lib/lighttpd --without-pcre2 \
        --without-pcre --without-zlib --without-bzip2 --without-libxml --without-lua --without-openssl
    make
    make install DESTDIR="$new"
}

# The root, whole or not at all.
make_root()
{
    new=$(realpath -m "$root.part")
    rm -rf "$new"
    mkdir -p "$new/bin" "$new/lib" "$new/etc" "$new/dev" "$new/proc" "$new/run" "$new/tmp" "$new/var/log"
    cp -L "$loader" "$new$loader"
    cp "$busybox" "$new/bin/busybox"
    ln -s busybox "$new/bin/sh"
    printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$new/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\nnobody:x:65534:\n' >"$new/etc/group"
    headers
    for package in pcre2 nginx lighttpd; do
        tests/source.sh $package "$sources/$package"
    done
    (nginx)
    (lighttpd)
    mv "$new" "$root"
}
[ -d "$root" ] || make_root >"$root.log" 2>&1 || { tail -n 3 "$root.log" >&2 && exit 1; }

compile()
{
    musl-gcc -std=c11 -D_GNU_SOURCE -O2 -w -o "$@"
}
. tests/rootfs/programs.sh
cp -u "$build/e2e/go-nethttp-musl" "$root/lastcall/"
