"""What we cannot read (TLS, HTTP/2, upgraded connections, garbage) is left as it is: in flight while its client spoke last, over
once it is quiet for LASTCALL_IDLE after its server's word, or at the deadline, so that every drain is bounded."""
import os
import select
import shutil
import subprocess
import threading
import time

import harness
import wire
from bound import BOUND
from clients import frame
from scenarios import request, scenario
from servers import BIG, SMALL, pattern
from wire import WireError

GET = request('GET', '/')


def ended(t, wires):
    """A FIN on each, as the server's own end makes it, and no reset."""
    for number, w in enumerate(wires):
        try:
            w.end()
        except WireError as e:
            t.check(False, f'connection {number}: {e}')


def served(t, w, path='/'):
    w.send(request('GET', path))
    response = w.response()
    t.check(response.status == 200 and response.body == pattern(SMALL), f'{path}: {response.status}, {len(response.body)} bytes')


@scenario(speaks='tls')
def tls_inflight(t):
    """4 requests at TERM whose answers take far longer than LASTCALL_IDLE are answered whole: the client spoke last."""
    t.start(LASTCALL_IDLE='100ms')
    wires = [t.wire() for _ in range(4)]
    try:
        for w in wires:
            served(t, w)
            w.send(request('GET', '/sleep?ms=2000'))
        t.let_read()
        t.term()
        for w in wires:
            response = w.response()
            t.check(response.status == 200 and response.body == pattern(SMALL), f'status {response.status}')
        ended(t, wires)
    except WireError as e:
        t.check(False, str(e))
    finally:
        for w in wires:
            w.socket.close()
    t.exits()
    t.drained(opaque=4)


@scenario(speaks='tls')
def tls_idle(t):
    """20 idle connections end in order once LASTCALL_IDLE is over."""
    t.start(LASTCALL_IDLE='500ms')
    wires = []
    try:
        for _ in range(20):
            wires.append(t.wire())
            served(t, wires[-1])  # before the next: gunicorn gives a thread to each until then
        t.term()
        ended(t, wires)
        took = time.monotonic() - t.termed
    except WireError as e:
        t.check(False, str(e))
    finally:
        for w in wires:
            w.socket.close()
    t.check(t.bare or took >= 0.5, f'they ended after {took:.2f} s, before LASTCALL_IDLE')
    t.exits()
    t.drained(opaque=20)


@scenario(speaks='tls')
def tls_slow_reader(t):
    """A client that stops reading a download for longer than LASTCALL_IDLE gets all of it nevertheless."""
    t.start(LASTCALL_IDLE='300ms')
    try:
        with t.wire(receive=65536) as w:
            w.send(request('GET', '/big'))
            w.wait_for(pattern(SMALL))
            t.term()
            time.sleep(1)
            t.check(w.response().body == pattern(BIG), 'another body')
            w.end()
    except WireError as e:
        t.check(False, str(e))
    t.exits()
    t.drained(opaque=1)


