#!/bin/sh
# Every variable of the table in options.c is in lastcall(7), with its default, and in the README; every option that a command's
# help has is in that command's section of lastcall(1), with its default; no page names one that does not exist; and all pages
# render without a warning.
. "$(dirname "$0")/lib.sh"
page=shim/man/lastcall.7
need $page
need README.md
commands=shim/man/lastcall.1
need $commands
need "$BUILD/lastcall"
rows=$(sed -n 's/^ *{"\(LASTCALL_[A-Z_]*\)", "\([^"]*\)".*/\1 \2/p' shim/core/options.c)
[ -n "$rows" ] || verdict 'no rows found in shim/core/options.c'

# named FILE: the variables that it names; those that begin with an underscore are ours, and nobody sets them
named()
{
    grep -oE '_?LASTCALL_[A-Z_]*[A-Z]' "$1" | grep -v '^_' | sort -u
}

# options COMMAND: "--name DEFAULT" for each option of its help; the default, in parentheses at the end, may be lacking
options()
{
    "$BUILD/lastcall" "$1" --help | sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z-]*\)\( [A-Z].*\|  .*\)$/\2\3/p' |
        sed 's/^\(--[a-z-]*\).*(\([^() ]*\))$/\1 \2/; t; s/ .*//'
}

# section COMMAND: its part of the page, with plain dashes
section()
{
    sed -n "/^\.SS lastcall $1\\( \\|\$\\)/,/^\.S[HS]/p" $commands | sed '/^\.S[HS]/d; s/\\-/-/g'
}

# A variable's option is told of by lastcall(7).
mirrors()
{
    echo "$rows" | grep -q "^LASTCALL_$(echo "${1#--}" | tr a-z- A-Z_) "
}

verdict "$({
    "$BUILD/lastcall" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | while read -r command; do
        usage=$("$BUILD/lastcall" "$command" --help | sed -n '1s/^usage: //p')
        [ "$command" = version ] || grep -qFx ".SS $(echo "$usage" | sed 's/-/\\-/g')" $commands || echo "$commands has no heading: $usage"
        options "$command" | while read -r option fallback; do
            mirrors "$option" && continue
            paragraph=$(section "$command" | sed -n "/^\.BI\{0,1\}R\{0,1\} .*$option\\([^a-z-]\|\$\\)/,/^\.TP/p")
            [ -n "$paragraph" ] || echo "$commands does not tell of $command $option"
            [ -z "$fallback" ] || echo "$paragraph" | grep -qF "$fallback" || echo "$commands lacks the default of $command $option: $fallback"
        done
        section "$command" | grep -oE -- '(^|[^a-z-])--[a-z][a-z-]*' | grep -oE -- '--.*' | sort -u | while read -r option; do
            options "$command" | grep -q -e "^$option\( \|\$\)" || echo "$commands names $command $option, which does not exist"
        done
    done
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
