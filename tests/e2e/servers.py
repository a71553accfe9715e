"""The servers: how each is started, and what its end looks like when TERM takes its natural course.

Every one answers the same requests. Bodies are the first bytes of one pattern (shim/launcher/load/response.h):
  /             64 bytes                       /head-pieces    64 bytes, the head in four writes
  /sleep?ms=N   64 bytes, after N ms           /early          413 before the body is read
  /stream?ms=N  1600 bytes, 10 chunks in N ms  /status/204 /status/304
  /big          8 MiB                          /sendfile       1 MiB: writev of the head, then sendfile
  /upload       the number of bytes posted     /close-tokens   says Connection: keep-alive, foo
/upgrade: 101, then an echo of every byte (nginx, node, the small C servers); aiohttp has /websocket instead.
/cgi?ms=N: 64 bytes, after N ms, from a CGI program (apache).
"""
import functools
import os
import pwd
import shutil
from dataclasses import dataclass, field
from typing import Callable

import place

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = '/usr/bin/python3'
EPOCH = 1_700_000_000  # nginx makes its ETag of the file's time

SMALL, STREAM, BIG, SENDFILE = 64, 1600, 8 << 20, 1 << 20


@functools.cache
def pattern(n):
    return b''.join(b'%015x\n' % i for i in range((n + 15) // 16))[:n]


LONGER = ('with --all',)  # of a plain run nothing
MANY = 1000  # more than any scenario has clients


@dataclass
class Group:
    """A server of several processes: the master, which was started, and its workers, which are descendants of it."""
    workers: int = 2       # as many serve at least, once it is up; 0: there is one for each connection
    ready: str = ''        # what each of them says in the log once it serves, if it has to load its program first
    passed: bool = False   # they are given connections by the master; others hold the listener, which tells them from helpers
    respawns: bool = True  # the master replaces one that ends
    follow: bool = False   # they end at once when the master dies
    outlive: bool = False  # one that works on a request does not end when TERM ends the master
    deaf: bool = False     # one of them does not end when it alone is sent TERM
    reload: str = ''       # the signal that makes the master replace them all


@dataclass
class Server:
    name: str
    command: Callable   # (build, directory, host, port, backend port) -> argv
    needs: list         # programs and files without which it is missing
    exit: int           # after TERM, when idle and alone
    lacks: set = field(default_factory=set)  # what it has no natural way to offer: endpoints, keep-alive, pipeline, chunked, half-closed
    backend: bool = False                    # needs the backend
    family: str = 'ipv4'                     # ipv4 ipv6 unix: what it listens on
    exit_first: int = 0    # as PID 1, where the kernel ignores a default TERM, if not always 128+n (Go: before 1.27)
    own_grace: bool = False                  # waits for requests itself, a minute, once it sees TERM
    speaks: tuple = ('http',)                # or tls, h2: what a scenario must ask for
    tls: bool = False                        # it speaks that over TLS
    env: dict = field(default_factory=dict)
    group: Group | None = None
    at_once: int = MANY                      # requests that it works on at the same time, the others wait
    dear: int = 1                            # a request costs it so many times what it costs others
    daemon: str = ''                         # it puts itself in the background, and its process id in this file
    plain: tuple = ()                        # scenarios of a plain run, if not all
    exit_also: tuple = ()                    # after TERM, if it has connections then and that may differ
    only: tuple = ()                         # it is there for these scenarios, if not for all
    external: bool = False                    # no object of ours can live in it: `lastcall run` drains it externally

    def lacking(self):
        """What a scenario may need and it does not have."""
        group = self.group or Group(0, respawns=False)
        of_group = {'workers': group.workers and not group.deaf, 'respawn': group.respawns, 'reload': group.reload}
        return self.lacks | {name for name, has in of_group.items() if not has}

    def missing(self, build, where=place.HERE):
        for need in self.needs:
            need = need.replace('$BUILD', build)
            if not where.has(need):
                return need
        if self.name.startswith('aiohttp') and not where.succeeds(PYTHON, '-c', 'import aiohttp'):
            return 'python3-aiohttp'
        return None


# They take a client's FIN for its departure, and drop its request.
FIN_LEAVES = {'half-closed'}


def put_files(directory):
    """What a server of files serves; also where its workers run under another user."""
    files = os.path.join(directory, 'files')
    if os.path.exists(files):
        return
    os.makedirs(files)
    os.chmod(directory, 0o755)
    for name, size in (('small', SMALL), ('big', BIG), ('sendfile', SENDFILE)):
        path = os.path.join(files, name)
        with open(path, 'wb') as f:
            f.write(pattern(size))
        os.utime(path, (EPOCH, EPOCH))


def configure(template, directory, **values):
    """servers/TEMPLATE with each @NAME@ filled in, in the test's directory."""
    with open(os.path.join(HERE, 'servers', template)) as f:
        text = f.read()
    for name, value in {'DIR': directory, **values}.items():
        text = text.replace(f'@{name}@', str(value))
    path = os.path.join(directory, template)
    with open(path, 'w') as f:
        f.write(text)
    return path


def bound_to(host, port):
    """The address: of the family unix the port is all of it."""
    return port if str(port).startswith('unix:') else f'{host}:{port}'


def nginx(build, directory, host, port, backend, listen='', processes='master_process off;', events='', daemon='off'):
    put_files(directory)
    conf = configure('nginx.conf', directory, LISTEN=f'{bound_to(host, port)} backlog=4096{listen}', BACKEND=backend, PROCESSES=processes,
                     EVENTS=events, DAEMON=daemon)
    return [shutil.which('nginx') if daemon == 'on' else 'nginx', '-c', conf, '-p', directory, '-e', os.path.join(directory, 'error.log')]


# Without this nginx clears the environment of the new binary that it execs for USR2, which it does as a daemon only, and
# if it knows its own path.
NGINX_ENV = ''.join(f' env {name};' for name in ('LD_PRELOAD', *(f'LASTCALL_{n}' for n in (
    'REPORT', 'LOG', 'SIGNALS', 'TIMEOUT', 'IDLE'))))


def nginx_group(name, workers=2, listen='', events='accept_mutex off;', env='', daemon='', **about):
    def command(*where):
        return nginx(*where, listen=listen, processes=f'worker_processes {workers};{env}', events=events,
                     daemon='on' if daemon else 'off')
    return Server(name, command, ['nginx', '$BUILD/e2e/thread'], 0, {'/head-pieces', '/close-tokens', *FIN_LEAVES}, backend=True, daemon=daemon,
                  **about, group=Group(workers, reload='HUP'))


def nginx_front(name, inner, at):
    """One server block passes everything on to another one, which listens on `inner`: the workers are clients of each other."""
    def fill(text, directory, port):
        return text.replace('@DIR@', directory).replace('@PORT@', str(port))

    def command(build, directory, host, port, backend):
        front = f';\n        location / {{ proxy_pass http://{fill(at, directory, port)}; }}\n    }}\n' \
                f'    server {{\n        listen {fill(inner, directory, port)} backlog=4096'
        return nginx(build, directory, host, port, backend, listen=front, processes='worker_processes 2;', events='accept_mutex off;')
    return Server(name, command, ['nginx', '$BUILD/e2e/thread'], 0, {'/head-pieces', '/close-tokens', *FIN_LEAVES}, backend=True,
                  plain=('hammer', 'churn', 'think', 'backlog', 'half-head', 'reload', 'term-worker'), group=Group(2, reload='HUP'))


DAEMON = {'daemon': 'nginx.pid', 'plain': ('upgrade', 'inflight', 'hammer', 'churn', 'term-all')}


# What HTTP/1 is asked of servers that are in the table for their own shutdown, or for what else they speak.
SHUTDOWN = ('inflight', 'churn', 'idle', 'upload', 'forever', 'own-grace', 'alone', 'tls-cells', 'h2-cells')
FRONT = {'lacks': FIN_LEAVES, 'backend': True, 'plain': LONGER, 'only': SHUTDOWN}  # all is its backend's


# Behind another nginx on the same machine; which listener is to be drained, nobody has said.
UNIX_PLAIN = ('inflight', 'churn', 'idle', 'upload')


def lighttpd(build, directory, host, port, backend, more=''):
    put_files(directory)
    return ['lighttpd', '-D', '-f', configure('lighttpd.conf', directory, HOST=host, PORT=port, BACKEND=backend, MORE=more)]


def lighttpd_tls(build, *where):
    return lighttpd(build, *where, more=f"""server.modules += ("mod_openssl")
ssl.engine = "enable"
ssl.pemfile = "{build}/e2e/cert.pem"
ssl.privkey = "{build}/e2e/key.pem"
""")


def haproxy(more=''):
    def command(build, directory, host, port, backend):
        with open(f'{directory}/both.pem', 'w') as both:
            for name in ('cert', 'key'):
                with open(f'{build}/e2e/{name}.pem') as f:
                    both.write(f.read())
        return ['haproxy', '-db', '-f', configure('haproxy.conf', directory, HOST=host, PORT=port, BACKEND=backend,
                                                  MORE=more.replace('@DIR@', directory))]
    return command


def h2o(more=''):
    return lambda build, directory, host, port, backend: [
        'h2o', '-c', configure('h2o.conf', directory, HOST=host, PORT=port, BACKEND=backend,
                               USER=pwd.getpwuid(os.getuid()).pw_name, MORE=more.replace('@BUILD@', build))]


def caddy(scheme, more=''):
    return lambda build, directory, host, port, backend: [
        'caddy', 'run', '--adapter', 'caddyfile', '--config',
        configure('caddy.conf', directory, HOST=host, PORT=port, BACKEND=backend, SCHEME=scheme,
                  MORE=more.replace('@BUILD@', build))]


def php_fpm(build, directory, host, port, backend):
    os.chmod(directory, 0o755)
    configure('script.php', directory)
    listen = port[5:] if str(port).startswith('unix:') else f'{host}:{port}'
    return ['php-fpm8.2', '-n', '-F', '-y', configure('php-fpm.conf', directory, LISTEN=listen)]


APACHE_TLS = """LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
SSLEngine on
SSLCertificateFile "@BUILD@/e2e/cert.pem"
SSLCertificateKeyFile "@BUILD@/e2e/key.pem"
"""
APACHE_H2C = """LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
Protocols h2c http/1.1
"""


def apache(mpm, cgi, workers, tls=False, h2c=False, **group):
    def command(build, directory, host, port, backend):
        put_files(directory)
        with open(os.path.join(directory, 'cgi-signals'), 'a') as f:
            os.fchmod(f.fileno(), 0o666)
        conf = configure('apache.conf', directory, LISTEN=f'{host}:{port}', BACKEND=backend, BUILD=build, MPM=mpm, CGI=cgi,
                         MORE=APACHE_TLS.replace('@BUILD@', build) if tls else APACHE_H2C if h2c else '')
        return ['apache2', '-D', 'FOREGROUND', '-f', conf]
    return Server('apache-tls' if tls else 'apache-h2c' if h2c else f'apache-{mpm}', command,
                  ['apache2', '$BUILD/e2e/thread', '$BUILD/e2e/cgi', *(['$BUILD/e2e/key.pem'] if tls else [])], 0, {'/head-pieces', '/close-tokens'},
                  backend=True, speaks=('tls',) if tls else ('h2',) if h2c else ('http',),
                  plain=LONGER if tls or h2c else (), group=Group(workers, respawns=False, **group))


NO_BYTECODE = {'PYTHONDONTWRITEBYTECODE': '1'}


def gunicorn(kind, *options, family='ipv4', tls=False, **about):
    def command(build, directory, host, port, backend):
        more = ['--certfile', f'{build}/e2e/cert.pem', '--keyfile', f'{build}/e2e/key.pem'] if tls else []
        return ['gunicorn', '--workers', '2', '--worker-class', kind, '--bind', bound_to(host, port), '--worker-tmp-dir', directory,
                '--pythonpath', f'{HERE}/servers', *options, *more, 'wsgi']
    name = 'gunicorn-tls' if tls else f'gunicorn-{kind}' if family == 'ipv4' else f'gunicorn-{family}'
    return Server(name, command, ['gunicorn'], 0, env=NO_BYTECODE, speaks=('tls',) if tls else ('http',), own_grace=True, family=family,
                  group=Group(ready='serving', reload='HUP'), **about)


def nginx_tls(build, directory, host, port, backend):
    return nginx(build, directory, host, port, backend,
                 f' ssl http2;\n        ssl_certificate {build}/e2e/cert.pem;\n        ssl_certificate_key {build}/e2e/key.pem')


def nghttpd(build, directory, host, port, backend):
    put_files(directory)
    if not os.path.exists(f'{directory}/files/index.html'):
        os.link(f'{directory}/files/small', f'{directory}/files/index.html')
    return ['nghttpd', '--address', host, '--htdocs', f'{directory}/files', '--echo-upload', str(port), f'{build}/e2e/key.pem', f'{build}/e2e/cert.pem']


def script(*command):
    return lambda build, directory, host, port, backend: [*command, str(port), host]


def node(*more):
    return lambda build, directory, host, port, backend: [
        'node', f'{HERE}/servers/server.js', str(port), host, *(m.replace('$BUILD', build) for m in more)]


def uvicorn(build, directory, host, port, backend):
    where = ['--uds', port[5:]] if str(port).startswith('unix:') else ['--workers', '2', '--host', host, '--port', str(port)]
    return ['uvicorn', *where, '--app-dir', f'{HERE}/servers', '--no-access-log',
            '--timeout-keep-alive', '60', 'asgi:app']


def uvicorn_tls(build, *where):
    return [*uvicorn(build, *where), '--ssl-keyfile', f'{build}/e2e/key.pem', '--ssl-certfile', f'{build}/e2e/cert.pem']


def puma_tls(build, directory, host, port, backend):
    return ['puma', '--config', '-', '--environment', 'production', '--workers', '2', '--threads', '16:16',
            '--bind', f'ssl://{host}:{port}?key={build}/e2e/key.pem&cert={build}/e2e/cert.pem', f'{HERE}/servers/config.ru']


def puma(build, directory, host, port, backend):
    where = f'unix://{port[5:]}' if str(port).startswith('unix:') else f'tcp://{host}:{port}'
    return ['puma', '--config', '-', '--environment', 'production', '--workers', '2', '--threads', '16:16',
            '--bind', f'{where}?backlog=1024', f'{HERE}/servers/config.ru']


def cluster(policy, **group):
    return Server(f'node-cluster-{policy}', lambda build, directory, host, port, backend: [
        'node', f'{HERE}/servers/cluster.js', str(port), host, policy, '2'],
        ['node'], -15, {'/sendfile', *FIN_LEAVES}, group=Group(ready='serving', follow=True, **group))


def small(program, status, family='ipv4'):
    name = program if family == 'ipv4' else f'{program}-{family}'
    return Server(name, lambda build, directory, host, port, backend: [f'{build}/e2e/{program}', str(port), host],
                  [f'$BUILD/e2e/{program}'], status, {'chunked'}, family=family)


FASTHTTP_LACKS = {'/head-pieces', '/early', '/close-tokens'}
# Of a plain run, on builds that differ from the first only in how our object comes before their system calls.
GO_PLAIN = ('inflight', 'hammer', 'think', 'churn', 'reuse', 'backlog', 'idle', 'big', 'sendfile', 'upload', 'pipeline')


def go(library, build='', shutdown=False):
    """A server in Go in one of its builds; with shutdown: it calls its library's own, when it sees TERM."""
    name = f'go-{library}' + (f'-{build}' if build else '')
    by = ['inject'] if build in ('static', 'stripped', 'linked', 'musl') else []
    return Server(name + ('-shutdown' if shutdown else ''), lambda build, directory, host, port, backend: [
        *(f'{build}/e2e/{program}' for program in [*by, name]), str(port), host, *(['shutdown'] if shutdown else [])],
        [f'$BUILD/e2e/{name}'], 0 if shutdown else -15, FASTHTTP_LACKS if library == 'fasthttp' else set(), own_grace=shutdown, exit_first=0 if shutdown else 2,
        plain=GO_PLAIN if build or shutdown else ())


# In an external drain nothing can be said to a client but by the end of its connection.
NO_WORDS = {'close_option', '/close-tokens'}
STATIC = ('static-epoll', 'static-thread', 'static-go')
# What holds there all the same, and the only scenarios for these servers. Those that ask to be told to close, or that never
# give a pause, are in external.py, with what holds instead.
EXTERNAL_PLAIN = ('inflight', 'churn', 'backlog', 'idle', 'vanished', 'big', 'upload', 'stream', 'half-head', 'forever', 'second-signal',
                 'repeated-signal', 'alone', 'early', 'continue-100', 'bytes', 'external-think', 'external-reuse', 'external-hammer',
                 'external-blind', 'external-slow')
EXTERNAL_CONTAINED = tuple(f'container-external-{n}' for n in (
    'inflight', 'churn', 'idle', 'think', 'user-inflight', 'user-churn', 'user-think', 'refused-inflight'))
# The launcher puts our object into a Go program, where it may trace it: then all is as it is elsewhere.
INJECTED_CONTAINED = tuple(f'container-strict-run-{n}' for n in (
    'hammer', 'inflight', 'think', 'churn', 'reuse', 'idle', 'upload', 'big', 'pipeline', 'stream'))
GO_CONTAINED = tuple(f'container-go-{n}' for n in (
    'traced-churn', 'untraced-inflight', 'untraced-churn', 'untraced-idle', 'refused-inflight'))


def static(name, program, lacks=(), plain=EXTERNAL_PLAIN):
    """As it is built for the smallest images: nothing can be preloaded into it."""
    return Server(f'static-{name}', lambda build, directory, host, port, backend: [f'{build}/e2e/{program}', str(port), host],
                  [f'$BUILD/e2e/{program}'], -15, NO_WORDS | set(lacks), external=True, plain=plain)


SERVERS = {s.name: s for s in (
    Server('nginx', nginx, ['nginx', '$BUILD/e2e/thread'], 0, {'/head-pieces', '/close-tokens', *FIN_LEAVES}, backend=True),
    Server('node', node(), ['node'], -15, {'/sendfile', *FIN_LEAVES}),
    Server('node-own', script('node', f'{HERE}/servers/own_shutdown.js'), ['node'], 3, only=('deliver-first',)),
    Server('lighttpd', lighttpd, ['lighttpd', '$BUILD/e2e/thread'], 0, {'/head-pieces', '/close-tokens'}, backend=True, exit_also=(1,),
           plain=('inflight', 'hammer', 'churn', 'idle', 'upload', 'early', 'bytes')),
    Server('python', script(PYTHON, f'{HERE}/servers/threading_server.py'), [PYTHON], -15, {'/sendfile', 'chunked'}),
    Server('aiohttp', script(PYTHON, f'{HERE}/servers/aiohttp_server.py'), [PYTHON], 0,
           {'/sendfile', '/head-pieces', *FIN_LEAVES}, own_grace=True),
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
    Server('node-unix', node(), ['node'], -15, {'/sendfile', *FIN_LEAVES}, family='unix', plain=UNIX_PLAIN),
    Server('uvicorn-unix', uvicorn, ['uvicorn'], 0, {'/head-pieces', '/sendfile', *FIN_LEAVES}, own_grace=True, env=NO_BYTECODE,
           family='unix', plain=UNIX_PLAIN),
    static('thread', 'static-thread', {'/early', 'chunked'}),  # it closes over unread bytes
    static('epoll', 'static-epoll', plain=('inflight', 'external-think', *EXTERNAL_CONTAINED)),
    static('go', 'go-nethttp-static', plain=EXTERNAL_PLAIN + EXTERNAL_CONTAINED + INJECTED_CONTAINED + GO_CONTAINED),
    Server('nginx-tls', nginx_tls, ['nginx', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], 0, backend=True, speaks=('tls', 'h2')),
    Server('node-tls', node('https', '$BUILD/e2e/key.pem', '$BUILD/e2e/cert.pem'), ['node', '$BUILD/e2e/key.pem'], -15,
           speaks=('tls',)),
    Server('lighttpd-tls', lighttpd_tls, ['lighttpd', '$BUILD/e2e/thread', '/usr/lib/lighttpd/mod_openssl.so', '$BUILD/e2e/key.pem'], 0,
           backend=True, exit_also=(1,), speaks=('tls',), plain=('tls-cells',)),
    apache('event', 'cgid', 2, tls=True, deaf=True),
    gunicorn('gthread', '--threads', '8', '--keep-alive', '60', lacks={'/head-pieces', '/close-tokens', 'pipeline'}, at_once=16, tls=True,
             plain=('tls-cells',)),
    Server('uvicorn-tls', uvicorn_tls, ['uvicorn', '$BUILD/e2e/key.pem'], 0, own_grace=True, env=NO_BYTECODE, speaks=('tls',), plain=LONGER,
           group=Group(ready='Application startup complete.', respawns=False)),
    Server('puma-tls', puma_tls, ['puma', '$BUILD/e2e/key.pem'], -15, own_grace=True, speaks=('tls',), plain=LONGER,
           group=Group(ready=') booted', reload='USR1', follow=True), at_once=32),
    Server('aiohttp-tls', lambda build, directory, host, port, backend: [
        PYTHON, f'{HERE}/servers/aiohttp_server.py', str(port), host, f'{build}/e2e/cert.pem', f'{build}/e2e/key.pem'],
           [PYTHON, '$BUILD/e2e/key.pem'], 0, own_grace=True,
           speaks=('tls',), plain=LONGER),
    Server('go-tls', lambda build, directory, host, port, backend: [
        f'{build}/e2e/go-nethttp', str(port), host, 'tls', f'{build}/e2e/cert.pem', f'{build}/e2e/key.pem'],
        ['$BUILD/e2e/go-nethttp', '$BUILD/e2e/key.pem'], -15, speaks=('tls',), plain=('tls-cells',), exit_first=2),
    Server('java-tls', lambda build, directory, host, port, backend:
           ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m', '-cp', f'{build}/e2e', 'Server',
            str(port), host, f'{build}/e2e/cert.pem', f'{build}/e2e/key.pem'],
           ['java', '$BUILD/e2e/Server.class', '$BUILD/e2e/key.pem'], 143, speaks=('tls',), plain=LONGER),
    Server('haproxy', haproxy(), ['haproxy', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], -15, speaks=('http', 'h2'),
           **FRONT),
    Server('haproxy-tls', haproxy(' ssl crt @DIR@/both.pem alpn h2,http/1.1'),
           ['haproxy', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], -15, speaks=('tls', 'h2'), **FRONT),
    Server('h2o', h2o(), ['h2o', '$BUILD/e2e/thread'], 0, own_grace=True, speaks=('http', 'h2'), **FRONT),
    Server('h2o-tls', h2o('  ssl:\n    certificate-file: @BUILD@/e2e/cert.pem\n    key-file: @BUILD@/e2e/key.pem'),
           ['h2o', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], 0, own_grace=True, speaks=('tls', 'h2'), **FRONT),
    Server('caddy', caddy('http'), ['caddy', '$BUILD/e2e/thread'], 0, own_grace=True, speaks=('http', 'h2'), **FRONT),
    Server('caddy-tls', caddy('https', 'tls @BUILD@/e2e/cert.pem @BUILD@/e2e/key.pem'),
           ['caddy', '$BUILD/e2e/thread', '$BUILD/e2e/key.pem'], 0, own_grace=True, speaks=('tls', 'h2'), **FRONT),
    Server('twisted', script(PYTHON, f'{HERE}/servers/twisted_server.py'),
           [PYTHON, '/usr/lib/python3/dist-packages/twisted/web/server.py'], 0, FIN_LEAVES, plain=LONGER,
           only=SHUTDOWN),
    Server('nginx-h2c', lambda *where: nginx(*where, listen=' http2'), ['nginx', '$BUILD/e2e/thread'], 0, backend=True,
           speaks=('h2',), plain=LONGER),
    Server('lighttpd-h2c', lighttpd, ['lighttpd', '$BUILD/e2e/thread'], 0, backend=True, exit_also=(1,), speaks=('h2',),
           plain=LONGER),
    apache('event', 'cgid', 2, h2c=True, deaf=True),
    Server('php-fpm', php_fpm, ['php-fpm8.2'], 0, speaks=('fcgi',), group=Group(24)),
    Server('php-fpm-unix', php_fpm, ['php-fpm8.2'], 0, speaks=('fcgi',), family='unix', plain=LONGER, group=Group(24)),
    Server('nghttpd', nghttpd, ['nghttpd', '$BUILD/e2e/key.pem'], -15, {'/sleep'}, speaks=('h2',), tls=True,
           plain=('h2-idle', 'h2-cells')),
    Server('node-h2c', node('h2c'), ['node'], -15, speaks=('h2',)),
    nginx_group('nginx-2'),
    nginx_group('nginx-4', 4),
    nginx_group('nginx-mutex', events='accept_mutex on;'),
    nginx_group('nginx-reuseport', listen=' reuseport'),
    nginx_group('nginx-daemon', **DAEMON),
    nginx_group('nginx-daemon-env', env=NGINX_ENV, **DAEMON),
    apache('event', 'cgid', 2, deaf=True),
    apache('prefork', 'cgi', 72),
    gunicorn('sync', lacks={'/head-pieces', '/close-tokens', 'keep-alive', 'pipeline'}, at_once=2),
    gunicorn('gthread', '--threads', '8', '--keep-alive', '60', lacks={'/head-pieces', '/close-tokens', 'pipeline'}, at_once=16),
    Server('uvicorn', uvicorn, ['uvicorn'], 0, {'/head-pieces', '/sendfile', *FIN_LEAVES}, own_grace=True, env=NO_BYTECODE,
           group=Group(ready='Application startup complete.', respawns=False)),
    cluster('rr', passed=True),
    cluster('none'),
    Server('puma', puma, ['puma'], -15, {'/head-pieces', '/sendfile', '/early', *FIN_LEAVES}, own_grace=True,
           # Now and then its end takes 30 s, also without us: 6.6's thread of a worker can wait forever for another that has
           # ended, and then its master kills it.
           group=Group(ready=') booted', reload='USR1', follow=True), at_once=32),
    nginx_front('nginx-front', '127.0.0.2:@PORT@', '127.0.0.2:@PORT@'),
    nginx_front('nginx-front-unix', 'unix:@DIR@/inner', 'unix:@DIR@/inner'),
    nginx_group('nginx-unix', family='unix', plain=UNIX_PLAIN),
    gunicorn('gthread', '--threads', '8', '--keep-alive', '60', lacks={'/head-pieces', '/close-tokens', 'pipeline'}, at_once=16,
             family='unix', plain=UNIX_PLAIN),
    Server('puma-unix', puma, ['puma'], -15, {'/head-pieces', '/sendfile', '/early', *FIN_LEAVES}, own_grace=True,
           group=Group(ready=') booted', reload='USR1', follow=True), at_once=32, family='unix', plain=UNIX_PLAIN),
    Server('forking', lambda build, directory, host, port, backend: [
        PYTHON, f'{HERE}/servers/threading_server.py', str(port), host, 'fork'], [PYTHON], -15, {'/sendfile', 'chunked'}, dear=10,
           group=Group(0, respawns=False, outlive=True)),
    go('nethttp'),
    go('fasthttp'),
    go('nethttp', shutdown=True),
    go('fasthttp', shutdown=True),
    go('nethttp', 'pie'),
    Server('go-h2c', lambda build, directory, host, port, backend: [f'{build}/e2e/go-h2c', str(port), host],
           ['$BUILD/e2e/go-h2c'], -15, speaks=('h2',), exit_first=2),
    go('nethttp', 'static'),
    go('fasthttp', 'static'),
    go('nethttp', 'linked'),
    go('nethttp', 'musl'),
    go('nethttp', 'stripped'),
    go('fasthttp', 'stripped'),
)}
