#!/usr/bin/python3
"""Servers of other protocols than HTTP, with clients that speak at TERM: the signal passes, and what they save is saved, as without us.
And the reverse: odd clients of an HTTP server do not make it one of those. Each with a bare twin.
not_http.py [BUILD] [NAME...] [--all]    --all: also servers that are installed for the longer suite only"""
import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import procfs
from bound import BOUND
from harness import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
ARGV = [a for a in sys.argv[1:] if a != '--all']
BUILD = os.path.abspath(ARGV[0] if ARGV else 'build')
ALL, NAMES = '--all' in sys.argv, ARGV[1:]


class Wrong(Exception):
    pass


def check(good, why):
    if not good:
        raise Wrong(why)


def until(what, condition):
    deadline = time.monotonic() + BOUND
    while not condition():
        check(time.monotonic() < deadline, f'{what}: not within {BOUND} s')
        time.sleep(0.01)


def connection(port):
    if isinstance(port, int):
        return socket.create_connection(('127.0.0.1', port), BOUND)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(BOUND)
    s.connect(port)
    return s


class Server:
    """argv, bare or under us, in a directory of its own; `port` is what it listens on."""

    def __init__(self, directory, bare, argv, port, **env):
        self.directory, self.port, self.report = directory, port, f'{directory}/report'
        clean = {k: v for k, v in os.environ.items() if k != 'LD_PRELOAD' and not k.startswith('LASTCALL_')}
        if not bare:
            clean.update({'LD_PRELOAD': f'{BUILD}/liblastcall.so', 'LASTCALL_REPORT': self.report, 'LASTCALL_TIMEOUT': '60s',
                          'LASTCALL_LOG_FILE': f'{directory}/log', **env})
        self.out = open(f'{directory}/out', 'ab')
        self.child = subprocess.Popen(argv, env=clean, cwd=directory, stdin=subprocess.DEVNULL, stdout=self.out,
                                      stderr=self.out, start_new_session=True)

    def connect(self, port=None):
        deadline = time.monotonic() + BOUND
        while True:
            try:
                return connection(port or self.port)
            except OSError:
                check(time.monotonic() < deadline and self.child.poll() is None, 'it does not listen: ' + self.said('out'))
                time.sleep(0.02)

    def term(self):
        self.termed = time.monotonic()
        self.child.terminate()

    def ends(self):
        try:
            status = self.child.wait(BOUND)
        except subprocess.TimeoutExpired:
            raise Wrong('it does not end') from None
        self.took = time.monotonic() - self.termed
        return status

    def said(self, name):
        try:
            with open(f'{self.directory}/{name}', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def reports(self):
        reports = [json.loads(line) for line in self.said('report').splitlines()]
        return [r for r in reports if 'end' in r]  # not the first line of each drain

    def close(self):
        try:
            os.killpg(self.child.pid, signal.SIGKILL)  # the session that we made
        except ProcessLookupError:
            pass
        self.child.wait()
        self.out.close()


class Chatter(threading.Thread):
    """A client that says something every 50 ms until its connection ends."""

    def __init__(self, connection, word, answered=True, greeted=False, first=b'', last=b''):
        super().__init__(daemon=True)
        self.connection, self.word, self.answered, self.greeted, self.rounds = connection, word, answered, greeted, 0
        self.first, self.last, self.over = first, last, threading.Event()
        self.start()

    def run(self):
        try:
            if self.first:
                self.connection.sendall(self.first)
            if self.greeted:
                self.connection.recv(4096)
            while not self.over.wait(0.05):
                self.connection.sendall(self.word)
                if self.answered and not self.connection.recv(65536):
                    return
                self.rounds += 1
            self.connection.sendall(self.last)
            self.connection.close()
        except OSError:
            pass

    def leave(self):
        self.over.set()
        self.join(BOUND)


class SshSession(threading.Thread):
    """A session that says a line every 50 ms."""

    def __init__(self, directory, port):
        super().__init__(daemon=True)
        self.rounds = 0
        options = 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR'
        self.child = subprocess.Popen([
            program('ssh'), '-F', '/dev/null', '-i', f'{directory}/key', '-p', str(port), *(f'-o{o}' for o in options),
            '127.0.0.1', 'while echo here; do sleep 0.05; done'], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.start()

    def run(self):
        for _ in self.child.stdout:
            self.rounds += 1

    def leave(self):
        self.child.kill()
        self.child.wait()
        self.join(BOUND)
        self.child.stdout.close()


def get(connection, path):
    connection.sendall(b'GET %s HTTP/1.1\r\nHost: a\r\n\r\n' % path.encode())


def response(connection):
    data = b''
    while not data.endswith(b'\r\n\r\nok'):
        more = connection.recv(4096)
        check(more, f'end of file after {data!r}')
        data += more
    return data


def processes_that_saved(server):
    return len(server.said('saved').splitlines())


# ---- protocols that are left alone ----------------------------------------------------------------------

def own(kind, word, unix=False, **chatter):
    """One of servers/not_http.py."""
    def case(directory, bare, port, **env):
        port = f'{directory}/socket' if unix else port
        argv = [sys.executable, f'{HERE}/servers/not_http.py', kind, str(port), f'{directory}/saved']
        server = Server(directory, bare, argv, port, **env)
        return server, [Chatter(server.connect(), word, **chatter) for _ in range(3)]
    return case


def installed(name, argv, word, **chatter):
    """A program, with argv(directory, port)."""
    def case(directory, bare, port, **env):
        server = Server(directory, bare, [program(name), *argv(directory, port)], port, **env)
        return server, [Chatter(server.connect(), word, **chatter) for _ in range(3)]
    return case


class Missing(Exception):
    pass


def program(name):
    path = shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin:/usr/local/sbin')
    if not path:
        raise Missing(name)
    return path


@contextlib.contextmanager
def started(case, bare=False, **env):
    """The server, and clients that it has served."""
    with tempfile.TemporaryDirectory(prefix='lastcall-') as directory:
        os.chmod(directory, 0o777)
        port = free_port()
        server, chatters = case(directory, bare, port, **{k: v.format(port=port) for k, v in env.items()})
        try:
            server.clients = chatters
            until('clients that are served', lambda: all(c.rounds >= 3 for c in chatters))
            yield server, chatters
        except Wrong as e:
            raise Wrong(f'{"bare" if bare else "with us"}: {e}; {server.said("out")[-400:]}') from None
        finally:
            for c in chatters:
                c.leave()
            server.close()


def left_alone(case, saved=None, drains=False, stays=0):
    """TERM passes, and what is saved is saved as without us. drains: no server's answer has shown that it is not HTTP,
    so there is a drain; it waits for none of these clients. stays: the server waits for its clients, and they leave so
    long after TERM."""
    def run():
        seen, took = {}, {}
        for bare in (True, False):
            with started(case, bare) as (server, _):
                server.term()
                if stays:
                    time.sleep(stays)
                    for c in server.clients:
                        c.leave()
                seen[bare] = server.ends(), saved and saved(server)
                took[bare] = server.took
                ends = [r['end'] for r in server.reports()]
                check(ends == (['drained'] if drains and not bare else []), f'it reports {server.reports()}')
                told = server.said('log').count('left alone')
                check(told == (not bare and not drains and isinstance(server.port, int)), f'the log says {server.said("log")!r}')
        check(seen[True] == seen[False], f'status and files: {seen} (True: bare)')
        return f'bare {took[True]:.2f} s, with us {took[False]:.2f} s'
    return run


def named(case):
    """LASTCALL_LISTEN names it: it is drained all the same; these clients never fall silent."""
    def run():
        with started(case, LASTCALL_LISTEN='{port}', LASTCALL_TIMEOUT='1s') as (server, _):
            server.term()
            server.ends()
            check([r['opaque'] for r in server.reports()] == [3], f'it reports {server.reports()}')
    return run


# ---- HTTP, among others ---------------------------------------------------------------------------------

ODD = (b'\x16\x03\x01\x00\x30\x01\x00\x00\x2c\x03\x03' + bytes(42), b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'hello\r\n', b'\0\0\0\x08\x04\xd2\x16\x2f\n',
       b'*1\r\n$4\r\nPING\r\n', b'SSH-2.0-scan\r\n', b'')


def slow_request(server, port=None):
    c = server.connect(port)
    get(c, '/slow')
    until('a request that is read', lambda: procfs.unread(port or server.port) == 0)
    return c


def odd_clients():
    """A port scanner has come first, and is still here: the HTTP server drains, with a request in flight."""
    def case(directory, bare, port, **env):
        argv = [sys.executable, f'{HERE}/servers/not_http.py', 'http', str(port), f'{directory}/saved']
        return Server(directory, bare, argv, port, **env), []
    with started(case) as (server, _):
        odd = [server.connect() for _ in ODD]
        for c, bytes_ in zip(odd, ODD):
            c.sendall(bytes_)
        check(all(c.recv(4096).startswith(b'HTTP/1.1 400') for c, b in zip(odd, ODD) if b.endswith(b'\n')), 'no 400')
        c = slow_request(server)
        server.term()
        response(c)
        c.close()
        for c in odd:
            c.close()
        server.ends()
        report = server.reports()[0]
        check(report['end'] == 'drained' and report['in_flight'] >= 1 and report['aborted'] == 0, f'it reports {report}')


def both(speaks_first):
    """An HTTP listener and another: the first is drained, and nothing waits for the clients of the other."""
    def run():
        http = free_port()

        def case(directory, bare, port, **env):
            argv = [sys.executable, f'{HERE}/servers/not_http.py', 'both', str(port), f'{directory}/saved', str(http)]
            server = Server(directory, bare, argv, port, **env)
            return server, [Chatter(server.connect(), b'PING\r\n') for _ in range(3)]
        with started(case) as (server, chatters):
            if speaks_first:
                c = server.connect(http)
                get(c, '/')
                response(c)
                c.close()
            c = slow_request(server, http)
            server.term()
            before = [x.rounds for x in chatters]
            response(c)
            check(all(x.rounds > n for x, n in zip(chatters, before)), 'the other clients were not served meanwhile')
            c.close()
            server.ends()
            report = server.reports()[0]
            check(report['end'] == 'drained' and report['in_flight'] == 1 and report['opaque'] == 0, f'it reports {report}')
    return run


# ---- what there is --------------------------------------------------------------------------------------

def redis(directory, port):
    return ['--port', str(port), '--dir', directory, '--save', '3600', '1', '--appendonly', 'no']


def as_nobody():
    return ['-u', 'nobody'] if os.getuid() == 0 else []


def ask_dns():
    question = b'\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01'
    return struct.pack('!H', len(question)) + question


def dnsmasq(_, port):
    return ['-k', '-C', '/dev/null', '-p', str(port), '--no-resolv', '--user=nobody', '--listen-address=127.0.0.1', '--bind-interfaces', '--pid-file=']


def message(kind, text):
    data = text.encode() + b'\0' if text else b''
    return kind + struct.pack('!I', len(data) + 4) + data


def postgres_program(name):
    """It does not run as root."""
    found = sorted(glob.glob(f'/usr/lib/postgresql/*/bin/{name}'))
    if not found:
        raise Missing('postgres')
    as_other = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'] if os.getuid() == 0 else []
    return [*as_other, found[-1]]


def run(argv, directory, text=''):
    """What a program says that ends by itself."""
    done = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory, text=True,
                          check=False)
    check(done.returncode == 0, f'{argv}: {done.stdout[-400:]}')
    return done.stdout


def statement(directory, text):
    """Without a server."""
    return run([*postgres_program('postgres'), '--single', '-D', f'{directory}/data', 'postgres'], directory, text)


def postgres(directory, bare, port, **env):
    """A row for each round of its clients. Its end waits for them, without us too: smart shutdown."""
    run([*postgres_program('initdb'), '-D', f'{directory}/data', '-U', 'e2e', '-A', 'trust', '-N'], directory)
    statement(directory, 'create table t (i int)')
    argv = ['-D', f'{directory}/data', '-p', str(port), '-k', directory, '-c', 'listen_addresses=127.0.0.1']
    server = Server(directory, bare, [*postgres_program('postgres'), *argv], port, **env)
    until('postgres is ready', lambda: 'ready to accept connections' in server.said('out'))
    protocol = struct.pack('!I', 3 << 16) + b'user\0e2e\0database\0postgres\0\0'
    first = struct.pack('!I', len(protocol) + 4) + protocol
    return server, [Chatter(server.connect(), message(b'Q', 'insert into t values (1)'), first=first, greeted=True,
                            last=message(b'X', '')) for _ in range(3)]


def rows_kept(server):
    """Every insert that was answered."""
    rows = int(statement(server.directory, 'select count(*) as n from t').split('n = "')[1].split('"')[0])
    answered = sum(c.rounds for c in server.clients)
    check(rows >= answered, f'{rows} rows of {answered}')
    return True


def sshd(directory, bare, port, **env):
    if os.getuid():
        raise Missing('root, for sshd')
    os.makedirs('/run/sshd', 0o755, exist_ok=True)
    for name in ('key', 'host'):
        run([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-f', f'{directory}/{name}'], directory)
    options = 'ListenAddress=127.0.0.1', f'AuthorizedKeysFile={directory}/key.pub', 'StrictModes=no', 'PidFile=none'
    argv = ['-D', '-e', '-f', '/dev/null', '-p', str(port), '-h', f'{directory}/host', *(f'-o{o}' for o in options)]
    server = Server(directory, bare, [program('sshd'), *argv], port, **env)
    server.connect().close()
    return server, [SshSession(directory, port) for _ in range(2)]


def sessions_go_on(server):
    """They outlive the server that they came in by."""
    before = [c.rounds for c in server.clients]
    until('sessions that go on', lambda: all(c.rounds > n + 2 for c, n in zip(server.clients, before)))
    return True


PING = b'PING\r\n'
CASES = {
    'line': left_alone(own('lines', PING), processes_that_saved),
    'greeting': left_alone(own('greets', b'NOOP\r\n', greeted=True), processes_that_saved),
    'binary': left_alone(own('binary', b'\0\0\0\x08Q\0\0\0'), processes_that_saved),
    'forks': left_alone(own('forks', PING), processes_that_saved),
    'one-way': left_alone(own('silent', b'a.b.c 1 1\n', answered=False), processes_that_saved, drains=True),
    'private': left_alone(own('lines', PING, unix=True), processes_that_saved),
    'private-greeting': left_alone(own('greets', b'NOOP\r\n', unix=True, greeted=True), processes_that_saved),
    'private-forks': left_alone(own('forks', PING, unix=True), processes_that_saved),
    'private-one-way': left_alone(own('silent', b'{}\n', unix=True, answered=False), processes_that_saved),
    'redis': left_alone(installed('redis-server', redis, b'*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n'), lambda server: bool(server.said('dump.rdb'))),
    'memcached': left_alone(installed('memcached', lambda _, port: [*as_nobody(), '-l', '127.0.0.1', '-p', str(port)], b'set a 0 0 1\r\nb\r\n')),
    'beanstalkd': left_alone(installed('beanstalkd', lambda _, port: ['-l', '127.0.0.1', '-p', str(port)], b'list-tube-used\r\n')),
    'dnsmasq': left_alone(installed('dnsmasq', dnsmasq, ask_dns())),
    'postgres': left_alone(postgres, rows_kept, stays=0.5),
    'sshd': left_alone(sshd, sessions_go_on, drains=True),  # its listener's process has never heard a word
    'named': named(own('lines', PING)),
    'odd-clients': odd_clients,
    'both': both(False),
    'both-spoken': both(True),
}


LONGER = ('beanstalkd', 'dnsmasq', 'postgres', 'sshd')


def main():
    bad = False
    for name, run in CASES.items():
        if (NAMES and name not in NAMES) or (not ALL and not NAMES and name in LONGER):
            continue
        try:
            note = run()
            print(f'ok not-http/{name}' + (f': {note}' if note else ''), flush=True)
        except Missing as e:
            bad |= os.environ.get('CI') == 'true'
            print(f'SKIP not-http/{name}: missing: {e}', flush=True)
        except Wrong as e:
            bad = True
            print(f'FAIL not-http/{name}: {e}', flush=True)
    sys.exit(bad)


main()
