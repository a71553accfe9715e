#!/bin/sh
# run.sh DIRECTORY ROUNDS: races must be silent, seeded not.
set -u
directory=$1 rounds=$2
# The longest history there is: a look whose stack is forgotten cannot be matched with the suppressions.
export TSAN_OPTIONS="suppressions=tests/tsan/suppressions halt_on_error=0 exitcode=66 history_size=7"

failed=0
"$directory/races" "$rounds" >"$directory/races.log" 2>&1
status=$?
if [ $status -eq 0 ] && grep -q '^ok' "$directory/races.log"; then
    grep '^ok' "$directory/races.log"
else
    echo "FAIL tsan/races: exit status $status"
    head -100 "$directory/races.log"
    failed=1
fi

# One is enough.
TSAN_OPTIONS="$TSAN_OPTIONS halt_on_error=1" "$directory/seeded" "$rounds" >"$directory/seeded.log" 2>&1
if grep -q 'WARNING: ThreadSanitizer: data race' "$directory/seeded.log"; then
    echo "ok tsan/seeded: the race is found"
else
    echo "FAIL tsan/seeded: the race is not found"
    failed=1
fi
exit $failed
