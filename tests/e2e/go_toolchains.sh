#!/bin/sh
# go_toolchains.sh DIRECTORY [VERSION...]: the Go of Debian's backports and of sid (1.22, ...; all that are there, if none is
# named), unpacked in DIRECTORY. Prints the path of each one's `go`. From this machine's own mirror; nothing is installed, and
# its package lists stay as they are.
set -eu
dir=$1
shift
mkdir -p "$dir/apt/lists/partial" "$dir/apt/sources"
dir=$(realpath "$dir")
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
    sed -nE 's/^(URIs:|deb)[^h]*(http[^ ]*).*/\2/p' | head -n 1)
# shellcheck source=/dev/null
for suite in "$(. /etc/os-release && echo "$VERSION_CODENAME")-backports" sid; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >"$dir/apt/sources/go.list"

# apt_ TOOL ARGUMENT...: apt-get and apt-cache with lists and a state of their own
apt_() {
    tool=$1
    shift
    "$tool" -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$dir/apt/sources" -o Dir::State="$dir/apt" \
        -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/apt" -o APT::Sandbox::User=root "$@"
}

# unpack VERSION: whole, or not at all
unpack() {
    rm -rf "$dir/part" "$dir/deb"
    mkdir "$dir/part" "$dir/deb"
    (cd "$dir/deb" && apt_ apt-get download "golang-$1-go" "golang-$1-src") >&2
    for deb in "$dir/deb"/*.deb; do dpkg -x "$deb" "$dir/part"; done
    mv "$dir/part" "$dir/$1"
    rm -rf "$dir/deb"
}

apt_ apt-get update >&2
versions=${*:-$(apt_ apt-cache pkgnames golang-1 | sed -nE 's/^golang-(1\.[0-9]+)-go$/\1/p' | sort -V)}
[ "$versions" ] || { echo "go_toolchains: $mirror has none" >&2; exit 1; }
for version in $versions; do
    [ -d "$dir/$version" ] || unpack "$version"
    echo "$dir/$version/usr/lib/go-$version/bin/go"
done
