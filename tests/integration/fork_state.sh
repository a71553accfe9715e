#!/bin/sh
# fork_state.sh: a fork in each phase of a drain: what each owner of state has in the child is what it had in the parent before
# the signal.
exec /usr/bin/python3 "$(dirname "$0")/fork_state.py"
