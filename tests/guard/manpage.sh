#!/bin/sh
# Every variable of the table in options.c is in the man page, with its default, and in the README;
# neither names one that is not in the table; and all pages render without a warning.
. "$(dirname "$0")/lib.sh"
page=shim/man/lastcall.7
need $page
need README.md
rows=$(sed -n 's/^ *{"\(LASTCALL_[A-Z_]*\)", "\([^"]*\)".*/\1 \2/p' shim/core/options.c)
[ -n "$rows" ] || verdict 'no rows found in shim/core/options.c'

# named FILE: the variables that it names; those that begin with an underscore are ours, and nobody sets them
named()
{
    grep -oE '_?LASTCALL_[A-Z_]*[A-Z]' "$1" | grep -v '^_' | sort -u
}

verdict "$({
    echo "$rows" | while read -r name fallback; do
        grep -qFx ".BR $name \" ($fallback)\"" $page || echo "$page lacks: .BR $name \" ($fallback)\""
    done
    for file in $page README.md; do
        echo "$rows" | cut -d' ' -f1 | while read -r name; do
            named "$file" | grep -qFx "$name" || echo "$file does not name $name"
        done
        named "$file" | while read -r name; do
            echo "$rows" | grep -q "^$name " || echo "$file names $name, which does not exist"
        done
    done
    if command -v groff >/dev/null; then
        for file in shim/man/*.[1-9]; do
            groff -man -Tutf8 -ww -z "$file" 2>&1
        done
    fi
} | sort -u)"
