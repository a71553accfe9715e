#!/usr/bin/python3
"""user.py BUILD ROOT: small aarch64 servers with the library in them, under qemu-user. That has neither SO_BINDTOIFINDEX nor TCP_INFO, so
what is shown here is how the library copes where they are missing: the SYN filter, connections that it cannot see into;
and nothing lost. Prints `ok NAME` or `FAIL NAME: why`."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

BOUND = 60  # seconds: nothing here waits longer for anything


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def connect(port, server):
    """As soon as it listens."""
    while server.poll() is None:
        try:
            return socket.create_connection(('127.0.0.1', port), BOUND)
        except ConnectionRefusedError:
            os.sched_yield()
    raise AssertionError('it has ended before it listened')


def until_end(s):
    """And close, as clients do: without TCP_INFO nothing else tells the library that its last bytes have arrived."""
    said = b''
    while piece := s.recv(65536):
        said += piece
    s.close()
    return said


def drain(build, root, program):
    """TERM with a request in flight and a connection idle: (answer, what the idle one was told, exit status, log)"""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            ['qemu-aarch64-static', '-L', root, '-E', f'LD_PRELOAD={build}/liblastcall.so', f'{build}/e2e/{program}', str(port), '127.0.0.1'],
            stdout=log, stderr=log)
        try:
            idle, busy = connect(port, server), connect(port, server)
            idle.sendall(b'GET /small HTTP/1.1\r\nHost: x\r\n\r\n')
            head = idle.recv(65536)
            busy.sendall(b'GET /head-pieces HTTP/1.1\r\nHost: x\r\n\r\nGET /sleep?ms=700 HTTP/1.1\r\nHost: x\r\n\r\n')
            first = busy.recv(1, socket.MSG_PEEK)  # it works on them
            server.send_signal(signal.SIGTERM)
            answer, rest = until_end(busy), until_end(idle)
            status = server.wait(BOUND)
        finally:
            server.kill()
            server.wait()
        log.seek(0)
        return head and first and answer, rest, status, log.read().decode()


def check(build, root, program):
    answer, rest, status, log = drain(build, root, program)
    assert answer.count(b'HTTP/1.1 200 OK') == 2 and answer.endswith(b'000000000000003\n'), f'the answer is {answer}'
    assert not rest.strip() or rest.endswith(b'000000000000003\n'), f'the idle connection was told {rest}'
    assert status == -signal.SIGTERM, f'status {status}'
    report = re.search(r'drained .*signal=TERM .*accept_stop=syn_filter .*aborted=0 ', log)
    assert report, f'its log is {log}'
    assert 'not drained' not in log, log


def main():
    build, root = (os.path.abspath(p) for p in sys.argv[1:3])
    failed = False
    for program in ('epoll', 'poll', 'select', 'thread', 'go-nethttp', 'go-nethttp-pie'):
        try:
            check(build, root, program)
            print(f'ok arm64-user {program}', flush=True)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
            failed = True
            print(f'FAIL arm64-user {program}: {e}', flush=True)
    sys.exit(failed)


if __name__ == '__main__':
    main()
