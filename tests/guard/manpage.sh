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
mirrored=$(echo "$rows" | sed 's/^LASTCALL_//; s/ .*//' | tr A-Z_ a-z-)
mirrors()
{
    echo "$mirrored" | grep -qFx -e "${1#--}"
}

verdict "$({
    "$BUILD/lastcall" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | while read -r command; do
        usage=$("$BUILD/lastcall" "$command" --help | sed -n '1s/^usage: //p')
        [ "$command" = version ] || grep -qFx ".SS $(echo "$usage" | sed 's/-/\\-/g')" $commands || echo "$commands has no heading: $usage"
        told=$(options "$command") text=$(section "$command")
        echo "$told" | while read -r option fallback; do
            [ -n "$option" ] || continue
            mirrors "$option" && continue
            paragraph=$(echo "$text" | sed -n "/^\.BI\{0,1\}R\{0,1\} .*$option\\([^a-z-]\|\$\\)/,/^\.TP/p")
            [ -n "$paragraph" ] || echo "$commands does not tell of $command $option"
            [ -z "$fallback" ] || echo "$paragraph" | grep -qF "$fallback" || echo "$commands lacks the default of $command $option: $fallback"
        done
        echo "$text" | grep -oE -- '(^|[^a-z-])--[a-z][a-z-]*' | grep -oE -- '--.*' | sort -u | while read -r option; do
            echo "$told" | grep -q -e "^$option\( \|\$\)" || echo "$commands names $command $option, which does not exist"
        done
    done
    echo "$rows" | while read -r name fallback; do
        grep -qFx ".BR $name \" ($fallback)\"" $page || echo "$page lacks: .BR $name \" ($fallback)\""
    done
    for file in $page README.md; do
        there=$(named "$file") known=$(echo "$rows" | cut -d' ' -f1)
        echo "$known" | grep -vFx -e "$there" | sed "s|^|$file does not name |"
        echo "$there" | grep -vFx -e "$known" | sed "s|.*|$file names &, which does not exist|"
    done
    if command -v groff >/dev/null; then
        for file in shim/man/*.[1-9]; do
            groff -man -Tutf8 -ww -z "$file" 2>&1
        done
    fi
} | sort -u)"
