#!/bin/sh
# node_primary.sh: what the primary of node's cluster holds while a worker ends: see node_primary.py.
exec /usr/bin/python3 "$(dirname "$0")/node_primary.py"
