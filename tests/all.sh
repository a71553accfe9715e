#!/bin/sh
# all.sh MAKE BUILD: every suite of `make test`, one after another, and one count at the end. Each suite prints
# a line for each test: cmocka's `[       OK ] name`, or `ok name`, `FAIL name: why`, `SKIP name: why`.
set -u
make="$1 -j$(nproc)" build=$2
log=$build/test.log
mkdir -p "$build"
: >"$log"
broken=0

# suite TARGET [ARGUMENT...]: a suite that fails without a FAIL line of its own is a failure all the same.
suite() {
    printf '== %s\n' "$1"
    begun=$(date +%s)
    rm -f "$build/suite.failed"
    { $make --no-print-directory BUILD="$build" "$@" 2>&1 || touch "$build/suite.failed"; } | tee "$build/suite.log"
    cat "$build/suite.log" >>"$log"
    if [ -e "$build/suite.failed" ] && ! grep -qE '^FAIL |^\[  FAILED  \] [a-z]' "$build/suite.log"; then
        echo "FAIL $1: the suite broke off"
        broken=$((broken + 1))
    fi
    printf '== %s took %s s\n' "$1" $(($(date +%s) - begun))
}

suite both-compilers
suite unit
suite guard
suite explore
suite tsan
suite preload
suite fuzz FUZZ_SECONDS=30
suite cli
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
