#!/usr/bin/python3
"""Is the strict load client strict? Servers that misbehave in one way each, and the class in which it must
end. A client that calls a lost request anything else would make every other test here worthless.
load_test.py [BUILD]"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import procfs
from bound import BOUND

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'build')
BODY = b'%015x\n' % 0
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n' + BODY
CLOSE = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n' + BODY
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
GET = 'GET / pattern=16'


def request(connection):
    data = b''
    while b'\r\n\r\n' not in data:
        more = connection.recv(4096)
        if not more:
            return False
        data += more
    return True


def abort(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def says(*answers, byte_by_byte=False, then=None, wait=0.0):
    """Answer one request after the other on a connection, then do something to it, and close it."""
    def serve(connection):
        if then == 'end with it':
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # in one segment
        for answer in answers:
            if not request(connection):
                return
            for piece in ([answer[i:i + 1] for i in range(len(answer))] if byte_by_byte else [answer]):
                connection.sendall(piece)
        if then == 'hold':
            while connection.recv(4096):  # until the client has had enough
                pass
        elif then and then != 'end with it':
            if then == 'abort at request' and not request(connection):
                return
            time.sleep(wait)
            abort(connection)
    return serve


CROSSING = 'keepalive_race'  # the server has a moment to be so early in; on a busy machine it may miss it

CASES = [
    # name, what each connection does, options, what must be counted
    ('ok', says(OK, OK, OK), ['--limit', '3'], {'ok': 3, 'connections': 1}),
    ('ok, a byte at a time', says(OK, CLOSE, byte_by_byte=True), ['--limit', '2'], {'ok': 2, 'close_sent': 1}),
    ('chunked with a trailer', says(CHUNKED + b'8\r\n' + BODY[:8] + b'\r\n8\r\n' + BODY[8:] + b'\r\n0\r\nX: y\r\n\r\n', byte_by_byte=True),
     [], {'ok': 1}),
    ('until close', says(b'HTTP/1.1 200 OK\r\n\r\n' + BODY), ['--limit', '2'], {'ok': 2, 'connections': 2}),
    ('an interim response', says(b'HTTP/1.1 100 Continue\r\n\r\n' + OK), [], {'ok': 1}),
    ('close is obeyed', says(CLOSE, CLOSE), ['--limit', '2'], {'ok': 2, 'connections': 2, 'idle_closed': 0}),
    ('close, and its FIN', says(CLOSE), ['--limit', '3', '--wait-fin'], {'ok': 3, 'connections': 3, 'unclosed': 0}),
    ('1.0 is not kept', says(OK.replace(b'1.1', b'1.0'), OK), ['--limit', '2'], {'ok': 2, 'connections': 2}),
    ('1.0 keep-alive', says(OK.replace(b'1.1', b'1.0').replace(b'\r\n\r\n', b'\r\nConnection: Keep-Alive\r\n\r\n'), OK), ['--limit', '2', '--http10'],
     {'ok': 2, 'connections': 1}),
    ('pipelined', lambda c: (c.recv(4096), c.sendall(OK * 3)), ['--limit', '3', '--pipeline', '3'], {'ok': 3}),
    ('pipelined behind a close', lambda c: (c.recv(4096), c.sendall(OK + CLOSE)), ['--limit', '3', '--pipeline', '3'], {'ok': 2, 'reset': 1}),
    ('reset', says(then='abort at request', wait=0.05), [], {'reset': 1}),
    ('closed before a response', says(b''), [], {'reset': 1}),
    ('truncated head', says(OK[:20]), [], {'truncated': 1}),
    ('truncated body', says(OK[:-1]), [], {'truncated': 1}),
    ('truncated by reset', says(OK[:-1], then='abort', wait=0.05), [], {'truncated': 1}),
    ('truncated chunk', says(CHUNKED + b'8\r\n' + BODY[:7]), [], {'truncated': 1}),
    ('truncated before the last chunk', says(CHUNKED + b'10\r\n' + BODY + b'\r\n'), [], {'truncated': 1}),
    ('until close, too short', says(b'HTTP/1.1 200 OK\r\n\r\n' + BODY[:-1]), [], {'bad': 1}),
    ('a wrong byte', says(OK[:-2] + b'1\n'), [], {'bad': 1}),
    ('a wrong length', says(OK.replace(b'16', b'15')), [], {'bad': 1}),
    ('a 500', says(OK.replace(b'200 OK', b'500 No')), [], {'bad': 1}),
    ('another status than asked', says(OK), ['--request', 'GET / status=204'], {'bad': 1}),
    ('not HTTP', says(b'SSH-2.0-x\r\n'), [], {'bad': 1}),
    ('bytes after the response', says(OK + b'HTTP/1.1 408 Late\r\n\r\n'), ['--hold'], {'ok': 1, 'bad': 1}),
    ('close and keep-alive', says(OK.replace(b'\r\n\r\n', b'\r\nConnection: keep-alive, close\r\n\r\n')), [], {'bad': 1}),
    ('two lengths', says(OK.replace(b'\r\n\r\n', b'\r\nContent-Length: 17\r\n\r\n')), [], {'bad': 1}),
    ('length and chunked', says(OK.replace(b'\r\n\r\n', b'\r\nTransfer-Encoding: chunked\r\n\r\n')), [], {'bad': 1}),
    (CROSSING, says(OK, then='abort at request'), ['--limit', '2'], {'ok': 1, 'keepalive_race': 1}),
    ('no keepalive_race: too late', says(OK, then='abort at request', wait=0.05), ['--limit', '2'], {'ok': 1, 'reset': 1}),
    ('idle, closed', says(OK), ['--hold'], {'ok': 1, 'idle_closed': 1}),
    ('idle, reset', says(OK, then='abort', wait=0.05), ['--hold'], {'ok': 1, 'idle_reset': 1}),
    ('idle, closed, and on', says(OK), ['--limit', '2', '--think-min', '50'], {'ok': 2, 'idle_closed': 1, 'connections': 2}),
    ('closed with the response, looked for after a pause', says(OK, then='end with it'), ['--limit', '20', '--think-min', '0.001'],
     {'ok': 20, 'idle_closed': 19, 'connections': 20}),
    ('no FIN after close', says(CLOSE, then='hold'), ['--wait-fin', '--timeout', '200'], {'ok': 1, 'unclosed': 1}),
    ('held, and asked once more', says(OK, CLOSE, OK), ['--hold', '--resume', '--stop-on-stdin'], {'ok': 2, 'connections': 1, 'close_sent': 1}),
    ('timeout', says(then='hold'), ['--timeout', '200'], {'timeout': 1}),
    ('timeout inside a body', says(OK[:-1], then='hold'), ['--timeout', '200'], {'timeout': 1}),
]


def load(port, options):
    base = [f'{BUILD}/e2e/load', '--address', f'127.0.0.1:{port}', '--clients', '1']
    for name, value in (('--limit', '1'), ('--request', GET)):
        if name not in options:
            base += [name, value]
    done = subprocess.run(base + options, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=BOUND, check=False)
    return json.loads(done.stdout.splitlines()[-1])


def listener():
    s = socket.create_server(('127.0.0.1', 0))
    return s, s.getsockname()[1]


def accept_all(s, serve):
    while True:
        try:
            connection, _ = s.accept()
        except OSError:
            return
        with connection:
            try:
                serve(connection)
            except OSError:
                pass


def run_case(serve, options):
    s, port = listener()
    thread = threading.Thread(target=accept_all, args=(s, serve), daemon=True)
    thread.start()
    try:
        return load(port, options)
    finally:
        s.shutdown(socket.SHUT_RDWR)
        s.close()


def early_enough(serve, options):
    for _ in range(100):
        result = run_case(serve, options)
        if result['keepalive_race']:
            break
    return result


def refused():
    s, port = listener()
    s.close()
    return load(port, ['--until-refused'])


def reset_in_queue():
    """Connected and sent, never accepted: the listener goes."""
    s, port = listener()

    def go():
        while procfs.unread(port) < 2:  # the connection, and bytes on it
            time.sleep(0.001)
        s.close()
    threading.Thread(target=go, daemon=True).start()
    return load(port, [])


def verdict(name, result, expected):
    lost = sum(expected.get(c, 0) for c in ('reset', 'truncated', 'bad', 'keepalive_race', 'timeout'))
    want = {**{c: 0 for c in ('ok', 'refused', 'reset', 'truncated', 'bad', 'keepalive_race', 'timeout')}, 'lost': lost, **expected}
    wrong = {k: result[k] for k in want if result[k] != want[k]}
    print(f'FAIL load/{name}: {wrong}, expected {want}' if wrong else f'ok load/{name}', flush=True)
    return not wrong


def main():
    good = [verdict(name, (early_enough if name == CROSSING else run_case)(serve, options), expected) for name, serve, options, expected in CASES]
    good.append(verdict('refused', refused(), {'refused': 1, 'connections': 0}))
    good.append(verdict('reset in the accept queue', reset_in_queue(), {'reset': 1}))
    print(f'{sum(good)} passed, {len(good) - sum(good)} failed')
    sys.exit(not all(good))


main()
