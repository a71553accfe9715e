#!/bin/sh
# glibc.sh SUITE ROOT BUILD: that release of Debian in ROOT, with the servers it has, and the small ones linked with its libc in
# ROOT/lastcall. Made once.
set -eu
cd "$(dirname "$0")/../.."
suite=$1 root=$2 build=$3
servers=nginx-light,lighttpd,apache2-bin,nodejs,python3-aiohttp,gunicorn

# Left out of bullseye: its puma and, after an answer without a body, its java close connections that they should keep, without a
# word; its uvicorn does not end by TERM. All that is so without us, too.
[ "$suite" = bullseye ] || servers=$servers,default-jre-headless,uvicorn,puma
# libc6-dev: so that this machine's compiler links with that libc.
[ -d "$root" ] || tests/debootstrap.sh "$suite" "$root" "$servers,libc6-dev"

# nginx knows -e, which keeps it from its compiled-in log, only since 1.19.5.
log_option()
{
    mv "$root/usr/sbin/nginx" "$root/usr/sbin/nginx.real"
    cat >"$root/usr/sbin/nginx" <<'END'
#!/bin/sh
for word; do
    shift
    case $word in
    -e) drop=next ;;
    *) [ "${drop:-}" = next ] || set -- "$@" "$word"
        drop= ;;
    esac
done
exec /usr/sbin/nginx.real "$@"
END
    chmod 755 "$root/usr/sbin/nginx"
}
[ "$suite" != bullseye ] || [ -e "$root/usr/sbin/nginx.real" ] || log_option

libs=$root/usr/lib/x86_64-linux-gnu
# Where the link is absolute, it would lead a linker outside.
loader=$(readlink "$root/lib64/ld-linux-x86-64.so.2")
[ "${loader#/lib/}" = "$loader" ] || ln -sf "..$loader" "$root/usr/lib64/ld-linux-x86-64.so.2"

compile()
{
    ${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -w --sysroot="$root" -B"$libs" -L"$libs" -o "$@" \
        "$libs/libpthread.so.0"
}
. tests/rootfs/programs.sh
cp -u "$build"/e2e/*.pem "$root/lastcall/" # for what has TLS
