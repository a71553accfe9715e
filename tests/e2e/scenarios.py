"""What is done to a server, and what must come out: nobody is lost. One function each; its name is the
scenario's. A sleep here is part of a scenario (a client that is slow), never a wait for something; and no scenario fails because
something took long: what must not be waited for is NEVER over, so that the drain would end by its deadline, which the report
says."""

import random
import resource
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Callable

import procfs
from bound import BOUND, NEVER
from harness import Missing, longer
from servers import BIG, SENDFILE, SERVERS, SMALL, STREAM, pattern
from wire import WireError

SCENARIOS = {}
EXACT = f'pattern={SMALL}'


@dataclass
class Scenario:
    name: str
    run: Callable
    racing: bool = False   # repeated: --repeat, on the servers of REPEATED
    heavy: bool = False    # keeps a processor busy: one a processor at a time
    measured: bool = False # says how long something takes: always shown
    needs: str = ''        # an endpoint, or what else a server may lack
    only: tuple = ()       # these servers, if any
    speaks: str = 'http'   # what a server must speak
    group: bool = False    # on servers of several processes, and on no other
    long: bool = False     # only with --all, or if it is named
    long_on: tuple = ()    # the same, on these servers


REPEATED = ('nginx', 'node', 'epoll')
REPEATED_LESS = ('go-nethttp', 'go-fasthttp')  # as often as groups
SOAKED = tuple(name for name, server in SERVERS.items() if name.startswith('go-') and 'http' in server.speaks)  # the longer suite: too
# On servers of several processes: what a plain run has of the scenarios that all servers share, which of them are
# repeated (--group-repeat), and where the longer suite does that.
GROUP_SHARED = ('inflight', 'hammer', 'think', 'churn', 'reuse', 'backlog', 'idle', 'big', 'upload', 'pipeline', 'stream', 'forever',
                'second-signal', 'repeated-signal', 'alone', 'half-head', 'bytes', 'tls-cells', 'h2-cells',
                'fcgi-cells')
# What a plain run asks of some servers only, since it depends neither on how a server shares its connections among threads and
# processes nor on how many there are: what becomes of one request or of one connection ...
OF_ONE = ('reuse', 'big', 'pipeline', 'stream', 'second-signal', 'repeated-signal', 'alone', 'half-head', 'bytes')
OF_HTTP = ('head', 'status-204', 'status-304', 'http10', 'keep-alive-10', 'tokens', 'continue-100', 'early', 'tunnel', 'tunnel-endless',
           'half-closed')
# ... and what a master does.
OF_MASTER = ('report', 'term-all', 'term-late', 'master-dies', 'shutdown-time', 'own-grace', 'respawn')
# Groups that differ from another one of the table only in how their processes share the connections.
GROUP_VARIANTS = ('nginx-4', 'nginx-mutex', 'nginx-reuseport', 'gunicorn-sync', 'node-cluster-none', 'apache-prefork')
# These take one to three seconds of a processor to start; the others a tenth.
SLOW_TO_START = ('gunicorn-gthread', 'uvicorn', 'puma', 'node-cluster-rr', 'forking', 'aiohttp', 'java')


def long_on(name):
    """Where a scenario is made again in another place (a container, under another parent), a plain run has of a slow server one load."""
    return () if name == 'churn' else SLOW_TO_START


NOT_ASKED = {**dict.fromkeys(SLOW_TO_START, OF_ONE + OF_HTTP), **dict.fromkeys(GROUP_VARIANTS, OF_ONE + OF_MASTER + ('upload', 'forever'))}
GROUP_RACING = ('inflight', 'hammer', 'think', 'churn')
GROUP_SOAKED = ('nginx-2', 'nginx-4', 'gunicorn-sync', 'gunicorn-gthread', 'forking')
MEASURED = ('nginx', 'epoll')
HEAVY = ('hammer', 'think', 'churn')  # and what is made of them elsewhere


def scenario(**options):
    def add(run):
        name = run.__name__.strip('_').replace('_', '-')
        SCENARIOS[name] = Scenario(name, run, **{'heavy': options.get('racing', False), **options})
        return run
    return add


