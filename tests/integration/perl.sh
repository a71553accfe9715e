#!/bin/sh
# perl.sh: perl counts every environ as its own that is not the one it began with: a server may set a variable, start programs
# with it, and end by itself.
set -u
. "$(dirname "$0")/lib.sh"

command -v perl >/dev/null || skip perl "no perl"

# says NAME WANTED PROGRAM: this perl program, a server, ends with 0 and says this.
says()
{
    got=$(LD_PRELOAD=$BUILD/liblastcall.so LASTCALL_LOG=off perl -MIO::Socket::INET -e '
        my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; $| = 1;'"$3" 2>&1)
    status=$?
    if [ "$got" = "$2" ] && [ $status -eq 0 ]; then ok "$1"; else fail "$1" "exit status $status, it said: $got"; fi
}

says perl/ends '' ''

# The launcher names its group in the environment that perl begins with.
got=$("$BUILD/lastcall" run --log off -- perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die' 2>&1)
status=$?
if [ -z "$got" ] && [ $status -eq 0 ]; then ok perl/under-run; else fail perl/under-run "exit status $status, it said: $got"; fi
# shellcheck disable=SC2016
says perl/sets_a_variable 'yes yes' '$ENV{LATER} = "yes"; system q(printf "$LATER "); exec q(printf "$LATER");'
# shellcheck disable=SC2016
says perl/forks 'child parent' 'unless (fork) { $ENV{A} = "b"; print "child "; exit } wait; print $? ? "failed: $?" : "parent";'
done_here
