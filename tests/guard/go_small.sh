#!/bin/sh
# What runs on a goroutine's stack calls nothing and takes no room there (go/go.h): Go promises little of either.
. "$(dirname "$0")/lib.sh"
so=$BUILD/liblastcall.so
need "$so"

verdict "$(for name in go_begins go_ends; do
    code=$(objdump -d --no-show-raw-insn --disassemble=$name "$so" | grep '^ *[0-9a-f]*:')
    [ -n "$code" ] || echo "$name is not there"
    echo "$code" | grep -E '[[:space:]](call|push|sub .*,%rsp|blr?[[:space:]]|.*\bsp\b)' | sed "s|^|$name needs the stack:|"
done
# On aarch64 x28 is Go's g, and a signal handler of Go's believes it at any time (go/entry_aarch64.S).
objdump -d --no-show-raw-insn "$so" | awk '
    /^[0-9a-f]+ </ { where = $2 }
    /[^0-9a-z][xw]28([^0-9]|$)/ && where != "<go_injected>:" { print where " uses x28, where g is: " $0 }')"
