"""The servers: how each is started, and what its end looks like when TERM takes its natural course.

Every one answers the same requests. Bodies are the first bytes of one pattern (shim/cli/load_response.h):
  /             64 bytes                       /head-pieces    64 bytes, the head in four writes
  /sleep?ms=N   64 bytes, after N ms           /early          413 before the body is read
  /stream?ms=N  1600 bytes, 10 chunks in N ms  /status/204 /status/304
  /big          8 MiB                          /sendfile       1 MiB: writev of the head, then sendfile
  /upload       the number of bytes posted     /close-tokens   says Connection: keep-alive, foo
/upgrade: 101, then an echo of every byte (nginx, node, the small C servers); aiohttp has /websocket instead.
"""
import os
import shutil
from dataclasses import dataclass, field
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = '/usr/bin/python3'
EPOCH = 1_700_000_000  # nginx makes its ETag of the file's time

SMALL, STREAM, BIG, SENDFILE = 64, 1600, 8 << 20, 1 << 20


def pattern(n):
    return b''.join(b'%015x\n' % i for i in range((n + 15) // 16))[:n]


@dataclass
class Server:
    name: str
    command: Callable   # (build, directory, host, port, backend port) -> argv
    needs: list         # programs and files without which it is missing
    exit: int           # after TERM, when idle and alone
    lacks: set = field(default_factory=set)  # endpoints that it has no natural way to offer
    backend: bool = False                    # needs the backend
    family: str = 'ipv4'                     # ipv4 ipv6 unix: what it listens on
    own_grace: bool = False                  # waits for requests itself, a minute, once it sees TERM
    speaks: tuple = ('http',)                # or tls, h2: what a scenario must ask for
    notifies: bool = True                    # tls: says close_notify when it reads an end of file
    env: dict = field(default_factory=dict)

    def missing(self, build):
        for need in self.needs:
            need = need.replace('$BUILD', build)
            if not (os.path.exists(need) if '/' in need else shutil.which(need)):
                return need
        if self.name == 'aiohttp' and os.system(f'{PYTHON} -c "import aiohttp" 2>/dev/null'):
            return 'python3-aiohttp'
        return None


def nginx(build, directory, host, port, backend, tls=''):
    files = os.path.join(directory, 'files')
    if not os.path.exists(files):
        os.makedirs(files)
        for name, size in (('small', SMALL), ('big', BIG), ('sendfile', SENDFILE)):
            path = os.path.join(files, name)
            with open(path, 'wb') as f:
                f.write(pattern(size))
            os.utime(path, (EPOCH, EPOCH))
    with open(os.path.join(HERE, 'servers', 'nginx.conf')) as f:
        text = f.read()
    for key, value in (('@DIR@', directory), ('@LISTEN@', f'{host}:{port} backlog=4096{tls}'), ('@BACKEND@', str(backend))):
        text = text.replace(key, value)
    conf = os.path.join(directory, 'nginx.conf')
    with open(conf, 'w') as f:
        f.write(text)
    return ['nginx', '-c', conf, '-p', directory, '-e', os.path.join(directory, 'error.log')]


def nginx_tls(build, directory, host, port, backend):
    return nginx(build, directory, host, port, backend,
                 f' ssl http2;\n        ssl_certificate {build}/e2e/cert.pem;\n        ssl_certificate_key {build}/e2e/key.pem')


def script(*command):
    return lambda build, directory, host, port, backend: [*command, str(port), host]


def node(*more):
    return lambda build, directory, host, port, backend: [
        'node', f'{HERE}/servers/server.js', str(port), host, *(m.replace('$BUILD', build) for m in more)]


def small(program, status, family='ipv4'):
    name = program if family == 'ipv4' else f'{program}-{family}'
    return Server(name, lambda build, directory, host, port, backend: [f'{build}/e2e/{program}', str(port), host],
                  [f'$BUILD/e2e/{program}'], status, family=family)


SERVERS = {s.name: s for s in (
    Server('nginx', nginx, ['nginx', '$BUILD/e2e/thread'], 0, {'/head-pieces', '/close-tokens'}, backend=True),
    Server('node', node(), ['node'], -15, {'/sendfile'}),
    Server('python', script(PYTHON, f'{HERE}/servers/threading_server.py'), [PYTHON], -15, {'/sendfile'}),
    Server('aiohttp', script(PYTHON, f'{HERE}/servers/aiohttp_server.py'), [PYTHON], 0,
           {'/sendfile', '/head-pieces'}, own_grace=True),
    Server('java', lambda build, directory, host, port, backend:
           ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m', '-cp', f'{build}/e2e', 'Server', str(port), host],
           ['java', '$BUILD/e2e/Server.class'], 143, {'/sendfile', '/head-pieces', '/close-tokens'}),
    small('thread', -15),
    small('select', -15),
    small('poll', -15),
    small('epoll', -15),
    small('signalfd', 40),
    small('sigwait', 41),
    small('epoll', -15, 'ipv6'),
    small('epoll', -15, 'unix'),
    small('thread', -15, 'unix'),
    Server('nginx-tls', nginx_tls, ['nginx', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], 0, backend=True, speaks=('tls', 'h2')),
    Server('node-tls', node('https', '$BUILD/e2e/key.pem', '$BUILD/e2e/cert.pem'), ['node', '$BUILD/e2e/key.pem'], -15,
           speaks=('tls',)),
    Server('node-h2c', node('h2c'), ['node'], -15, speaks=('h2',)),
)}
