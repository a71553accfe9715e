#!/bin/sh
# run.sh BUILD [PATTERN]: run every test of this folder whose file name contains PATTERN; each prints `ok NAME`, `FAIL NAME: why` or
# `SKIP NAME: why` for each of its tests, and how long it took, and how much processor time. Ends with the sums; non-zero if
# one failed.
#
# Nearly all of them wait nearly all of the time, so that WAITING of them run at once for each processor; of those that keep a processor
# busy, one.
#
# run.sh --one TEST DIRECTORY: one of them; what it has said goes into DIRECTORY, and then, in one piece, to everybody.
set -u
WAITING=4
BUSY='faults group_fork_timing group_shared_memory exec_programs universal bullseye'

# Against programs that hang beside all bounds of their own.
HANGS=1800

# A program that ends badly without having said FAIL has failed too.
one()
{
    name=$(basename "$1") program=$1
    said=$2/$name
    case $1 in
    *.c) program=$BUILD/integration/${name%.c} ;;
    esac
    begun=$(date +%s%N)
    timeout $HANGS "$program" </dev/null >"$said.part"
    status=$?
    times >"$2/.times.$name"
    if [ $status -ne 0 ] && ! grep -q '^FAIL' "$said.part"; then
        echo "FAIL $1: exit status $status" >>"$said.part"
    elif ! grep -qE '^(ok|FAIL|SKIP) ' "$said.part"; then
        echo "FAIL $1: it has tested nothing" >>"$said.part"
    fi
    echo "# ${name%.*}: $((($(date +%s%N) - begun) / 1000000)) ms, of a processor $(processor_time "$2/.times.$name")" >>"$said.part"
    mv "$said.part" "$said"
    flock "$2/.lock" cat "$said"
}

# times(1) of a shell: what its children have had, user and system, in the second line.
processor_time()
{
    awk 'NR == 2 { split($1 "m" $2, t, /[ms]/); printf "%d ms", (t[1] * 60 + t[2] + t[4] * 60 + t[5]) * 1000 }' "$1"
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

# tests busy|waiting: those of this kind.
tests()
{
    for test in tests/integration/*.c tests/integration/*.sh; do
        name=$(basename "${test%.*}")
        kind=waiting
        case " $BUSY " in
        *" $name "*) kind=busy ;;
        esac
        case $name in
        check | run | lib) ;;
        *"$part"*) [ $kind != "$1" ] || echo "$test" ;;
        esac
    done
}

# at_once N: the tests that come on standard input.
at_once()
{
    xargs -P "$1" -I '{}' tests/integration/run.sh --one '{}' "$all"
}

tests busy | at_once "$(nproc)" &
tests waiting | at_once $(($(nproc) * WAITING))
wait

count()
{
    cat "$all"/* | grep -c "^$1"
}

failed=$(count FAIL)
skipped=$(count SKIP)
[ "$skipped" -eq 0 ] || printf '\n*** %s SKIPPED: this machine lacks what they need ***\n' "$skipped"
echo "$(count ok) passed, $failed failed"
[ "$failed" -eq 0 ]
