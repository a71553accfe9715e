#!/bin/sh
# Nothing inside calls what it interposes. -Bsymbolic binds such a call to our own hook without leaving
# a trace in the object, so three places are looked at: the linked object, the objects outside hook/,
# and the text of every source (a body calls real.NAME, or a raw system call).
. "$(dirname "$0")/lib.sh"
so=$BUILD/liblastcall.so
need "$so"
need shim/hook/hooks.def
names=$(hook_names)

# Symbols named by the relocations of ELF files (two or more: readelf names no single one), but for the debugger's and
# the unwinder's: FILE SYMBOL
relocated()
{
    readelf -rW "$@" | awk '
        /^File: / { file = $2 }
        /^Relocation section/ { skip = $3 ~ /\.rela?\.(debug|eh_frame)/ }
        !skip && NF >= 5 && $1 ~ /^[0-9a-f]+$/ { sub(/@.*/, "", $5); print file, $5 }' | sort -u
}

# C sources without their comments, as file:line:text. (That a comment mark may stand in a string does
# not matter here.)
uncommented()
{
    awk '
        FNR == 1 { inside = 0 }
        {
            text = ""
            rest = $0
            while (rest != "") {
                if (inside) {
                    end = index(rest, "*/")
                    rest = end ? substr(rest, end + 2) : ""
                    if (end) inside = 0
                } else {
                    sub(/\/\/.*/, "", rest)
                    begin = index(rest, "/*")
                    text = text (begin ? substr(rest, 1, begin - 1) " " : rest)
                    rest = begin ? substr(rest, begin + 2) : ""
                    if (begin) inside = 1
                }
            }
            print FILENAME ":" FNR ":" text
        }' "$@"
}

verdict "$({
    relocated "$so" "$so" | awk -v weak="$(weak_names)" '
        BEGIN { n = split(weak, name); while (n) fine[name[n--]] = 1 }
        !($2 in fine) { print $1 " has a relocation against " $2 }'
    # shellcheck disable=SC2046
    relocated $(find "$BUILD/shim" -name '*.o' ! -path '*/hook/*' ! -path '*/launcher/*') | awk -v names="$names" '
        BEGIN { n = split(names, name); while (n) interposed[name[n--]] = 1 }
        $2 in interposed { print $1 " refers to " $2 }'
    # shellcheck disable=SC2046
    uncommented $(find shim -name '*.[ch]' ! -path 'shim/launcher/*' | sort) |
        grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>])?($(echo "$names" | paste -sd '|' -))[[:space:]]*\(" |
        sed 's|:[[:space:]]*\([^0-9]\)| uses an interposed name: \1|'
} | sort -u)"
