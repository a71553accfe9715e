#!/bin/sh
# shim/core calls nothing but mem* and itself, and owns no memory that can change.
. "$(dirname "$0")/lib.sh"
set -- "$BUILD"/shim/core/*.o
need "$1" 'build the object first'

defined=$(nm --defined-only -g "$@" | awk 'NF == 3 { print $3 }')
calls=$(nm -uA "$@" | awk -v defined="$defined" '
    BEGIN {
        n = split(defined " memcpy memmove memset memcmp _GLOBAL_OFFSET_TABLE_", names)
        for (i = 1; i <= n; i++) fine[names[i]] = 1
    }
    !($NF in fine) { sub(/:.*/, "", $1); print $1 ": needs " $NF }')

# .data.rel.ro is written by the dynamic linker only: constant tables of pointers.
memory=$(for object; do
    readelf -SW "$object" | sed 's/^ *\[ *[0-9]*\] *//' | awk -v object="$object" '
        $6 ~ /^[0-9a-f]+$/ && $7 ~ /W/ && $5 !~ /^0+$/ && $1 !~ /^\.data\.rel\.ro/ {
            print object ": writable section " $1
        }'
done)
verdict "$calls${calls:+${memory:+
}}$memory"
