#!/bin/sh
# The preloaded object loads under any libc or none, and exports the hooks of hooks.def: no more, no
# less. `dynamic_symbols.sh BUILD --accept` writes exports.golden anew.
. "$(dirname "$0")/lib.sh"
if [ "$BUILD" = --accept ]; then
    BUILD=${2:-build}
    set -- "$BUILD" --accept
fi
so=$BUILD/liblastcall.so
golden=tests/guard/exports.golden
need "$so"

symbols=$(readelf -W --dyn-syms "$so" | awk '$1 ~ /^[0-9]+:$/ && $4 != "SECTION" && $8 != "" { sub(/@.*/, "", $8); print $4, $5, $7, $8 }')
exports=$(echo "$symbols" | awk '$3 != "UND" { print $4 }' | sort)
if [ "${2:-}" = --accept ]; then
    printf '%s\n' "$exports" >"$golden"
    echo "wrote $golden"
fi
need "$golden" 'make it with --accept'

# differ LIST LIST WORDS: what the first has and the second lacks
differ()
{
    { printf '%s\n' "$2" | sed 's/^/- /'; printf '%s\n' "$1" | sed 's/^/+ /'; } | awk -v words="$3" '
        $1 == "-" { has[$2] = 1 }
        $1 == "+" && $2 != "" && !($2 in has) { print $2 " " words }'
}

verdict "$({
    readelf -dW "$so" | awk '/\(NEEDED\)/ { print "needs a library: " $NF } /TEXTREL/ { print "has text relocations" }'
    readelf -lW "$so" | awk '
        $1 == "TLS" { print "has a TLS segment" }
        $1 == "GNU_EH_FRAME" { unwind = 1 }
        $1 == "LOAD" && /RWE/ { print "has a segment both writable and executable" }
        $1 == "GNU_STACK" && $0 ~ /RWE/ { print "asks for an executable stack" }
        END { if (!unwind) print "has no GNU_EH_FRAME: pthread_cancel could not unwind through it" }'
    readelf -SW "$so" | grep -q ' \.eh_frame ' || echo 'has no .eh_frame'
    echo "$symbols" | awk '$3 == "UND" && $2 != "WEAK" { print "strong undefined symbol " $4 }'
    echo "$symbols" | awk '$3 != "UND" && $1 != "FUNC" { print $4 " is exported and no function" }'
    differ "$(echo "$symbols" | awk '$3 == "UND" { print $4 }')" "$(weak_names)" 'is undefined and not on the list'
    differ "$exports" "$(cat $golden)" 'is exported and not in exports.golden'
    differ "$(cat $golden)" "$exports" 'is in exports.golden and not exported'
    differ "$exports" "$(hook_names)" 'is exported and not in hooks.def'
    differ "$(hook_names)" "$exports" 'is in hooks.def and not exported'
})"
