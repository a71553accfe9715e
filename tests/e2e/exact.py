"""What clients receive, byte for byte, without us and with us: the same, but for what tells them in a drain that the
connection ends. Only values that a server itself changes from one run to the next (Date) are left out of it."""
import re

import scenarios
from scenarios import Scenario, request
from servers import pattern
from wire import WireError

BODY = pattern(1000)
CHUNKED_BODY = b'3e8\r\n' + BODY + b'\r\n0\r\n\r\n'
# What is asked on one connection, one after another, if the server has it.
PATHS = ('/', '/sleep?ms=20', '/stream?ms=50', '/status/204', '/status/304', '/sendfile', '/head-pieces', '/close-tokens', '/nothing')
# name, what the server must have, the request, what its client does for an answer
ALONE = (('get', '', request('GET', '/'), ''),
         ('head', '', request('HEAD', '/'), 'head'),
         ('stream', '', request('GET', '/stream?ms=50'), ''),
         ('204', '', request('GET', '/status/204'), ''),
         ('304', '', request('GET', '/status/304'), ''),
         ('404', '', request('GET', '/nothing'), ''),
         ('sendfile', '/sendfile', request('GET', '/sendfile'), ''),
         ('head in pieces', '/head-pieces', request('GET', '/head-pieces'), ''),
         ('other tokens', '/close-tokens', request('GET', '/close-tokens'), ''),
         ('post', '', request('POST', '/upload', 'Content-Length: 1000') + BODY, ''),
         ('post in chunks', 'chunked', request('POST', '/upload', 'Transfer-Encoding: chunked') + CHUNKED_BODY, ''),
         ('pipelined', 'pipeline', request('GET', '/') + request('HEAD', '/') + request('GET', '/nothing'), 'pipelined'),
         ('1.0', '', request('GET', '/', version='1.0'), ''),
         ('1.0 keep-alive', '', request('GET', '/', 'Connection: keep-alive', version='1.0'), ''),
         ('nonsense', '', b'NONSENSE\r\n\r\n', 'end'),
         ('a length that is none', '', request('POST', '/upload', 'Content-Length: ten', 'Connection: close'), 'end'))


def take_answer(wire, how):
    if how == 'end':
        wire.end(anything=True)
    elif how == 'pipelined':
        for head in (False, True, False):
            wire.response(head=head)
    else:
        wire.response(head=how == 'head')


def opened(t):
    # nginx passes on what its upstream has sent by then: where it cuts a body is a matter of time
    return t.wire(join_chunks=t.server.backend)


def long_talk(t):
    with opened(t) as wire:
        for path in PATHS:
            if path not in t.server.lacks:
                wire.send(request('GET', path))
                wire.response()
        for method in ('HEAD', 'GET'):
            wire.send(request(method, '/'))
            wire.response(head=method == 'HEAD')
        wire.send(request('POST', '/upload', 'Content-Length: 1000', 'Expect: 100-continue'))
        wire.response()
        wire.send(BODY)
        wire.response()
        wire.send(request('GET', '/', 'Connection: close'))
        wire.response()
        wire.end()
        return bytes(wire.raw)


def alone(t):
    return [a for a in ALONE if a[1] not in t.server.lacks]


def heard(wire):
    return bytes(wire.raw + wire.buffer)


def talk(t):
    """What is received in each of the conversations, by name."""
    received = {} if 'keep-alive' in t.server.lacks else {'a long one': long_talk(t)}
    for name, _, asked, how in alone(t):
        with opened(t) as wire:
            wire.send(asked)
            take_answer(wire, how)
            received[name] = heard(wire)
    return received


