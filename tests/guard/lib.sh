# lib.sh: what every guard shares. A guard is sourced into the repository's root, gets the build
# directory as $1, and prints `ok NAME`, or `FAIL NAME: why` for each violation.
# shellcheck shell=sh
set -u
LC_ALL=C
export LC_ALL
guard=$(basename "$0" .sh)
cd "$(dirname "$0")/../.." || exit 1
# shellcheck disable=SC2034
BUILD=${1:-build}

# verdict PROBLEMS: one a line, none = fine. Ends the guard.
verdict()
{
    if [ -z "$1" ]; then
        echo "ok $guard"
        exit 0
    fi
    printf '%s\n' "$1" | sed "s|^|FAIL $guard: |"
    exit 1
}

# A guard that has nothing to look at guards nothing.
need()
{
    [ -e "$1" ] || verdict "$1 is not there${2:+: $2}"
}

# The names of hooks.def, sorted: the second argument of each row.
hook_names()
{
    sed -n 's/^HOOK[A-Z_]*([^,]*, *\([A-Za-z0-9_]*\) *,.*/\1/p' shim/hook/hooks.def | sort
}

# What the object may ask of a libc, all of it weak (DESIGN section 6).
weak_names()
{
    printf '%s\n' environ __errno_location dlsym dlerror __libc_dlsym __libc_dlopen_mode __cxa_atexit | sort
}
