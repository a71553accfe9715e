#!/bin/sh
# all.sh MAKE BUILD: every suite of `make test`, and one count at the end. Each suite prints a line for each test: cmocka's
# `[       OK ] name`, or `ok name`, `FAIL name: why`, `SKIP name: why`.
set -u
make="$1 -j$(nproc) --no-print-directory BUILD=$2" build=$2
log=$build/test.log
mkdir -p "$build"
rm -f "$build/processors"
: >"$log"
broken=0

# What each suite needs, and what make is told:
#   processor   it only computes. As many at a time as there are processors, in what the others leave idle (sched(7), SCHED_IDLE): no
#               test of theirs waits for a processor because of it.
#   waits       its tests wait for servers and clients most of the time. All of them at once.
#   alone       the same, but it has so many tests at once that it fills the machine: when those that wait have ended.
# None of them needs a clock (no test fails because it took long) or anything that there is only once: where a test wants
# a network, mounts or PIDs of its own, it makes a namespace.
suites='
unit            processor
guard           processor
tsan            processor
explore         processor
both-compilers  processor
fuzz            processor  FUZZ_SECONDS=5
integration     waits
cli             waits
e2e             alone
'

# needing NEED: the names.
needing()
{
    echo "$suites" | awk -v need="$1" '$2 == need { print $1 }'
}

# processor_time FILE: of what times(1) says of a shell's children: seconds.
processor_time()
{
    awk 'NR == 2 { split($1 "m" $2, t, /[ms]/); printf "%d", t[1] * 60 + t[2] + t[4] * 60 + t[5] }' "$1"
}

# suite NAME [COMMAND...]: all it says goes to NAME.log; at its end, what it took. COMMAND runs it.
suite()
{
    name=$1 begun=$(date +%s)
    shift
    told=$(echo "$suites" | awk -v name="$name" '$1 == name { $1 = $2 = ""; print }')
    rm -f "$build/$name.failed"
    # shellcheck disable=SC2086
    (
        "$@" $make "$name" $told || touch "$build/$name.failed"
        times >"$build/$name.times"
    ) >"$build/$name.log" 2>&1
    echo "== $name took $(($(date +%s) - begun)) s, $(processor_time "$build/$name.times") s of a processor" >>"$build/$name.log"
}

# show NAME: what it said, and count it. One that fails without a FAIL line of its own is a failure all the same.
show()
{
    printf '== %s\n' "$1"
    cat "$build/$1.log"
    cat "$build/$1.log" >>"$log"
    if [ -e "$build/$1.failed" ] && ! grep -qE '^FAIL |^\[  FAILED  \] [a-z]' "$build/$1.log"; then
        echo "FAIL $1: the suite broke off"
        broken=$((broken + 1))
    fi
}

# What several suites want, so that none builds it beside another.
begun=$(date +%s)
$make all e2e-build || exit 1
times >"$build/all.times"
echo "== build took $(($(date +%s) - begun)) s, $(processor_time "$build/all.times") s of a processor" | tee -a "$log"

# A token in the pipe is a processor that none of them uses. The pipe is for this shell alone: no program of a suite inherits it.
mkfifo "$build/processors"
(
    exec 3<>"$build/processors"
    rm "$build/processors"
    seq "$(nproc)" >&3
    for name in $(needing processor); do
        read -r _ <&3
        { suite "$name" chrt --idle 0 3>&-; echo >&3; } &
    done
    wait
) &
computing=$!
waiting=
for name in $(needing waits); do
    suite "$name" env &
    waiting="$waiting $!"
done
# shellcheck disable=SC2086
wait $waiting
for name in $(needing waits); do
    show "$name"
done
for name in $(needing alone); do
    suite "$name" env
    show "$name"
done
wait $computing
for name in $(needing processor); do
    show "$name"
done

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
grep -h '^== .* took ' "$log"
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
