#!/bin/sh
# own_clients.sh: listeners to which a server connects itself, in a drain: see own_clients.py.
exec /usr/bin/python3 "$(dirname "$0")/own_clients.py"
