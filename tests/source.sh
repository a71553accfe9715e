#!/bin/sh
# source.sh PACKAGE DIRECTORY: the upstream source of Debian's source package in DIRECTORY, from this machine's own mirror. Made
# whole or not at all: that of the release itself, since mirrors of its updates forget what they have replaced. This machine's
# package lists stay as they are.
set -eu
package=$1 dir=$(realpath -m "$2")
[ ! -d "$dir" ] || exit 0
rm -rf "$dir.part"
mkdir -p "$dir.part/apt/lists/partial" "$dir.part/source"
cd "$dir.part"
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >apt/src.list
cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types: deb$/Types: deb-src/' >apt/src.sources
from()
{
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/apt" -o Dir::State::lists="$PWD/apt/lists" \
        -o APT::Sandbox::User=root "$@"
}
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
from update
from source --tar-only "$package/$release"
tar xf "$package"_*.orig.tar.*z -C source --strip-components=1
mv source "$dir"
cd "$dir"
rm -rf "$dir.part"
