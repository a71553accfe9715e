# bash completion for lastcall(1). What there is to complete is asked of lastcall itself, so that it cannot drift.
# shellcheck shell=bash

# Words of a command's help that are options.
_lastcall_options()
{
    "$1" "$2" --help 2>/dev/null | grep -oE '(^|[[:space:][|(,])--?[a-z][a-z-]*' | grep -oE -- '-.*'
    echo --help
}

# The number of the first word that is no option of `lastcall run` or `rehearse`, and no option's value: the command.
_lastcall_command_at()
{
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) echo $((i + 1)) && return ;;
        --exec | --outside | --json | --*=*) ;;
        --*) ((i++)) ;;
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
            words=$(_lastcall_options "$program" "${COMP_WORDS[1]}")
        elif ((at == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
            return
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o bashdefault -o default -F _lastcall lastcall
