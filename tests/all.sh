#!/bin/sh
# all.sh MAKE BUILD: every suite of `make test`, one after another, and one count at the end. Each suite prints
# a line for each test: cmocka's `[       OK ] name`, or `ok name`, `FAIL name: why`, `SKIP name: why`.
set -u
make="$1 -j$(nproc)" build=$2
log=$build/test.log
mkdir -p "$build"
: >"$log"
broken=0

# run SUITE [ARGUMENT...]
run() {
    rm -f "$build/$1.failed"
    $make --no-print-directory BUILD="$build" "$@" 2>&1 || touch "$build/$1.failed"
}

# count SUITE: what it said is counted. One that fails without a FAIL line of its own is a failure all the same.
count() {
    cat "$build/$1.log" >>"$log"
    if [ -e "$build/$1.failed" ] && ! grep -qE '^FAIL |^\[  FAILED  \] [a-z]' "$build/$1.log"; then
        echo "FAIL $1: the suite broke off"
        broken=$((broken + 1))
    fi
}

suite() {
    printf '== %s\n' "$1"
    begun=$(date +%s)
    run "$@" | tee "$build/$1.log"
    count "$1"
    printf '== %s took %s s\n' "$1" $(($(date +%s) - begun))
}

# Those that only compute run in what the others leave idle (sched(7), SCHED_IDLE), until they are shown.
behind() {
    (make="chrt --idle 0 $make" && run "$@" >"$build/$1.log") &
}

show() {
    printf '== %s\n' "$1"
    cat "$build/$1.log"
    count "$1"
}

suite both-compilers
suite unit
suite guard
suite tsan
suite preload
behind explore
behind fuzz FUZZ_SECONDS=30
suite cli
wait
show explore
show fuzz
suite e2e

passed=$(grep -cE '^ok |^\[       OK \] ' "$log")
# cmocka names a failed test twice: when it fails, and in its list at the end.
failed=$(grep -E '^FAIL |^\[  FAILED  \] [a-z_0-9]+$' "$log" | sort -u | wc -l)
skipped=$(grep -cE '^SKIP ' "$log")
failed=$((failed + broken))
# Once more at the end, where they are seen (CI keeps only a part of a long output), each with what it said.
if [ "$failed" -gt 0 ]; then
    echo "== what failed"
    grep -E -A 12 '^FAIL |^\[  FAILED  \] ' "$log" | grep -vE '^(ok |\[       OK)' | cut -c 1-400
fi
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
    echo "all: $skipped skipped, but CI has everything installed" >&2
    failed=$((failed + skipped))
fi
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
