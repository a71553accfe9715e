#!/bin/sh
# leaves_root.sh: the log and the report of a server that starts as root and goes on as another user: see leaves_root.py.
exec /usr/bin/python3 "$(dirname "$0")/leaves_root.py"
