#!/bin/sh
# On a machine without a library that lastcall is built with, `make` says so in one sentence that names scripts/deps, and
# no compiler has been started. Headers that cannot be included stand for those that are missing.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/include"
unset MAKEFLAGS MFLAGS MAKELEVEL

# make without these headers: what it says, but for make's own last word
without()
{
    rm -rf "$work/include" "$work/build"
    mkdir "$work/include"
    for header; do echo '#error not installed' >"$work/include/$header"; done
    make BUILD="$work/build" CC="${CC:-cc} -isystem $work/include" 2>&1 | grep -v '^make: \*\*\*'
}

verdict "$({
    for header in libelf.h zlib.h jansson.h; do
        said=$(without "$header")
        expected="lastcall cannot be built without $header: \`scripts/deps build\` installs what is missing."
        [ "$said" = "$expected" ] || echo "without $header, make says: $said"
    done
    said=$(without libelf.h jansson.h)
    case $said in *"without libelf.h jansson.h: "*) ;; *) echo "without two headers, make says: $said" ;; esac
})"
