# shellcheck shell=sh
# lib.sh: what the scripts of this folder share.
cd "$(dirname "$0")/../.." || exit 2
BUILD=$(realpath "${BUILD:-build}")
export BUILD
failed=0

# Seconds: against programs that hang. None fails because it took long.
# shellcheck disable=SC2034
HANG=600

ok()
{
    echo "ok $1"
}

fail()
{
    echo "FAIL $1: $2"
    failed=1
}

# skip NAME WHY: this machine cannot run the script, or, if WHAT follows is said to be only a part, that part.
skip()
{
    if [ "${CI:-}" = true ]; then
        echo "FAIL $1: $2"
        exit 1
    fi
    echo "SKIP $1: $2"
    exit 0
}

done_here()
{
    exit $failed
}

# The programs of this folder that are run with other libcs too: what depends most on the libc.
# shellcheck disable=SC2034
LIBC_PROGRAMS='signal_dispositions signal_delivery signal_fetch signal_outcome exec_family'
