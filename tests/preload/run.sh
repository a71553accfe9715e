#!/bin/sh
# run.sh BUILD [PART]: run every test of this folder whose file name contains PART; each prints
# `ok NAME`, `FAIL NAME: why` or `SKIP NAME: why` for each of its tests. Ends with the sums; non-zero if one failed.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=$(realpath "${1:-build}")
export BUILD
part=${2:-}
all=$(mktemp) && one=$(mktemp) || exit 2
trap 'rm -f "$all" "$one"' EXIT

# A program that ends badly without having said FAIL has failed too.
run()
{
    timeout 300 "$@" </dev/null >"$one"
    status=$?
    if [ $status -ne 0 ] && ! grep -q '^FAIL' "$one"; then
        echo "FAIL $1: exit status $status" >>"$one"
    elif ! grep -qE '^(ok|FAIL|SKIP) ' "$one"; then
        echo "FAIL $1: it has tested nothing" >>"$one"
    fi
    cat "$one"
    cat "$one" >>"$all"
}

for test in tests/preload/*.c tests/preload/*.sh; do
    name=$(basename "$test")
    case $name in
    check.c | run.sh | lib.sh) continue ;;
    *"$part"*) ;;
    *) continue ;;
    esac
    case $name in
    *.c) run "$BUILD/preload/${name%.c}" ;;
    *) run "$test" ;;
    esac
done

failed=$(grep -c '^FAIL' "$all")
skipped=$(grep -c '^SKIP' "$all")
[ "$skipped" -eq 0 ] || printf '\n*** %s SKIPPED: this machine lacks what they need ***\n' "$skipped"
echo "$(grep -c '^ok' "$all") passed, $failed failed"
[ "$failed" -eq 0 ]
