#!/bin/sh
# root.sh DIRECTORY [--kernel] PACKAGE...: Debian's packages for arm64, and all that they depend on, unpacked (not installed) in
# DIRECTORY, by apt with a state of its own: this machine stays as it is. --kernel: the kernel's image too, as boot/vmlinuz, and
# of its modules those of sock_diag(7). Made whole or not at all; it prints nothing but what went wrong.
set -eu
. "$(dirname "$0")/../debian.sh"
root=$1 kernel=
shift
[ "$1" != --kernel ] || { kernel=1; shift; }
# shellcheck disable=SC2034
architecture=arm64
state=$root.apt
rm -rf "$root" "$root.part"
mkdir -p "$root.part"

# linux-image-arm64 depends on the newest version, by name.
put_kernel()
{
    image=$(apt-cache -o Dir::State="$state" -o Dir::Cache="$state" -o APT::Architecture=arm64 -o Dir::State::status=/dev/null \
        depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    (cd "$state" && debian_apt download "$image")
    mkdir -p "$root.part/boot"
    dpkg-deb --fsys-tarfile "$state/$image"_*.deb |
        tar -x -C "$root.part/boot" --transform='s|.*/||;s|^vmlinuz-.*|vmlinuz|' --wildcards './boot/vmlinuz-*' '*/inet_diag.ko' '*/tcp_diag.ko'
}

debian_begin "$(. /etc/os-release && echo "$VERSION_CODENAME")"
[ -z "$kernel" ] || put_kernel
debian_unpack "$root.part" "$@"
mv "$root.part" "$root"
