"""What /proc says of processes and of who holds which socket. What is gone meanwhile is left out."""
import os


def stat(pid):
    """(state, parent, session), or None when it is gone."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            fields = f.read().rpartition(') ')[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), int(fields[3])


def session(leader):
    """Every process, zombies too, of the session that it leads or led."""
    pids = (int(name) for name in os.listdir('/proc') if name.isdigit())
    return [pid for pid in pids if (stat(pid) or (0, 0, 0))[2] == leader]


def lives(pid):
    found = stat(pid)
    return bool(found) and found[0] not in 'ZX'


def children(pid):
    found = []
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children') as f:
                found += [int(child) for child in f.read().split()]
    except OSError:
        pass
    return found


def descendants(pid):
    """Those that live."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return [pid for pid in found if lives(pid)]


def sockets(pid):
    """The inodes of those that it holds."""
    found = set()
    try:
        for fd in os.listdir(f'/proc/{pid}/fd'):
            name = os.readlink(f'/proc/{pid}/fd/{fd}')
            if name.startswith('socket:['):
                found.add(int(name[8:-1]))
    except OSError:
        pass
    return found


LISTEN = 0x0a


def tcp_inodes(pid, port, peer=None):
    """In its network namespace: of the IPv4 listeners on a port, or of the connections of that port to the peer's port."""
    try:
        with open(f'/proc/{pid}/net/tcp') as f:
            lines = f.read().splitlines()[1:]
    except OSError:
        lines = []
    found = set()
    for fields in map(str.split, lines):
        local, remote = (int(fields[i].rpartition(':')[2], 16) for i in (1, 2))
        if local == port and (int(fields[3], 16) == LISTEN if peer is None else remote == peer):
            found.add(int(fields[9]))
    return found - {0}
