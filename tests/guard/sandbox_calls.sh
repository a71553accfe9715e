#!/bin/sh
# Every system call that the library makes on its own account is in the table of process/sandbox.c: a filter that forbids
# one that is not there would end the program. (clone, exit and rt_sigreturn are made in assembly.)
. "$(dirname "$0")/lib.sh"
table=shim/process/sandbox.c
need $table

made()
{
    {
        grep -rhoE 'sys[0-6]\(SYS_[a-z0-9_]+' shim --include='*.[ch]' --exclude-dir=launcher | sed 's/.*(//'
        grep -rhoE 'SYS_[a-z0-9_]+' shim/sys --include='*.S'
    } | sort -u
}

listed()
{
    sed -n '/^static const uint16_t calls/,/^};/p' $table | grep -oE 'SYS_[a-z0-9_]+' | sort -u
}

made >"${TMPDIR:-/tmp}/made.$$"
listed >"${TMPDIR:-/tmp}/listed.$$"
problems=$(comm -23 "${TMPDIR:-/tmp}/made.$$" "${TMPDIR:-/tmp}/listed.$$" | sed "s|\$| is called, and not in $table|")
rm -f "${TMPDIR:-/tmp}/made.$$" "${TMPDIR:-/tmp}/listed.$$"
verdict "$problems"
