"""The bodies that the servers in Python answer with (servers.py has the table)."""


def lines(n):
    """Many at a time: one by one they would take longer than the server's start."""
    ends = [b'%03x\n' % i for i in range(4096)]
    beginnings = (b'%012x' % i for i in range(n // (16 * 4096) + 1))
    return b''.join(b + b.join(ends) for b in beginnings)[:n]


SMALL, SENDFILE, BIG = lines(64), lines(1 << 20), lines(8 << 20)
CHUNK = 160
STREAM = [lines(1600)[at:at + CHUNK] for at in range(0, 1600, CHUNK)]
