# bash completion for lastcall(1). Commands and options are taken from the help of lastcall itself, so that they stay in step.
# shellcheck shell=bash

# The options of a command, as its help has them: "  -o, --output FILE  what it does". $3: what must follow the name.
_lastcall_options()
{
    "$1" "$2" --help 2>/dev/null | sed -n "s/^  \\(\\(-[a-z]\\), \\)\\{0,1\\}\\(--[a-z-]*\\)${3-[ ]}.*/\\2 \\3/p"
}

# The index of the first word after `lastcall run` or `rehearse` that is neither an option nor an option's value: the command.
_lastcall_command_at()
{
    local i takers
    takers=" $(_lastcall_options "${COMP_WORDS[0]}" "${COMP_WORDS[1]}" ' [A-Z]' | tr '\n' ' ') "
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) echo $((i + 1)) && return ;;
        -*) [[ $takers != *" ${COMP_WORDS[i]} "* || ${COMP_WORDS[i + 1]-} == = ]] || ((i++)) ;;
        =) ((i++)) ;;
        *) break ;;
        esac
    done
    echo "$i"
}

_lastcall()
{
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} words='' at=0
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')' --help --version'
    else
        case ${COMP_WORDS[1]} in run | rehearse) at=$(_lastcall_command_at) ;; esac
        if ((at > 0 && COMP_CWORD > at)); then
            return # the command's own arguments: file names
        elif [[ $word == -* ]]; then
            words="$(_lastcall_options "$program" "${COMP_WORDS[1]}") --help"
        elif ((at == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
            return
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o bashdefault -o default -F _lastcall lastcall