# ---- under load ---------------------------------------------------------------------------------------

@scenario()
def inflight(t):
    """8 requests of 2 s, TERM once they are read."""
    clients = t.some(8)
    t.term_in_flight(f'GET /sleep?ms={{ms}} {EXACT}', clients)
    t.exits()
    t.drained(in_flight=clients)


def until_refused(t, clients, ready, env=None, number=signal.SIGTERM, **options):
    """Clients that go on until the door is closed, TERM (or signal `number`) in the middle."""
    t.start(**(env or {}))
    load = t.load(f'GET / {EXACT}', clients=clients, until_refused=True, ready_ok=t.warm(ready, clients), **options)
    load.wait_ready()
    if t.options.control:  # no TERM: proof that clients and server lose nothing by themselves
        time.sleep(0.3)
        load.stop()
        t.no_loss(load)
        t.term(number)
        return None
    t.term(number)
    result = t.no_loss(load)
    t.check(result['refused'] == clients, f"{result['refused']} of {clients} clients were refused in the end")
    t.exits()
    t.drained()
    return result


@scenario(racing=True)
def hammer(t):
    """16 keep-alive connections without a pause."""
    until_refused(t, 16, 400)


@scenario(racing=True)
def think(t):
    """64 clients that pause 5-50 ms between requests; 16, where each is dear."""
    until_refused(t, 64 if t.server.dear == 1 else 16, 256, think_min=5, think_max=50)


@scenario(racing=True)
def churn(t):
    """A new connection for each request: served or refused, never reset."""
    until_refused(t, 16, 300, fresh=True)


@scenario(racing=True, needs='keep-alive')
def reuse(t):
    """One connection with a request every 20 ms for ever: it is told to close, and that ends it, not that it falls silent."""
    result = until_refused(t, 1, 15, {'LASTCALL_IDLE': NEVER}, think_min=20, think_max=20)
    t.check(not result or result['close_sent'], 'it was never told to close')


@scenario(racing=True, needs='stop')
def backlog(t):
    """20 connections wait in the accept queue while the server is busy (stopped) when TERM comes."""
    t.start()
    queued(t)
    t.exits()
    t.drained()


def queued(t):
    go_on = t.stopped()
    load = t.load(f'GET / {EXACT}', clients=20, limit=1, ready_sent=20)
    load.wait_ready()
    t.term()
    go_on()
    result = t.no_loss(load)
    t.check(result['ok'] == 20, f"{result['ok']} of 20 were served")


@scenario(needs='keep-alive')
def idle(t):
    """50 idle connections get a clean FIN."""
    t.start()
    load = t.load(f'GET / {EXACT}', clients=50, limit=1, hold=True, ready_ok=50)
    load.wait_ready()
    t.term()
    result = t.no_loss(load)
    t.check(result['idle_closed'] == 50, f"{result['idle_closed']} of 50 idle connections got a FIN")
    t.exits()
    t.drained(idle_closed=50)


@scenario(only=('epoll', 'thread', 'nginx', 'nginx-2', 'node', 'gunicorn-gthread', 'static-go'), long_on=SLOW_TO_START)
def vanished(t):
    """Idle clients whose hosts are gone: nobody acknowledges our FIN. They hold the drain for LASTCALL_IDLE and LASTCALL_LINGER
    at most, and nothing of theirs is cut, nor at the deadline."""
    for linger, timeout, end in (('500ms', '1m', 'drained'), (NEVER, '1s', 'deadline')):
        t.start(LASTCALL_IDLE='300ms', LASTCALL_LINGER=linger, LASTCALL_TIMEOUT=timeout, LASTCALL_SHUTDOWN_TIME='0')
        with ExitStack() as stack:
            for wire in [stack.enter_context(t.wire()) for _ in range(4)]:
                wire.send(request('GET', '/'))
                wire.response()
                wire.vanish()
            t.term()
            took = t.exits()
        t.drained(end=end)
        t.note += f'{end} after {took:.2f} s '
        t.again()


@scenario()
def http10(t):
    """8 HTTP/1.0 clients that ask for keep-alive."""
    until_refused(t, 8, 40, http10=True, think_min=5, think_max=20)


