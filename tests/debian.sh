# shellcheck shell=sh
# shellcheck disable=SC2154
# debian.sh: what the scripts share that take Debian's packages from this machine's own mirror. Its functions want
# $architecture and $state, a directory for apt's lists and archives: this machine's own state stays as it is.

debian_mirror()
{
    cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
        sed -nE 's/^(URIs:|deb)[^h]*(http[^ ]*).*/\2/p' | head -n 1
}

# debian_begin SUITE: no lists but of that suite; nothing is taken for installed.
debian_begin()
{
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    state=$(realpath "$state")
    echo "deb $(debian_mirror) $1 main" >"$state/sources.list"
    debian_apt update
}

debian_apt()
{
    apt-get -qq -y -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
        -o APT::Install-Recommends=0 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::State="$state" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null "$@"
}

# debian_unpack DIRECTORY PACKAGE...: they, and all that they depend on, unpacked (not installed).
debian_unpack()
{
    into=$1
    shift
    debian_apt install --download-only "$@" >"$state/log"
    for top in bin sbin lib lib64; do
        mkdir -p "$into/usr/$top"
        ln -s usr/$top "$into/$top"
    done
    for package in "$state"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$into" --keep-directory-symlink --no-same-owner
    done
}
