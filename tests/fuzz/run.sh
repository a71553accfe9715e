#!/bin/sh
# run.sh BUILD NAME SECONDS [OPTION...]: one target; prints how many executions there were, and what was found.
# New inputs go to the build folder; the corpus in the repository stays small.
set -u
build=$1 name=$2 seconds=$3
shift 3
log=$build/fuzz/$name.log
mkdir -p "$build/fuzz/corpus/$name"
"$build/fuzz/$name" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/fuzz/$name-" \
    "$@" "$build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
status=$?
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
if [ $status -eq 0 ] && [ "${executions:-0}" -gt 0 ]; then
    echo "ok fuzz $name: $executions executions in $seconds s, 0 findings"
    exit 0
fi
echo "FAIL fuzz $name: exit status $status after ${executions:-no} executions:"
tail -n 40 "$log"
exit 1
