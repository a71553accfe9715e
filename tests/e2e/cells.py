"""What we cannot read, beside the same server without us: in flight for 3 s, an upload that pauses for 2 s, a request
just after TERM, idle, a new connection for each request. Nothing of what is in flight at TERM is lost, and nothing else
that the bare server keeps."""
import threading
import time

import harness
from bound import BOUND
from clients import FastCgi, Http1, Http2, Refused
from scenarios import scenario
from servers import SMALL, pattern
from wire import WireError

UPLOAD = 40000  # less than HTTP/2's window
PART = UPLOAD // 2


def check(body, *good):
    if body not in good:
        raise WireError(f'the answer is {body[:60]!r}')


def asked(client):
    client.ask('/')
    check(client.answer(), pattern(SMALL))


class Cells:
    """One server and its clients: what each kind of them has lost (`lost`, by kind), and how idle connections ended."""
    KINDS = ('inflight', 'upload', 'late', 'idle', 'churn')

    def __init__(self, t, client):
        self.t, self.client, self.lost = t, client, {kind: [] for kind in self.KINDS}
        without = {'churn'} | ({'inflight'} if '/sleep' in t.server.lacks else set())
        self.clients = {kind: [] for kind in self.KINDS if kind not in without}
        self.served = self.refused = self.notified = 0
        self.over = threading.Event()

    def attempt(self, kind, what):
        try:
            what()
        except Refused:
            self.refused += 1
        except (OSError, WireError) as e:
            self.lost[kind].append(str(e))

    def new(self):
        client = self.client(self.t)
        try:
            check(client.once('/'), pattern(SMALL))
        finally:
            client.close()
        self.served += 1

    def churn(self):
        """A new connection for each request, until one is refused. A handshake that fails is a loss."""
        while not self.over.is_set():
            try:
                self.new()
            except ConnectionRefusedError:
                return
            except Refused:
                self.refused += 1
            except (OSError, WireError) as e:
                self.lost['churn'].append(str(e))
                if self.t.process.wait(0) is not None:
                    return

    def prepare(self):
        for clients in self.clients.values():
            for _ in range(4):
                clients.append(self.client(self.t))
                asked(clients[-1])
        for client in self.clients.get('inflight', ()):
            client.ask('/sleep?ms=3000')
        for client in self.clients['upload']:
            client.post('/upload', UPLOAD)
            client.say(pattern(UPLOAD)[:PART], last=False)

    def uploaded(self, client):
        client.say(pattern(UPLOAD)[PART:], last=True)
        check(client.answer(), b'%d\n' % UPLOAD, pattern(UPLOAD))  # nghttpd sends it back

    def talk(self):
        """TERM, and what the clients do then."""
        self.t.let_read()
        self.t.term()
        for client in self.clients['late']:
            if time.monotonic() < self.t.termed + 1:  # a busy machine: later ones are too late
                self.attempt('late', lambda c=client: asked(c))
        time.sleep(max(0, self.t.termed + 2 - time.monotonic()))
        for client in self.clients['upload']:
            self.attempt('upload', lambda c=client: self.uploaded(c))
        for client in self.clients.get('inflight', ()):
            self.attempt('inflight', lambda c=client: check(c.answer(), pattern(SMALL)))
        for client in self.clients['idle']:
            self.attempt('idle', lambda c=client: self.ended(c))

    def ended(self, client):
        self.notified += client.ended()

    def run(self):
        self.t.start(LASTCALL_IDLE='1500ms')
        threads = [threading.Thread(target=self.churn, daemon=True) for _ in range(2)]
        try:
            self.prepare()
            for thread in threads:
                thread.start()
            self.t.until('new connections are served', lambda: self.served >= 4)
            self.talk()
        finally:
            self.over.set()
            for client in sum(self.clients.values(), []):
                client.close()
            for thread in threads:
                if thread.ident:
                    thread.join(BOUND)
        self.t.check(self.t.process.wait(BOUND) is not None, 'it does not end')

    def __str__(self):
        lost = ' '.join(f'{kind} {len(lost)}' for kind, lost in self.lost.items())
        return f'{lost}, {self.refused} refused, {self.notified} idle ones ended with close_notify'


class Twin:
    """The same done to the same server without us, at the same time."""

    def __init__(self, t, run):
        self.t = harness.Test(t.server, t.options)
        self.t.bare, self.failed = True, None
        self.thread = threading.Thread(target=self._run, args=(run,), daemon=True)
        self.thread.start()

    def _run(self, run):
        try:
            run(self.t)
        except Exception as e:
            self.failed = e

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.thread.join(2 * BOUND)
        self.t.close()
        if self.failed and not error[0]:
            raise self.failed


def cells(t, client, **drained):
    ours, bare = Cells(t, client), []

    def without(twin):
        bare.append(Cells(twin, client))
        bare[0].run()
    with Twin(t, without):
        ours.run()
    bare = bare[0]
    t.note = f'lost without us: {bare}; with us: {ours}'
    t.check(not any(ours.lost.values()), f'lost {ours.lost}; without us: {bare}')
    t.check(ours.notified >= bare.notified - len(bare.lost['idle']), f'close_notify: {ours}; without us: {bare}')
    t.drained(**drained)


@scenario(speaks='tls')
def tls_cells(t):
    """HTTP/1.1 over TLS; idle ones get a FIN, with close_notify where the bare server sends one."""
    cells(t, Http1)


@scenario(speaks='h2')
def h2_cells(t):
    """HTTP/2, over TLS or without."""
    cells(t, Http2)


@scenario(speaks='fcgi')
def fcgi_cells(t):
    """FastCGI, as a web server in front speaks it."""
    cells(t, FastCgi)