def parting_talk(t):
    """The same, each begun before TERM and ended when the door is closed, up to the end of the connection. (What is answered
    to half of a request already is not sent before.)"""
    def half(asked, how):
        return 0 if how == 'end' else len(asked) // 2
    wires = []
    try:
        for _, _, asked, how in alone(t):
            wires.append(opened(t))
            wires[-1].send(asked[:half(asked, how)])
        t.term()
        t.wait_door()
        t.wait_orders()
        for wire, (_, _, asked, how) in zip(wires, alone(t)):
            wire.send(asked[half(asked, how):])
        # All answers first: a connection that cannot be read may end only once nothing is outstanding on any.
        for how in (take_answer, lambda wire, how: how == 'end' or wire.end()):
            for wire, (name, _, _, kind) in zip(wires, alone(t)):
                try:
                    how(wire, kind)
                except WireError as e:
                    raise WireError(f'{name}, in a drain: {e}') from e
        received = {name: heard(wire) for wire, (name, _, _, _) in zip(wires, alone(t))}
    finally:
        for wire in wires:
            wire.socket.close()
    return received


# ---- what may differ ----

HEADER = re.compile(rb'([\w-]+): ')


def varying(t, first, second):
    """Names of headers whose values the server changes by itself."""
    names = {b'date'}
    for what in (w for w in first if first[w] != second[w]):
        one, two = first[what].split(b'\n'), second[what].split(b'\n')
        t.check(len(one) == len(two), f'{what}: another number of lines from one run without us to the next: {one} {two}')
        for a, b in zip(one, two):
            name = HEADER.match(a)
            t.check(a == b or name and b.startswith(name[0]), f'{what}: {a!r} in one run without us, {b!r} in another')
            if a != b:
                names.add(name[1].lower())
    return names


def without(names, raw):
    return re.sub(rb'(?im)^(%s): [^\r]*' % b'|'.join(names), rb'\1: ', raw)


def without_parting(raw):
    """No Keep-Alive, and of Connection only what else it says."""
    def others(header):
        tokens = [token.strip() for token in header[1].split(b',')]
        left = b', '.join(token for token in tokens if token.lower() not in (b'close', b'keep-alive'))
        return b'Connection: ' + left + b'\r\n' if left else b''
    raw = re.sub(rb'(?im)^keep-alive: [^\r]*\r\n', b'', raw)
    return re.sub(rb'(?im)^connection: ([^\r]*)\r\n', others, raw)


def alike(t, when, bare, ours):
    for what in (w for w in ours if ours[w] != bare[w]):
        a, b = bare[what], ours[what]
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        t.check(False, f'{when}, {what}: other bytes from {at} on: {a[max(0, at - 60):at + 80]!r} without us, '
                       f'{b[max(0, at - 60):at + 80]!r} with us')


def quiet_ends(t):
    """Its connections are let go when they have been quiet for LASTCALL_IDLE, which is waited for."""
    return 'close_option' in t.server.lacks or 'tls' in t.server.speaks


def compared(t):
    runs = []
    try:
        for _ in range(2):
            t.start(bare=True)
            runs.append(talk(t))
            t.end()
            t.again()
        names = varying(t, *runs)
        if t.bare:
            return
        bare = {what: without(names, raw) for what, raw in runs[0].items()}
        t.start(LASTCALL_IDLE='5s' if quiet_ends(t) else '20s')
        alike(t, 'in service', bare, {what: without(names, raw) for what, raw in talk(t).items()})
        in_drain = {what: without(names, raw) for what, raw in parting_talk(t).items()}
    except WireError as e:
        t.check(False, str(e))
    if not quiet_ends(t):
        t.check(in_drain['get'] != bare['get'] or b'close' in bare['get'], 'nobody was told of the end')
        bare = {what: without_parting(raw) for what, raw in bare.items()}
        in_drain = {what: without_parting(raw) for what, raw in in_drain.items()}
    alike(t, 'in a drain', bare, in_drain)
    t.exits()
    t.drained()
    t.note = f'{sum(map(len, bare.values()))} bytes, without {b" ".join(sorted(names)).decode()}'


for kind in ('http', 'tls'):
    name = 'bytes' if kind == 'http' else 'bytes-tls'
    scenarios.SCENARIOS[name] = Scenario(name, compared, speaks=kind)
