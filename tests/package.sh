#!/bin/sh
# package.sh PACKAGE DIRECTORY: what Debian's package contains in DIRECTORY, from this machine's own mirror. Nothing is installed,
# nor what it depends on. Made whole or not at all.
set -eu
package=$1 dir=$(realpath -m "$2")
[ ! -d "$dir" ] || exit 0
rm -rf "$dir.part"
mkdir -p "$dir.part/content"
cd "$dir.part"
download()
{
    apt-get -qq -o APT::Sandbox::User=root download "$package"
}
download || { apt-get -qq update && download; }
dpkg-deb -x "$package"_*.deb content
mv content "$dir"
cd "$dir"
rm -rf "$dir.part"
