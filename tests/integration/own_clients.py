"""Listeners to which a server connects itself (track/internal.h): one client from outside, and a drain stops such a
listener at once, however the server connects: with a second connect for the answer of the first, or by a datagram
socket to the same port. Where nobody else was served, it accepts as long as a request is in flight."""
import os
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ['BUILD']
LIB = os.path.realpath(f'{BUILD}/liblastcall.so')
BOUND = 60  # against hanging only

# Two listeners: the client's, and the one to which the server connects. Each line on standard input: go on.
SERVER = r'''
import select, socket, sys
front, inner = socket.create_server(('127.0.0.1', 0), backlog=4096), socket.create_server(('127.0.0.1', 0))
at = inner.getsockname()
for _ in range(3):
    c = socket.socket()
    c.setblocking(False)
    c.connect_ex(at)
    s, _ = inner.accept()
    c.connect_ex(at)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(at)
print(front.getsockname()[1], at[1], flush=True)
busy, _ = front.accept()
busy.recv(999)
print('busy', flush=True)
inner.setblocking(False)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    try:
        inner.accept()
        print('accepted', flush=True)
    except OSError:
        pass
busy.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
sys.stdin.readline()
sys.stdin.readline()
'''

# The same with a path, to which it has spoken HTTP once. Its second connect waits, since the queue is full; meanwhile the program
# changes the memory in which the address was.
CHANGES = r'''
import ctypes, os, platform, select, socket, struct, sys, threading, time
front, inner = socket.create_server(('127.0.0.1', 0), backlog=4096), socket.socket(socket.AF_UNIX)
inner.bind(sys.argv[1])
inner.listen(0)
libc, made, tid = ctypes.CDLL(None), [], []
at = ctypes.create_string_buffer(struct.pack('H', socket.AF_UNIX) + sys.argv[1].encode(), 110)
def connect():
    c = socket.socket(socket.AF_UNIX)
    tid.append(threading.get_native_id())
    assert libc.connect(c.fileno(), at, 110) == 0
    made.append(c)
connect()
made[0].sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
thread = threading.Thread(target=connect)
thread.start()
call = {'x86_64': 42, 'aarch64': 203}[platform.machine()]
while len(tid) < 2 or open(f'/proc/self/task/{tid[1]}/syscall').read().split()[0] != str(call):
    time.sleep(0.001)
at.raw = bytes(110)
s, _ = inner.accept()
s.recv(999)
s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
made[0].recv(999)
thread.join()
inner.accept()
print(front.getsockname()[1], 0, flush=True)
busy, _ = front.accept()
busy.recv(999)
print('busy', flush=True)
sys.stdin.readline()
busy.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
'''


def accepts(at):
    """at: a port, or a path."""
    with socket.socket(socket.AF_UNIX if isinstance(at, str) else socket.AF_INET) as client:
        client.settimeout(BOUND)
        try:
            client.connect(at if isinstance(at, str) else ('127.0.0.1', at))
            return True
        except ConnectionRefusedError:
            return False


def asks_path():
    """Does the inner listener accept in the drain, though the program has changed the address that it gave to connect?"""
    with tempfile.TemporaryDirectory() as directory:
        return asks(False, CHANGES, f'{directory}/inner')


def asks(outsider, program=SERVER, path=None):
    """Does the inner listener accept in the drain?"""
    server = subprocess.Popen(['/usr/bin/python3', '-c', program, path or ''], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env={**os.environ, 'LD_PRELOAD': LIB, 'LASTCALL_TIMEOUT': '60s'}, text=True)
    try:
        front, inner = map(int, server.stdout.readline().split())
        inner = path or inner
        client = socket.create_connection(('127.0.0.1', front), timeout=BOUND)
        client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        assert server.stdout.readline() == 'busy\n'
        if outsider:
            assert accepts(inner) and server.stdout.readline() == 'accepted\n', 'in service'
        server.terminate()
        while accepts(front):  # until the drain has stopped the listeners; the server takes none of these out of the queue
            time.sleep(0.02)
        found = accepts(inner)
        server.stdin.write('go on\n')
        server.stdin.flush()
        assert client.recv(99).startswith(b'HTTP/1.1 200'), 'the request was lost'
        return found
    finally:
        server.kill()
        server.wait()


def main():
    failed = False
    for name, outsider, question in (('of-its-own', False, lambda: asks(False)), ('of-others-too', True, lambda: asks(True)),
                                     ('that-change-the-address', False, asks_path)):
        try:
            found = question()
            why = '' if found != outsider else f'the inner listener {"accepts" if found else "does not accept"} in the drain'
        except (AssertionError, OSError, ValueError) as error:
            why = repr(error)
        print(f'FAIL own-clients/{name}: {why}' if why else f'ok own-clients/{name}', flush=True)
        failed = failed or bool(why)
    sys.exit(failed)


main()
