#!/bin/sh
# run.sh BUILD [PART]: run every test of this folder whose file name contains PART, two at a time; each prints
# `ok NAME`, `FAIL NAME: why` or `SKIP NAME: why` for each of its tests. Ends with the sums; non-zero if one failed.
#
# run.sh --one TEST DIRECTORY: one of them; what it has said goes into DIRECTORY, and then, in one piece, to everybody.
set -u

# A program that ends badly without having said FAIL has failed too.
one()
{
    said=$2/$(basename "$1") program=$1
    case $1 in
    *.c) program=$BUILD/preload/$(basename "$1" .c) ;;
    esac
    timeout 300 "$program" </dev/null >"$said.part"
    status=$?
    if [ $status -ne 0 ] && ! grep -q '^FAIL' "$said.part"; then
        echo "FAIL $1: exit status $status" >>"$said.part"
    elif ! grep -qE '^(ok|FAIL|SKIP) ' "$said.part"; then
        echo "FAIL $1: it has tested nothing" >>"$said.part"
    fi
    mv "$said.part" "$said"
    flock "$2/.lock" cat "$said"
}

if [ "$1" = --one ]; then
    one "$2" "$3"
    exit 0
fi

cd "$(dirname "$0")/../.." || exit 2
BUILD=$(realpath "${1:-build}")
export BUILD
part=${2:-}
all=$(mktemp -d) || exit 2
trap 'rm -rf "$all"' EXIT

for test in tests/preload/*.c tests/preload/*.sh; do
    case $(basename "$test") in
    check.c | run.sh | lib.sh) continue ;;
    *"$part"*) echo "$test" ;;
    esac
done | xargs -P 2 -I '{}' tests/preload/run.sh --one '{}' "$all"

count()
{
    cat "$all"/* | grep -c "^$1"
}

failed=$(count FAIL)
skipped=$(count SKIP)
[ "$skipped" -eq 0 ] || printf '\n*** %s SKIPPED: this machine lacks what they need ***\n' "$skipped"
echo "$(count ok) passed, $failed failed"
[ "$failed" -eq 0 ]
