"""Clients that mean harm: endless heads, bytes that trickle, two lengths, odd chunks, countless pipelined requests. They hold
the process no longer than its deadline, and make it grow no more than it grows without us."""
import socket
import threading
import time

import scenarios
import wire
from bound import BOUND
from scenarios import scenario

SERVERS = ('epoll', 'nginx')
DEADLINE = 1.5
ROOM = 3 << 20    # what our own tables, stack and code may take
HEAPS = {'node': 16 << 20}  # without us, too, their garbage collectors let them grow now by more, now by less
HARM = 1.0        # seconds of it before TERM


def memory(t):
    """The most that its processes have had, in bytes."""
    total = 0
    for pid in t.everyone():
        with open(f'/proc/{pid}/status') as f:
            total += next(int(line.split()[1]) for line in f if line.startswith('VmHWM')) * 1024
    return total


class Attackers:
    """Threads that do their harm until they are stopped, on a new connection when one has ended."""

    def __init__(self, t, attacks):
        self.t, self.over, self.sent = t, threading.Event(), 0
        self.threads = [threading.Thread(target=self._go_on, args=(attack,), daemon=True) for attack in attacks]
        for thread in self.threads:
            thread.start()

    def _go_on(self, attack):
        while not self.over.is_set():
            try:
                s = wire.connect(self.t.target, BOUND)
            except OSError:
                time.sleep(0.02)
                continue
            with s:
                s.setblocking(False)
                try:
                    attack(self, s)
                except (ConnectionError, EOFError):
                    pass

    def send(self, s, data):
        """All of it, taking what comes; an end of the connection is one."""
        data = memoryview(data)
        while data and not self.over.is_set():
            moved = False
            try:
                n = s.send(data[:1 << 16])
                data, self.sent, moved = data[n:], self.sent + n, True
            except BlockingIOError:
                pass
            try:
                if not s.recv(1 << 16):
                    raise EOFError
                moved = True
            except BlockingIOError:
                pass
            if not moved:
                time.sleep(0.001)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(BOUND)


def endless_head(a, s):
    a.send(s, b'GET / HTTP/1.1\r\n')
    while not a.over.is_set():
        a.send(s, b'X-Filler: ' + b'a' * 4000 + b'\r\n')


def endless_line(a, s):
    a.send(s, b'GET /')
    while not a.over.is_set():
        a.send(s, b'a' * 65536)


def trickle(a, s):
    for byte in b'GET / HTTP/1.1\r\nHost: a\r\n' + b'X: y\r\n' * 10000:
        a.send(s, bytes([byte]))
        if a.over.wait(0.02):
            return


def says(*parts):
    def attack(a, s):
        for part in parts:
            a.send(s, part)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            a.send(s, b'G')
            time.sleep(0.01)
    return attack


POST = b'POST / HTTP/1.1\r\nHost: a\r\n'
CHUNKED = POST + b'Transfer-Encoding: chunked\r\n\r\n'
SMUGGLED = [says(POST + b'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'),
            says(POST + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n'),
            says(POST + b'Content-Length: 99999999999999999999999\r\n\r\n', b'a' * 1000),
            says(POST + b'Content-Length: -1\r\n\r\n'), says(POST + b'Content-Length : 3\r\n\r\nabc'),
            says(POST + b'Transfer-Encoding: xchunked, chunked\r\n\r\n0\r\n\r\n')]
ODD_CHUNKS = [says(CHUNKED + size + b'\r\nabcde\r\n') for size in
              (b'FFFFFFFFFFFFFFFFF', b'-5', b'0x5', b'5;' + b'e=' * 4000, b'0' * 100000 + b'5', b'', b' 5 ', b'5\n')]


def attacked(t, bare, attacks):
    """Returns by how much the server has grown; TERM comes in the middle."""
    t.start(bare=bare, LASTCALL_TIMEOUT=f'{DEADLINE}s', LASTCALL_IDLE='200ms', LASTCALL_LOG='info')
    before = memory(t)
    attackers = Attackers(t, attacks)
    try:
        time.sleep(HARM)
        t.check(attackers.sent > 0, 'no harm was done')
        grown = memory(t) - before
        if bare:
            t.end()
        else:
            t.term()
            t.released()
            log = t.read('log').encode(errors='replace')
            t.check(all(byte >= 32 or byte == 10 for byte in log if b'lastcall' in log), 'a control character in the log')
    finally:
        attackers.stop()
    t.again()
    return grown, attackers.sent


def harmless(name, attacks, only=SERVERS):
    def run(t):
        if t.bare:
            attacked(t, True, attacks)
            return
        bare, _ = attacked(t, True, attacks)
        ours, sent = attacked(t, False, attacks)
        t.note = f'{sent >> 10} KiB of it, grown by {ours >> 10} KiB, without us by {bare >> 10} KiB'
        t.check(ours <= bare + ROOM + HEAPS.get(t.server.name, 0), f'it has grown by {ours} bytes, without us by {bare}')
    scenarios.SCENARIOS[name] = scenarios.Scenario(name, run, only=only)


harmless('hostile-heads', [endless_head, endless_line] * 2, ('epoll', 'thread', 'nginx', 'node'))
harmless('hostile-trickle', [trickle] * 20)
harmless('hostile-lengths', SMUGGLED)
harmless('hostile-chunks', ODD_CHUNKS)


@scenario(heavy=True, only=('epoll', 'thread'))
def hostile_pipeline(t):
    """--pipelined requests on one connection, as fast as they can be written: all are served, none is kept."""
    request, at_once = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 1000
    t.start()
    before = memory(t)
    answered = 0
    with wire.connect(t.target, BOUND) as s:
        def ask():
            for _ in range(t.options.pipelined // at_once):
                s.sendall(request * at_once)
            s.shutdown(socket.SHUT_WR)
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        tail = b''
        while data := s.recv(1 << 18):
            answered += (tail + data).count(b'HTTP/1.1 200') - tail.count(b'HTTP/1.1 200')
            tail = data[-11:]
        asker.join(BOUND)
    grown = memory(t) - before
    t.note = f'{answered} answered, grown by {grown >> 10} KiB'
    t.check(answered == t.options.pipelined, f'{answered} of {t.options.pipelined} were answered')
    t.check(grown <= ROOM, f'it has grown by {grown} bytes')
    t.term()
    t.exits()
    t.drained()