class Talkers:
    """Clients that ask every 20 ms on one connection each, until quiet() or until it ends."""

    def __init__(self, t, count):
        self.t, self.stop, self.lock = t, threading.Event(), threading.Lock()
        self.asked, self.failed = 0, []
        self.threads = [threading.Thread(target=self.talk, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def talk(self):
        try:
            with self.t.wire() as w:
                while not self.stop.wait(0.02):
                    served(self.t, w)
                    self.asked += 1
                w.end()
        except (OSError, WireError, harness.Failure) as e:
            with self.lock:
                self.failed.append((time.monotonic(), str(e)))

    def wait_asked(self, count):
        self.t.until(f'{count} requests', lambda: self.asked >= count or self.failed)

    def join(self):
        for thread in self.threads:
            thread.join(BOUND)
        self.t.check(not any(thread.is_alive() for thread in self.threads), 'a client hangs')


@scenario(speaks='tls')
def tls_talking(t):
    """8 connections with a request every 20 ms, after TERM for longer than LASTCALL_IDLE and then quiet: nothing is lost."""
    t.start(LASTCALL_IDLE='2s')
    talkers = Talkers(t, 8)
    talkers.wait_asked(80)
    before = talkers.asked
    t.term()
    time.sleep(2.5)
    talkers.stop.set()
    talkers.join()
    t.check(not talkers.failed, f'{len(talkers.failed)} of 8 failed: {talkers.failed[:2]}')
    t.check(talkers.asked > before + 8, f'{talkers.asked - before} requests after TERM')
    t.exits()
    t.drained(opaque=8)
    t.note = f'{talkers.asked} ok'


@scenario(speaks='tls')
def tls_endless(t):
    """8 connections that never fall silent: served until the deadline, and not a moment less."""
    t.start(LASTCALL_IDLE='2s', LASTCALL_TIMEOUT='4s', LASTCALL_SHUTDOWN_TIME='0')
    talkers = Talkers(t, 8)
    talkers.wait_asked(80)
    t.term()
    took = t.expires()
    talkers.join()
    early = [why for when, why in talkers.failed if when < t.termed + 4]
    t.check(not early, f'{len(early)} of 8 failed before the deadline: {early[:2]}')
    t.check(t.bare or took >= 4, f'it ended after {took:.2f} s')
    t.check(t.bare or t.report()['end'] == 'deadline', f'the report says {t.report()}')


# ---- HTTP/2 -------------------------------------------------------------------------------------------

def url(t, path):
    return f'http{"s" if t.tls else ""}://{t.address}{path}'


def program(name):
    if not shutil.which(name):
        raise harness.Missing(name)
    return name


class Tool:
    """A client program, and what it says."""

    def __init__(self, argv):
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.said = b''

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def _more(self, deadline):
        if not select.select([self.child.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            raise harness.Failure(f'the client says no more: {self.said[-400:]!r}')
        data = os.read(self.child.stdout.fileno(), 65536)
        self.said += data
        return data

    def wait_said(self, what):
        deadline = time.monotonic() + BOUND
        while what not in self.said:
            if not self._more(deadline):
                raise harness.Failure(f'the client ended without {what!r}: {self.said[-400:]!r}')

    def finish(self):
        deadline = time.monotonic() + BOUND
        while self._more(deadline):
            pass
        return self.child.wait()


@scenario(speaks='h2', needs='/sleep')
def h2_inflight(t):
    """A stream of 2 s at TERM: answered whole (curl)."""
    t.start(LASTCALL_IDLE='4s')
    prior = [] if t.tls else ['--http2-prior-knowledge']
    with Tool([program('curl'), '-skv', '-m', f'{BOUND:.0f}', '--http2', *prior, '-o', t.path('got'), '-w', 'version %{http_version} %{http_code}\n',
               url(t, '/sleep?ms=2000')]) as curl:
        curl.wait_said(b'> GET ')
        t.let_read()
        t.term()
        status = curl.finish()
        t.check(status == 0 and b'version 2 200' in curl.said,
                f'curl ended with {status}: {curl.said[-400:]!r}')
    with open(t.path('got'), 'rb') as f:
        t.check(f.read() == pattern(SMALL), 'another body')
    t.exits()
    t.drained(opaque=1)


@scenario(speaks='h2', needs='/sleep')
def h2_load(t):
    """16 streams at once on each of 4 connections, TERM after the first tenth (h2load): all are answered."""
    count = 2560  # 40 rounds of 20 ms
    t.start(LASTCALL_IDLE='2s')
    with Tool([program('h2load'), '-n', str(count), '-c', '4', '-m', '16', url(t, '/sleep?ms=20')]) as h2load:
        h2load.wait_said(b'progress: 10% done')
        t.term()
        h2load.finish()
        t.check(b'progress: 90% done' in h2load.said and f' {count} succeeded, 0 failed, 0 errored'.encode() in h2load.said,
                f'h2load: {h2load.said[-700:].decode()}')
    t.exits()
    t.drained()


@scenario(speaks='h2')
def h2_idle(t):
    """An idle HTTP/2 connection ends once LASTCALL_IDLE is over."""
    settings, ack = 4, 1
    t.start(LASTCALL_IDLE='500ms')
    try:
        with t.wire(tls=t.tls and wire.tls_context('h2')) as w:
            w.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(settings))
            w.wait_for(frame(settings, ack))
            t.term()
            w.end(anything=True)
            took = time.monotonic() - t.termed
    except WireError as e:
        t.check(False, str(e))
    t.check(t.bare or took >= 0.5, f'it ended after {took:.2f} s, before LASTCALL_IDLE')
    t.exits()
    t.drained(opaque=1)


# ---- upgraded connections -----------------------------------------------------------------------------

def upgraded(t, w):
    """An echo of bytes, and how to ask for one."""
    if t.server.name == 'aiohttp':
        w.send(request('GET', '/websocket', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
                       'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='))

        def exchange(data):
            w.say_message(data)
            got = w.hear_message()
            t.check(got == data, f'{got!r} came back for {data!r}')
    else:
        w.send(request('GET', '/upgrade', 'Connection: Upgrade', 'Upgrade: echo'))
        exchange = w.exchange
    t.check(w.response().status == 101, 'no 101')
    return exchange


TUNNELS = ('nginx', 'node', 'aiohttp', 'epoll', 'thread', 'go-nethttp', 'go-fasthttp')


@scenario(only=TUNNELS)
def tunnel(t):
    """After 101: every byte both ways while it speaks, then, once quiet for LASTCALL_IDLE, a FIN."""
    t.start(LASTCALL_IDLE='2s')
    try:
        with t.wire() as w:
            exchange = upgraded(t, w)
            exchange(b'before')
            t.term()
            for i in range(8):
                time.sleep(0.3)
                last = time.monotonic()
                exchange(b'after \x00\xff\r\n\r\n%d' % i)
            w.end(anything=t.server.name == 'aiohttp')  # a close frame may come first
            took = time.monotonic() - last
    except WireError as e:
        t.check(False, str(e))
    t.check(t.bare or took >= 2, f'it ended after {took:.2f} s of silence')
    t.exits()
    t.drained(opaque=1)


@scenario(only=TUNNELS)
def tunnel_endless(t):
    """One that never falls silent is served until the deadline."""
    t.start(LASTCALL_IDLE='2s', LASTCALL_TIMEOUT='4s', LASTCALL_SHUTDOWN_TIME='0')
    failed = None
    with t.wire() as w:
        exchange = upgraded(t, w)
        t.term()
        while failed is None and time.monotonic() < t.termed + BOUND:
            try:
                exchange(b'still here')
                time.sleep(0.05)
            except WireError as e:
                failed = e
        t.check(t.bare or time.monotonic() >= t.termed + 4, f'it failed before the deadline: {failed}')
    t.expires()
    t.check(t.bare or t.report()['end'] == 'deadline', 'it was not the deadline')


@scenario(only=('epoll', 'thread', 'node', 'nginx'))
def garbage(t):
    """Bytes that are no HTTP go to the program untouched, and so does its answer; the drain ends."""
    t.start(LASTCALL_IDLE='300ms', LASTCALL_TIMEOUT='2s')
    with t.wire() as w:
        w.send(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')
        t.get()
        t.term()
        t.exits()
    # Whose server waits for the rest of it: the client spoke last, and that is waited for like half a request.
    t.check(t.bare or t.report()['end'] in ('drained', 'deadline'), f'the report says {t.report()}')