@scenario()
def big(t):
    """8 MiB each to 4 readers that take 2 s."""
    t.start()
    clients = t.some(4)
    load = t.load(f'GET /big pattern={BIG}', clients=clients, limit=1, rate=4 << 20, wait_fin=True, ready_started=clients)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits()
    t.drained(in_flight=clients)


@scenario()
def upload(t):
    """Half a body at TERM, the rest a second later."""
    size, clients = 1 << 20, t.some(4)
    t.term_in_flight(f'POST /upload upload={size} text={size}\n', clients, 1500, split=size // 2, split_pause='{ms}')
    t.exits()
    t.drained(in_flight=clients)


@scenario(needs='pipeline')
def pipeline(t):
    """3 requests in one write; the first takes 800 ms, the close option belongs on the last."""
    for ms in longer(800):
        t.start()
        load = t.load([f'GET /sleep?ms={ms} {EXACT}', f'GET / {EXACT}', f'GET / {EXACT}'], clients=4, limit=3, pipeline=3, wait_fin=True,
                      ready_sent=12)
        load.wait_ready()
        t.let_read()
        t.term()
        result = t.no_loss(load)
        if t.in_time(result['first_response'] / 1e9, ms):
            break
        t.again()
    t.check(result['ok'] == 12, f"{result['ok']} of 12 were served")
    t.check(t.bare or result['close_sent'] == 4, f"{result['close_sent']} of 4 connections were told to close")
    t.exits()
    t.drained()


@scenario()
def stream(t):
    """Chunked over 3 s: the head is long gone when TERM comes."""
    t.start()
    clients = t.some(4)
    load = t.load(f'GET /stream?ms=3000 pattern={STREAM}', clients=clients, limit=1, hold=True, ready_started=clients)
    load.wait_ready()
    t.term()
    result = t.no_loss(load)
    t.check(result['ok'] == clients, f"{result['ok']} of {clients} were served")
    t.exits()
    t.drained(**({} if t.server.external else {'in_flight': clients}))  # externally its pauses look like idleness


@scenario(needs='/sendfile', only=('nginx', 'epoll', 'select', 'thread'))
def unread(t):
    """A response that its client is slow to read, 1 MiB in the server's buffer, is waited for: also one that was asked
    for at the very moment of TERM."""
    for _ in range(5):
        # Its end is what ends the drain; LASTCALL_IDLE only where the machine was so busy that it was answered before the handler ran.
        t.start(LASTCALL_IDLE='4s', LASTCALL_LINGER=NEVER)
        try:
            with t.wire(receive=4096) as wire:
                wire.send(request('GET', '/'))
                wire.response()
                t.term()
                wire.send(request('GET', '/sendfile'))
                t.check(t.process.wait(0.2) is None, 'it ended with the response unread')
                t.check(wire.response().body == pattern(SENDFILE), 'another body')
                wire.end()
                read = time.monotonic()
        except WireError as e:
            t.check(False, str(e))
        t.exits(read)
        t.drained()
        t.again()


@scenario(needs='/sendfile', only=('nginx', 'epoll', 'select', 'thread'))
def reset_unread(t):
    """The same, but the client gives up and resets: there is nobody left to wait for."""
    t.start(LASTCALL_IDLE=NEVER, LASTCALL_LINGER=NEVER)
    with t.wire(receive=4096) as wire:
        wire.send(request('GET', '/'))
        wire.response()
        t.term()
        wire.send(request('GET', '/sendfile'))
        t.check(t.process.wait(0.2) is None, 'it ended with the response unread')
        wire.reset()
        gone = time.monotonic()
    t.exits(gone)
    t.drained()


# ---- the ends that are not good -----------------------------------------------------------------------

@scenario()
def forever(t):
    """A request without an end: the deadline ends it, and not before, and the report names it. Then the process is gone."""
    t.start(LASTCALL_TIMEOUT='3s', LASTCALL_SHUTDOWN_TIME='0')
    load = t.load('GET /sleep?ms=600000', clients=1, limit=1, ready_sent=1)
    load.wait_ready()
    t.let_read()
    pids = t.everyone()
    t.term()
    took = t.expires()
    t.check(t.bare or took >= 3, f'it was released after {took:.2f} s, before the deadline')
    if t.bare:
        return t.no_loss(load)
    report = t.report()
    t.check(report['end'] == 'deadline' and report['aborted'] == 1, f'the report says {report}')
    t.note = f'gone after {took:.2f} s'
    port = load.finish()['losses'][0]['port']
    cut = report['aborts'][0]
    peer = cut['peer'] == 'unix' if t.server.family == 'unix' else cut['peer'].endswith(f':{port}')
    t.check(cut['method'] == ('' if t.server.external else 'GET') and peer, f'the report does not name port {port}: {cut}')
    t.check(not t.server.group or not t.server.group.workers or cut['pid'] in pids, f'the report names no process of {pids}: {cut}')
    return None


@scenario()
def second_signal(t):
    """A second TERM, more than a second after the first, releases at once."""
    t.start()
    load = t.load('GET /sleep?ms=600000', clients=1, limit=1, ready_sent=1)
    load.wait_ready()
    t.let_read()
    t.term()
    t.wait_door()  # so that it knows of the first one
    t.check(t.process.wait(1.2) is None, 'the first TERM ended it')
    t.term()
    t.released()
    report = t.report()
    t.check(report['end'] == 'second_signal' and report['aborted'] == 1, f'the report says {report}')


@scenario()
def repeated_signal(t):
    """A second TERM within a second is the same TERM (systemd and forwarding parents send two)."""
    for _ in range(20):
        t.start()
        load = t.load(f'GET /sleep?ms=1200 {EXACT}', clients=2, limit=1, ready_sent=2)
        load.wait_ready()
        t.term()
        if term_again(t):
            t.no_loss(load)
            t.exits()
            t.drained()
            return
        t.again()
    raise Missing('a second in which it is run twice')


def term_again(t):
    """Once the first TERM is taken, another. Were both taken within a second?"""
    def taken():
        return time.monotonic() > t.termed + 0.9 or not procfs.pending(t.target_process.pid, signal.SIGTERM)
    t.until('the first TERM is taken', taken)
    t.target_process.kill(signal.SIGTERM)
    t.until('the second TERM is taken', taken)
    return time.monotonic() < t.termed + 0.9


@scenario()
def alone(t):
    """Nobody is connected: nothing is waited for."""
    t.start(LASTCALL_IDLE=NEVER, LASTCALL_LINGER=NEVER)
    t.term()
    t.exits()
    t.drained(in_flight=0)


# ---- byte by byte -------------------------------------------------------------------------------------

def close_option(t, wire, response, http10=False):
    """The response told us to close, in words that are not at odds, and the FIN follows."""
    tokens = response.tokens()
    t.check('keep-alive' not in tokens and 'keep-alive' not in response.headers, f'it says keep-alive: {response.headers}')
    t.check(t.bare or http10 or 'close_option' in t.server.lacks or 'close' in tokens, f'it does not say close: {response.headers}')
    wire.end()


def finish_late(t, head, answer, rest=b''):
    """Half of a request's head, TERM, the door is closed, then the rest: what answer(wire) reads is checked there."""
    t.start()
    try:
        with t.wire() as wire:
            wire.send(head[:len(head) // 2])
            t.get()  # what was sent before this has been received
            t.term()
            t.wait_door()
            t.wait_orders()
            wire.send(head[len(head) // 2:] + rest)
            answer(wire)
    except WireError as e:
        t.check(False, str(e))
    t.exits()
    t.drained()


def request(method, path, *headers, version='1.1'):
    return '\r\n'.join([f'{method} {path} HTTP/{version}', 'Host: lastcall', *headers, '', '']).encode()


def simple(t, path, status=200, body=b'', method='GET', *headers, version='1.1', token=None):
    def answer(wire):
        response = wire.response(head=method == 'HEAD')
        t.check(response.status == status, f'status {response.status}')
        t.check(response.body == body, f'a body of {len(response.body)} bytes, not the {len(body)} expected')
        t.check(not token or token in response.tokens(), f'{token} is missing: {response.headers}')
        close_option(t, wire, response, version == '1.0')
    finish_late(t, request(method, path, *headers, version=version), answer)


@scenario()
def half_head(t):
    simple(t, '/', 200, pattern(SMALL))


@scenario(needs='half-closed')
def half_closed(t):
    """Clients that send their FIN with their request (nc -N): each has its answer, though nothing moves for longer than an
    opaque connection may be quiet."""
    def say(wire, text):
        wire.send(text)
        wire.end_output()
    slow_answers(t, say)


@scenario(only=('nginx', 'python', 'uvicorn'), long_on=SLOW_TO_START)
def bare_lf(t):
    """Requests whose lines end in a bare LF, which a server may take (RFC 9112, section 2.2): likewise."""
    slow_answers(t, lambda wire, text: wire.send(text.replace(b'\r', b'')))


def slow_answers(t, say):
    """Each of 4 clients that say their request their own way has its answer, as it has without us."""
    clients = t.some(4)
    for ms in longer(2500):
        t.start()
        if t.in_time(slow_answer_clients(t, clients, ms, say), ms):
            break
        t.again()
    t.exits()
    t.drained(in_flight=clients, opaque=0)


def slow_answer_clients(t, clients, ms, say):
    """When the first one has its answer."""
    with ExitStack() as stack:
        wires = [stack.enter_context(t.wire()) for _ in range(clients)]
        for wire in wires:
            say(wire, request('GET', f'/sleep?ms={ms}'))
        t.let_read()
        t.term()
        try:
            answers = []
            for wire in wires:
                answers.append(wire.response())
                first = time.monotonic() if len(answers) == 1 else first
            if t.in_time(first, ms):
                for wire, response in zip(wires, answers):
                    t.check(response.status == 200 and response.body == pattern(SMALL), f'{response.status} {response.body!r}')
                    close_option(t, wire, response)
        except WireError as e:
            t.check(False, str(e))
    return first


@scenario()
def head(t):
    simple(t, '/', 200, b'', 'HEAD')


@scenario()
def status_204(t):
    simple(t, '/status/204', 204)


@scenario()
def status_304(t):
    simple(t, '/status/304', 304)


@scenario()
def keep_alive_10(t):
    simple(t, '/', 200, pattern(SMALL), 'GET', 'Connection: keep-alive', version='1.0')


@scenario(needs='/close-tokens')
def tokens(t):
    """Connection: keep-alive, foo: keep-alive goes, foo stays."""
    simple(t, '/close-tokens', 200, pattern(SMALL), token='foo')


@scenario(needs='/head-pieces')
def head_pieces(t):
    """The response's head in several writes."""
    simple(t, '/head-pieces', 200, pattern(SMALL))


@scenario(needs='/sendfile')
def sendfile(t):
    """writev, then sendfile."""
    simple(t, '/sendfile', 200, pattern(SENDFILE))


@scenario()
def continue_100(t):
    """Expect: 100-continue: the 100 goes out untouched, the close option is on the 200."""
    body = pattern(1000)

    def answer(wire):
        first = wire.response()
        t.check(first.status == 100 and not first.tokens(), f'not a bare 100: {first.head}')
        wire.send(body)
        response = wire.response()
        t.check(response.status == 200 and response.body == b'1000\n', f'{response.status} {response.body!r}')
        close_option(t, wire, response)
    finish_late(t, request('POST', '/upload', 'Content-Length: 1000', 'Expect: 100-continue'), answer)


@scenario(needs='/early')
def early(t):
    """413 while the body is still being sent: it arrives whole, and a FIN after it, not a reset."""
    body = pattern(1 << 20)

    def answer(wire):
        response = wire.response()
        t.check(response.status == 413, f'status {response.status}')
        close_option(t, wire, response)
    finish_late(t, request('POST', '/early', f'Content-Length: {len(body)}'), answer, rest=body[:200_000])


# ---- measured -----------------------------------------------------------------------------------------

def percentile(sorted_values, p):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * p))]


def tails(t, one, **env):
    """How long after the last thing owed (one(t) says when that was, in seconds) the process is gone, --tails times. It is said, and
    judged by who reads it (alone on the machine: make soak); here only what ends the drain is."""
    ms = []
    for _ in range(t.options.tails):
        t.start(**{'LASTCALL_IDLE': NEVER, 'LASTCALL_LINGER': NEVER, **env})
        owed = one(t)
        ms.append((t.process.ended - owed) * 1e3)
        t.drained()
        t.again()
    ms.sort()
    t.took, t.note = None, (f'tail ms: min {ms[0]:.2f} median {percentile(ms, .5):.2f} p90 {percentile(ms, .9):.2f} '
                            f'max {ms[-1]:.2f} of {len(ms)}')


def after_the_last_response(t):
    clients = t.some(4)
    load = t.load(f'GET /sleep?ms=200 {EXACT}', clients=clients, limit=1, ready_sent=clients)
    load.wait_ready()
    t.term()
    t.exits()
    return t.no_loss(load)['last_response'] / 1e9


@scenario(measured=True, only=MEASURED)
def tail(t):
    """From the last response received to the process gone (without other load: under 5 ms)."""
    tails(t, after_the_last_response)


@scenario(measured=True, only=MEASURED)
def tail_alone(t):
    """The same where nobody is connected: from TERM, so that the door's closing is in it (under 20 ms)."""
    def signal(t):
        t.term()
        t.exits()
        return t.termed
    tails(t, signal)


@scenario(measured=True, only=MEASURED)
def tail_idle(t):
    """The same with 4 idle connections: from the end of LASTCALL_IDLE (under 20 ms)."""
    def window(t):
        load = t.load(f'GET / {EXACT}', clients=4, limit=1, hold=True, ready_ok=4)
        load.wait_ready()
        t.term()
        t.exits()
        t.no_loss(load)
        return t.termed + 0.1
    tails(t, window, LASTCALL_IDLE='100ms')


@scenario(only=('epoll', 'thread', 'nginx'))
def no_descriptors(t):
    """EMFILE from TERM on: the drain still ends well."""
    t.start(LASTCALL_TIMEOUT='0')  # there may be no report, which would say that its end was the deadline
    load = t.load(f'GET /sleep?ms=500 {EXACT}', clients=8, limit=1, ready_sent=8)
    load.wait_ready()
    t.get()  # nginx has its upstream connections by now
    t.process.limit_descriptors()
    t.term()
    t.no_loss(load)
    t.exits()


@scenario(only=('epoll', 'python', 'node'))
def pid_1(t):
    """As PID 1, where the kernel ignores a default TERM: it ends with 143."""
    t.start_as_pid_1()
    load = t.load(f'GET /sleep?ms=300 {EXACT}', clients=2, limit=1, ready_sent=2)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(status=143)
    t.drained()


@scenario(only=('epoll', 'python', 'node'))
def pid_1_backlog(t):
    """As PID 1, with 20 connections in the accept queue at TERM."""
    t.start_as_pid_1()
    queued(t)
    t.exits(status=143)
    t.drained()


# ---- many ---------------------------------------------------------------------------------------------

CROWD = 5000
MANY = ['prlimit', f'--nofile={4 * CROWD}:{4 * CROWD}']


def crowd(t, requests, idle, **options):
    """CROWD clients, and a server that may have so many."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4 * CROWD:
        raise Missing(f'{4 * CROWD} descriptors')
    t.prefix, t.backend_program = MANY, 'epoll'
    t.start(LASTCALL_IDLE=idle)
    load = t.load(requests, prefix=MANY, clients=CROWD, limit=1, **options)
    load.wait_ready()
    return load


def crowd_ends(t, load, served):
    result = t.no_loss(load)
    t.check(result['ok'] == served, f"{result['ok']} of {served} were served")
    t.check(t.bare or result['close_sent'] == CROWD, f"{result['close_sent']} of {CROWD} were told to close")
    took = t.exits(result['last_response'] / 1e9)
    t.note = f'{served} served, ended {took * 1e3:.0f} ms after the last response'


@scenario(heavy=True, measured=True, only=MEASURED)
def crowd_idle(t):
    """5000 idle connections."""
    load = crowd(t, f'GET / {EXACT}', '1s', hold=True, ready_ok=CROWD)
    t.term()
    result = t.no_loss(load)
    t.check(result['idle_closed'] == CROWD, f"{result['idle_closed']} of {CROWD} got a FIN")
    took = t.exits()
    t.drained()  # on a busy machine the server does not come to read all ends of file within LASTCALL_IDLE: its exit closes the rest
    t.note = f'{CROWD} closed, ended {(took - 1) * 1e3:.0f} ms after LASTCALL_IDLE'


@scenario(heavy=True, measured=True, only=('epoll', 'thread'), long_on=('thread',))
def crowd_10000(t):
    """10,000 connections at TERM, some with a request in flight: those are served, the others get a FIN."""
    many, busy = 10000, 100
    prefix = ['prlimit', f'--nofile={many * 3 // 2}:{many * 3 // 2}']
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < many * 3 // 2:
        raise Missing(f'{many * 3 // 2} descriptors')
    t.prefix = prefix
    t.start(LASTCALL_IDLE='1s')
    idle = t.load(f'GET / {EXACT}', prefix=prefix, clients=many - busy, limit=1, hold=True, ready_ok=many - busy)
    idle.wait_ready()
    served = t.load(f'GET /sleep?ms=1500 {EXACT}', clients=busy, limit=1, wait_fin=True, ready_sent=busy)
    served.wait_ready()
    t.term()
    t.no_loss(served)
    result = t.no_loss(idle)
    t.check(result['idle_closed'] == many - busy, f"{result['idle_closed']} of {many - busy} got a FIN")
    t.exits()
    t.drained()


@scenario(only=('thread', 'nginx', 'nginx-2'))
def stopped_in_the_middle(t):
    """SIGSTOP in the middle of a drain, for longer than an idle client has, then SIGCONT: what was in flight is served. (By
    programs that bear the EINTR which epoll_wait gives for it, signal(7): epoll does not.)"""
    t.start(LASTCALL_IDLE='300ms')
    clients = t.some(8)
    load = t.load(f'GET /sleep?ms=1000 {EXACT}', clients=clients, limit=1, wait_fin=True, ready_sent=clients)
    load.wait_ready()
    t.term()
    t.wait_door()
    go_on = t.stopped()
    time.sleep(0.7)
    go_on()
    t.no_loss(load)
    t.exits()
    t.drained()


@scenario(only=('epoll', 'thread', 'nginx', 'nginx-4', 'gunicorn-gthread'), long_on=SLOW_TO_START)
def killed_at_random(t):
    """SIGKILL at any moment of a drain under load, to the process, or to any of its group: that one is gone at once, the others
    end as well. (gunicorn replaces it, and the new one drops the TERM while it starts: then gunicorn waits 30 s for it.)"""
    for _ in range(t.options.kills):
        t.start(LASTCALL_TIMEOUT='3s')
        load = t.load(f'GET / {EXACT}', clients=t.some(16), until_refused=True, ready_ok=50)
        load.wait_ready()
        t.term()
        time.sleep(random.random() * 0.1)
        victim = random.choice(t.everyone())
        t.kill([victim])
        t.check(t.process.wait(BOUND) is not None, 'it lives on')
        t.kill(t.process.left(), signal.SIGTERM)  # one whom a master did not live to order; to others it is the same TERM
        t.nobody_left()
        t.again()


@scenario(heavy=True, measured=True, only=MEASURED, long_on=('nginx',))
def crowd_late(t):
    """5000 idle connections, and each has one more request after TERM."""
    load = crowd(t, f'GET / {EXACT}', '10s', hold=True, resume=True, ready_ok=CROWD)
    t.term()
    load.stop()
    crowd_ends(t, load, 2 * CROWD)
    t.drained()


@scenario(heavy=True, measured=True, only=MEASURED, long_on=('nginx',))
def crowd_inflight(t):
    """5000 requests in flight."""
    for ms in longer(2500):
        load = crowd(t, f'GET /sleep?ms={ms} {EXACT}', '1s', ready_sent=CROWD)
        t.term()
        if t.in_time(t.no_loss(load)['first_response'] / 1e9, ms):
            break
        t.again()
    crowd_ends(t, load, CROWD)
    t.drained()
