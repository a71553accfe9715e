"""What /proc says of processes and of who holds which socket. What is gone meanwhile is left out."""
import ctypes
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

CLONE_NEWNET = 0x40000000  # setns(2)


def fields_of(path):
    """Of a stat file, after the name, which may have anything in it."""
    try:
        with open(path, errors='replace') as f:
            return f.read().rpartition(') ')[2].split()
    except OSError:
        return None


def stat(pid):
    """(state, parent, session), or None when it is gone."""
    fields = fields_of(f'/proc/{pid}/stat')
    return fields and (fields[0], int(fields[1]), int(fields[3]))


def thread_states(pid):
    try:
        found = [fields_of(f'/proc/{pid}/task/{task}/stat') for task in os.listdir(f'/proc/{pid}/task')]
    except OSError:
        found = []
    return {fields[0] for fields in found if fields}


def pending(pid, number):
    """Has a process been sent a signal that none of its threads has taken yet?"""
    try:
        with open(f'/proc/{pid}/status') as f:
            sets = dict(line.split(':') for line in f if line.startswith(('SigPnd', 'ShdPnd')))
    except OSError:
        return False
    return any(int(bits, 16) >> (number - 1) & 1 for bits in sets.values())


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


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ''


def sockets(pid):
    """The inodes of those that it holds."""
    try:
        fds = os.listdir(f'/proc/{pid}/fd')
    except OSError:
        fds = []
    names = [link(f'/proc/{pid}/fd/{fd}') for fd in fds]
    return {int(name[8:-1]) for name in names if name.startswith('socket:[')}


LISTEN = '0A'


def unix_listeners(path):
    """The inodes of those of AF_UNIX with this path."""
    with open('/proc/net/unix') as f:
        lines = [line.split() for line in f]
    return {int(fields[6]) for fields in lines if fields[7:] == [path] and fields[3] == '00010000'}


def listeners(pid, port):
    """The inodes of those on an IPv4 port, in its network namespace, or on 'unix:PATH'. They come first in the file, before
    perhaps a hundred thousand connections."""
    if str(port).startswith('unix:'):
        return unix_listeners(port[5:])
    found = set()
    try:
        with open(f'/proc/{pid}/net/tcp') as f:
            next(f)
            for fields in map(str.split, f):
                if fields[3] != LISTEN:
                    break
                if int(fields[1].rpartition(':')[2], 16) == port:
                    found.add(int(fields[9]))
    except OSError:
        pass
    return found


NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
MESSAGE, REQUEST, NO_COOKIE = struct.Struct('=IHHII'), struct.Struct('=BBBxI'), b'\xff' * 8
INODE_AT = MESSAGE.size + 68  # in struct inet_diag_msg, sock_diag(7)


def connection(local, remote):
    """The inode of the end that has these two (address, port), of IPv4 in our own network namespace; 0: there is none."""
    ports = struct.pack('!HH', local[1], remote[1])
    addresses = b''.join(socket.inet_aton(address).ljust(16, b'\0') for address, _ in (local, remote))
    body = REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xffffffff) + ports + addresses + bytes(4) + NO_COOKIE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        s.send(MESSAGE.pack(MESSAGE.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + body)
        answer = s.recv(4096)
    if MESSAGE.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return 0
    return struct.unpack_from('=I', answer, INODE_AT)[0]


NLM_F_DUMP = 0x300
ESTABLISHED, CLOSE_WAIT, LISTENING = 1, 8, 10
STATE_AT, RQUEUE_AT = MESSAGE.size + 1, MESSAGE.size + 56


def each_message(s):
    """Of a dump: each message of a socket."""
    while True:
        answer = s.recv(1 << 16)
        while answer:
            size, kind = MESSAGE.unpack_from(answer)[:2]
            if kind != SOCK_DIAG_BY_FAMILY:  # NLMSG_DONE, or an error
                return
            yield answer[:size]
            answer = answer[(size + 3) & ~3:]


def in_network_of(path, function):
    """What it returns in this network namespace."""
    def run():
        with open(path) as f:
            if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
        return function()
    with ThreadPoolExecutor(1) as pool:  # a thread that ends: the namespace is the thread's
        return pool.submit(run).result()


def unread(port):
    """On a TCP port in our own network namespace: the bytes on its connections that nobody has read yet, and the connections
    in its accept queue."""
    total = 0
    states = 1 << ESTABLISHED | 1 << CLOSE_WAIT | 1 << LISTENING
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        for family in (socket.AF_INET, socket.AF_INET6):
            body = REQUEST.pack(family, socket.IPPROTO_TCP, 0, states) + struct.pack('!HH36x', port, 0) + NO_COOKIE
            s.send(MESSAGE.pack(MESSAGE.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
            for message in each_message(s):
                fin = message[STATE_AT] == CLOSE_WAIT  # may count as a byte
                total += max(0, struct.unpack_from('=I', message, RQUEUE_AT)[0] - fin)
    return total
