#!/bin/sh
# What runs on a goroutine's stack calls nothing and takes no room there (hook/go.h): Go promises little of either.
. "$(dirname "$0")/lib.sh"
so=$BUILD/liblastcall.so
need "$so"

verdict "$(for name in go_begins go_ends; do
    code=$(objdump -d --no-show-raw-insn --disassemble=$name "$so" | grep '^ *[0-9a-f]*:')
    [ -n "$code" ] || echo "$name is not there"
    echo "$code" | grep -E '[[:space:]](call|push|sub .*,%rsp)' | sed "s|^|$name needs the stack:|"
done)"
