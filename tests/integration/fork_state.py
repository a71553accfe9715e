"""A server forks in each phase of a drain (core/drain.h). Its child's drain has not begun: every owner of state must be as it was in
the parent before the signal. The state is read from outside, by the symbols of the library. DRAINED is a phase of a group's
worker only, and a moment; it is left out."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

BUILD = os.environ['BUILD']
LIB = os.path.realpath(f'{BUILD}/liblastcall.so')
BOUND = 60  # against hanging only
PHASES = {'serving': 0, 'lame-duck': 1, 'stopping-accept': 2, 'draining': 3, 'delivered': 5}
OWNERS = ('deferred', 'stats', 'wake', 'exit_guard', 'drain_state', 'conn_log', 'log_file', 'report_file', 'node_cluster', 'slots')
IGNORED = {'slots': slice(0, 4)}  # slots.top: of the parent's descriptors, and still right

SERVER = r'''
import os, signal, socket, sys, time
fork_at_term = sys.argv[1] == 'delivered'
def child():
    if os.fork() == 0:
        os.write(1, b'%d\n' % os.getpid())
        time.sleep(600)
        os._exit(0)
if fork_at_term:
    signal.signal(signal.SIGTERM, lambda *_: child())
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(8)
os.write(1, b'%d\n' % s.getsockname()[1])
c, _ = s.accept()
c.recv(100)
os.write(1, b'accepted\n')
os.read(0, 1)
if not fork_at_term:
    child()
while True:
    time.sleep(600)
'''


def symbols():
    out = subprocess.run(['nm', '-S', LIB], capture_output=True, text=True, check=True).stdout
    found = {m[3]: (int(m[1], 16), int(m[2], 16)) for m in re.finditer(r'^(\w+) (\w+) \w (\w+)$', out, re.M)}
    return {name: found[name] for name in OWNERS + ('self_state',)}


def base_of(pid):
    with open(f'/proc/{pid}/maps') as maps:
        return min(int(line.split('-')[0], 16) for line in maps if line.rstrip().endswith(LIB))


def state_of(pid, names):
    base, state = base_of(pid), {}
    with open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for name, (at, size) in names.items():
            mem.seek(base + at)
            data = bytearray(mem.read(size))
            if name in IGNORED:
                data[IGNORED[name]] = bytes(len(data[IGNORED[name]]))
            state[name] = bytes(data)
    return state


def await_phase(pid, names, phase):
    end = time.monotonic() + BOUND
    while state_of(pid, names)['deferred'][0] != phase:
        if time.monotonic() > end:
            raise AssertionError(f'it is not in phase {phase}, but {state_of(pid, names)["deferred"][0]}')
        time.sleep(0.005)


def try_phase(name, names):
    env = {'PATH': os.environ['PATH'], 'LD_PRELOAD': LIB, 'LASTCALL_LOG': 'off', 'LASTCALL_REPORT': '/dev/null',
           'LASTCALL_REPORT_CONNECTIONS': '1', 'LASTCALL_TIMEOUT': '1s' if name == 'delivered' else '600s',
           'LASTCALL_DELAY': '600s' if name == 'lame-duck' else '0'}
    clients, child = [], None
    server = subprocess.Popen([sys.executable, '-c', SERVER, name], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        port = int(server.stdout.readline())
        clients.append(socket.create_connection(('127.0.0.1', port), timeout=BOUND))
        clients[0].sendall(b'GET / HTTP/1.1\r\n')  # in flight: the drain waits for it
        assert server.stdout.readline() == b'accepted\n'
        if name == 'stopping-accept':  # in the queue: nobody accepts it
            clients.append(socket.create_connection(('127.0.0.1', port), timeout=BOUND))
        before = state_of(server.pid, names)
        if name != 'serving':
            server.send_signal(signal.SIGTERM)
            if name != 'delivered':
                await_phase(server.pid, names, PHASES[name])
        if name != 'delivered':
            server.stdin.write(b'x')
            server.stdin.flush()
        child = int(server.stdout.readline())
        after = state_of(child, names)
        for owner in OWNERS:
            if before[owner] != after[owner]:
                return f'{owner} is {after[owner].hex()} in the child, and was {before[owner].hex()}'
        if int.from_bytes(after['self_state'][8:12], 'little') != child or after['self_state'][4] != 1:
            return 'the child does not know that it is a process of its own, before its exec'
        left = [fd for fd in os.listdir(f'/proc/{child}/fd') if 'event' in os.readlink(f'/proc/{child}/fd/{fd}')]
        return f'the child has descriptors of the drain: {left}' if left else None
    finally:
        for pid in (child, server.pid):
            if pid:
                os.kill(pid, signal.SIGKILL)
        server.wait()
        for client in clients:
            client.close()


def main():
    failed, names = False, symbols()
    for name in PHASES:
        try:
            why = try_phase(name, names)
        except (AssertionError, OSError, ValueError) as error:
            why = repr(error)
        print(f'FAIL fork-state/{name}: {why}' if why else f'ok fork-state/{name}', flush=True)
        failed = failed or bool(why)
    sys.exit(failed)


main()
