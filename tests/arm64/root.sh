#!/bin/sh
# root.sh DIRECTORY [--kernel] PACKAGE...: Debian's packages for arm64, and all that they depend on, unpacked (not installed) in
# DIRECTORY, by apt with a state of its own: this machine stays as it is. --kernel: the kernel's image too, as boot/vmlinuz, and
# of its modules those of sock_diag(7). Made whole or not at all; it prints nothing but what went wrong.
set -eu
root=$1 kernel=
shift
[ "$1" != --kernel ] || { kernel=1; shift; }
state=$root.apt
rm -rf "$root" "$root.part"
mkdir -p "$state/lists/partial" "$state/archives/partial" "$root.part/usr"
state=$(realpath "$state")

# The suite that this machine has, no other's lists; nothing is taken for installed.
apt()
{
    apt-get -qq -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=0 -o APT::Sandbox::User=root \
        -o Dir::State="$state" -o Dir::State::status=/dev/null -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
        -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/debian.sources -o Dir::Etc::sourceparts=/dev/null "$@"
}

# linux-image-arm64 depends on the newest version, by name.
put_kernel()
{
    image=$(apt-cache -o Dir::State="$state" -o Dir::Cache="$state" -o APT::Architecture=arm64 -o Dir::State::status=/dev/null \
        depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    (cd "$state" && apt download "$image")
    mkdir -p "$root.part/boot"
    dpkg-deb --fsys-tarfile "$state/$image"_*.deb |
        tar -x -C "$root.part/boot" --transform='s|.*/||;s|^vmlinuz-.*|vmlinuz|' --wildcards './boot/vmlinuz-*' '*/inet_diag.ko' '*/tcp_diag.ko'
}

apt update
[ -z "$kernel" ] || put_kernel
apt install --download-only "$@" >"$state/log"

cd "$root.part"
for top in bin sbin lib; do
    mkdir -p usr/$top
    ln -s usr/$top $top
done
for package in "$state"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner
done
cd - >/dev/null
mv "$root.part" "$root"
