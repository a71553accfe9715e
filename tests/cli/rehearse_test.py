#!/usr/bin/python3
"""lastcall rehearse: on real servers its verdicts are those of tests/e2e; each bad input has its sentence and status; and
whatever happens, no process is left."""
import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cases
import harness
import procfs
import servers
from cases import ROOT, case, check, directory, lastcall, says, until

PYTHON = '/usr/bin/python3'
SMALL_SERVER = [PYTHON, f'{ROOT}/tests/e2e/servers/threading_server.py']
SHORT = {**os.environ, 'LASTCALL_TIMEOUT': '4s'}  # with --grace 1s: what a server that does not end may take


def server(name, directory, port):
    """The command of one of the servers of tests/e2e, and what it needs in its environment."""
    s = servers.SERVERS[name]
    return s.command(cases.build, directory, '127.0.0.1', port, 9), {**os.environ, **s.env}


def rehearse(*words, env=None, **how):
    return lastcall('rehearse', *words, env=env, **how)


def script(port, text, *options, env=None, **how):
    """Rehearse a python program, which finds the port in PORT."""
    return rehearse(*options, '--', PYTHON, '-c', f'PORT = {port}\n{text}', env=env, **how)


def answers(run):
    """What --json has said."""
    check(run.stdout.startswith('{'), f'no JSON but {run.stdout!r}, {run.stderr!r}')
    return json.loads(run.stdout)


def nobody_left(word):
    """Of the processes that this program has started (adopt_orphans) and whose command line has this word. Other suites run beside
    this one: any number may be a port or a PID of theirs."""
    def named():
        found = []
        for pid in procfs.descendants(os.getpid()):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    line = f.read().replace(b'\0', b' ').decode(errors='replace')
            except OSError:
                continue
            if re.search(rf'(?<!\d){re.escape(str(word))}(?!\d)', line):
                found.append(f'{pid}: {line}')
        return found
    until(lambda: f'nobody is left that has {word}: {named()}', lambda: not named())


# ---- real servers ---------------------------------------------------------------------------------------

# What a bare run of tests/e2e loses (run.py --bare): all that wait in the accept queue, and in the other two together
# always some; nginx alone may be in the middle of a batch of requests, and answer them all, in both. With us: none.
LOSES = ('hammer', 'churn', 'backlog')
REAL = ('nginx', 'gunicorn-gthread')  # and all: make rehearsals

# They take what is queued when they are told to go on, before they look at the signal, or end gracefully by themselves:
# bare, their accept queue or their slow page may be lost or not.
OWN_GRACE = {'nginx-2', 'nginx-4', 'nginx-mutex', 'nginx-reuseport', 'apache-event', 'apache-prefork', 'gunicorn-sync',
             'gunicorn-gthread', 'aiohttp', 'uvicorn', 'puma', 'forking', 'node-cluster-rr', 'node-cluster-none'}


def verdict_on(name):
    port = harness.free_port()
    with directory() as d:
        command, env = server(name, d, port)
        run = rehearse('--json', '--scenario', ','.join(LOSES), '--', *command, env=env, seconds=4 * cases.BOUND)
        found = answers(run)
    problems = [f'exit status {run.returncode}: {run.stderr}'] if run.returncode else []
    hammer, churn, backlog = (s['without']['lost'] for s in found['scenarios'])
    if name not in OWN_GRACE and (not backlog or (name != 'nginx' and not hammer + churn)):
        problems.append(f'lost without us: hammer {hammer}, churn {churn}, backlog {backlog}')
    for s in found['scenarios']:
        if s['with']['lost'] or s['with']['killed'] or not s['with']['report']:
            problems.append(f"{s['name']}: with us {s['with']}")
    check(not problems, f'{name}: ' + '; '.join(problems))
    check([s['name'] for s in found['scenarios']] == list(LOSES), f'{name}: {found}')
    nobody_left(port)
    return f"{name} {found['lost_without']}/{found['lost_with']}"


@case
def real_servers():
    """Lost without us and with us: as the bare runs of the other suite, and none."""
    with ThreadPoolExecutor(2) as pool:
        return ', '.join(pool.map(verdict_on, REAL))


@case
def table():
    """The table, on a server that has a slow page; gone late with the idle."""
    port = harness.free_port()
    run = rehearse('--scenario', 'hammer,idle,backlog,inflight', '--slow', '/sleep?ms=400', '--url', f'http://localhost:{port}/', '--', *SMALL_SERVER, port)
    check(run.returncode == 0, f'{run}')
    rows = re.findall(r'^([a-z]+) +(\d+) +(\d+) +\S+ +\S+ +(\S+) +(\d+) +(\d+) +\S+ +\S+ +(\S+)$', run.stdout, re.M)
    check([r[0] for r in rows] == ['hammer', 'idle', 'backlog', 'inflight'], run.stdout)
    for name, served, lost, status, served_with, lost_with, status_with in rows:
        check((status, lost_with, status_with) == ('143', '0', '143'), f'{name}: {run.stdout}')
        check(name not in ('inflight', 'backlog') or int(lost) > 0, f'{name}: nothing is lost without us: {run.stdout}')
        check(name not in ('inflight', 'backlog') or served == '0', f'{name}: {run.stdout}')
        check({'inflight': 8, 'backlog': 20, 'idle': 50}.get(name, int(served_with)) == int(served_with), f'{name}: {run.stdout}')
    check(len(max(run.stdout.splitlines()[1:-1], key=len)) <= 80, 'wider than 80 columns')
    check(re.search(r'^Without lastcall \d+ of \d+ requests were lost; with it 0 of \d+\.$', run.stdout, re.M), run.stdout)
    check(run.stderr == '', f'not a terminal, and yet: {run.stderr!r}')
    nobody_left(port)


@case
def unix_socket():
    """Found by itself; what a dead server has left of it is put out of the way."""
    with directory() as d:
        run = rehearse('--json', '--scenario', 'backlog,hammer', '--', f'{cases.build}/e2e/epoll', f'unix:{d}/s')
        found = answers(run)
    check((run.returncode, found['url']) == (0, f'unix:{d}/s:/'), f'{run}')
    check(found['lost_without'] >= 20 and found['lost_with'] == 0, f'{found}')


def many_processes():  # in rehearse_matrix.py
    """A report that tells of a process for each connection is long, and read all the same."""
    port = harness.free_port()
    run = rehearse('--json', '--scenario', 'think', '--', *SMALL_SERVER, port, '127.0.0.1', 'fork')
    report = answers(run)['scenarios'][0]['with']['report']
    check(run.returncode == 0 and len(report['processes']) > 50, f'{run.stderr} {report}')


KEYS = {
    '': {'version', 'command', 'url', 'page', 'slow', 'scenarios', 'lost_without', 'lost_with', 'verdict'},
    'page': {'path', 'status', 'body_checked', 'body_bytes', 'duration_us'},
    'scenario': {'name', 'clients', 'without', 'with'},
    'outcome': {'served', 'lost', 'lost_by_kind', 'refused', 'connections', 'idle_closed', 'idle_reset', 'close_sent', 'losses',
                'exit_delay_us', 'gone_us', 'exit_status', 'killed', 'left_running', 'report'},
    'lost_by_kind': {'reset', 'truncated', 'bad', 'keepalive_race', 'timeout'},
    'loss': {'class', 'client', 'request', 'reused', 'port', 'bytes', 'after_us', 'why'},
}


@case
def json_schema():
    """Every key, no other, and sums that agree; --clients is obeyed, but not for reuse."""
    port = harness.free_port()
    command = [*SMALL_SERVER, str(port)]
    run = rehearse('--json', '--clients', 5, '--scenario', 'reuse', '--scenario', 'inflight,backlog', '--slow', '/sleep?ms=300', '--',
                   *command)
    found = answers(run)

    def keys(thing, kind):
        check(set(thing) == KEYS[kind], f'{kind}: {sorted(set(thing) ^ KEYS[kind])}')
    keys(found, '')
    check(found['command'] == command and found['verdict'] == 'kept' and found['url'] == f'http://127.0.0.1:{port}/', f'{found}')
    keys(found['page'], 'page')
    check(found['page']['body_checked'] and found['page']['body_bytes'] == 64 and found['page']['status'] == 200, f"{found['page']}")
    keys(found['slow'], 'page')
    check(found['slow']['path'] == '/sleep?ms=300' and found['slow']['duration_us'] >= 300_000, f"{found['slow']}")
    check([(s['name'], s['clients']) for s in found['scenarios']] == [('reuse', 1), ('backlog', 5), ('inflight', 5)], f'{found}')
    for s in found['scenarios']:
        keys(s, 'scenario')
        for side in ('without', 'with'):
            keys(s[side], 'outcome')
            keys(s[side]['lost_by_kind'], 'lost_by_kind')
            check(sum(s[side]['lost_by_kind'].values()) == s[side]['lost'], f'{s}')
            for loss in s[side]['losses']:
                keys(loss, 'loss')
        check(s['without']['report'] is None and s['with']['report']['end'] == 'drained', f'{s}')
    for side in ('without', 'with'):
        check(sum(s[side]['lost'] for s in found['scenarios']) == found[f'lost_{side}'], f'{found}')
    check(found['scenarios'][1]['without']['lost'] == 5, 'the 5 in the accept queue are not lost without us')


# ---- servers that lose, or do not end, with us ------------------------------------------------------------

# An HTTP server that answers BODY, does what `on_term` says, and is another one with us.
PROGRAM = '''
import http.server, os, signal, socketserver, threading, time
WITH = 'liblastcall' in os.environ.get('LD_PRELOAD', '')
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    body = b'x' * 64
    log_message = lambda *a: None
    def do_GET(self):
        body = self.answer() if hasattr(self, 'answer') else self.body
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 100
    daemon_threads = True
%s
Server(('127.0.0.1', PORT), Handler).serve_forever()
'''


@case
def lost_with_us():
    """A server that goes wrong with us only: the exit status is 1, and the losses are told."""
    broken = 'count = iter(range(10**9))\nHandler.answer = lambda self: b"y" * 64 if WITH and next(count) == 40 else b"x" * 64'
    port = harness.free_port()
    run = script(port, PROGRAM % broken, '--json', '--scenario', 'hammer')
    says(run, 1, r'hammer, with lastcall: client \d+, request \d+: bad, a body of other bytes')
    found = answers(run)
    check((found['verdict'], found['lost_with']) == ('lost', 1), f'{found}')


@case
def never_ends_with_us():
    port = harness.free_port()
    run = script(port, PROGRAM % 'if WITH: signal.signal(15, signal.SIG_IGN)', '--scenario', 'hammer', '--grace', '1s', env=SHORT)
    says(run, 1, r'hammer, with lastcall: .* did not end within 5 s of TERM and was killed')
    check('never' in run.stdout and 'with it 0 of' in run.stdout, f'our kill has cost a request: {run.stdout}')
    nobody_left(f'PORT = {port}')


@case
def refuses_term():
    port = harness.free_port()
    run = script(port, PROGRAM % 'signal.signal(15, lambda *a: None)', '--scenario', 'hammer', '--grace', '1s', env=SHORT)
    says(run, 2, 'does not end on TERM, without lastcall or with it: killed after 5 s each')
    nobody_left(f'PORT = {port}')


def changing_bodies():  # in rehearse_matrix.py
    """Are tolerated, and that is said."""
    port = harness.free_port()
    run = script(port, PROGRAM % 'Handler.answer = lambda self: os.urandom(8).hex().encode()', '--scenario', 'hammer')
    check(run.returncode == 0 and 'A body changes' in run.stdout and 'with it 0 of' in run.stdout, f'{run}')


# ---- bad input --------------------------------------------------------------------------------------------

@case
def usage():
    for words, pattern in (
            ([], 'no command: .*after --'),
            (['--'], 'no command'),
            (['--clients', '0', '--', 'true'], "--clients '0' is no number from 1 to 10000"),
            (['--clients', '3x', '--', 'true'], "--clients '3x' is no number"),
            (['--clients', '10001', '--', 'true'], "--clients '10001' is no number"),
            (['--scenario', 'hamster', '--', 'true'], "--scenario 'hamster' names 'hamster', which is no scenario"),
            (['--scenario', 'hammer,', '--scenario', 'inflight', '--', 'true'], 'scenario inflight needs --slow PATH'),
            (['--slow', 'report', '--', 'true'], "--slow 'report' is no path of the same server"),
            (['--slow', '/a b', '--', 'true'], "--slow '/a b' is no path"),
            (['--ready-timeout', 'soon', '--', 'true'], "--ready-timeout 'soon' is no duration"),
            (['--ready-timeout', '0', '--', 'true'], "--ready-timeout '0' is no duration"),
            (['--grace', '-1s', '--', 'true'], "--grace '-1s' is no duration"),
            (['--url', 'http://example.org/', '--', 'true'], "'http://example.org/' has a host .*: a static program resolves no names"),
            (['--url', 'http://10.0.0.1/', '--', 'true'], "'http://10.0.0.1/' is not on the loopback .* loads no other machine"),
            (['--url', 'https://127.0.0.1/', '--', 'true'], 'is https, which the load client does not speak'),
            (['--url', '8080', '--', 'true'], "'8080' is no URL of the form"),
            (['--preload'], "'--preload' wants a value"),
            (['--url'], "'--url' wants a value"),
            (['--quickly', '--', 'true'], "no option '--quickly'"),
            (['--json=1', '--', 'true'], "'--json=1': this option takes no value"),
            (['--clie', '3', '--', 'true'], "no option '--clie'")):
        says(rehearse(*words), 2, pattern)
        says(rehearse(*words), 2, r'usage: lastcall rehearse \[options\] -- COMMAND')


@case
def cannot_be_executed():
    says(rehearse('--', '/no/such/server'), 127, '/no/such/server: not found')
    says(rehearse('--', 'no-such-server'), 127, 'no-such-server: not found')
    with directory() as d:
        with open(f'{d}/server', 'w') as f:
            f.write('#!/bin/sh\n')
        says(rehearse('--', f'{d}/server'), 126, r'server: cannot be started: Permission denied')
    says(rehearse('--', '/'), 126, '/: cannot be started')


@case
def ends_early():
    run = rehearse('--', 'sh', '-c', 'echo first; echo the database is away >&2; exit 3')
    says(run, 2, r'sh ended with 3 before it served\nits last output:\nfirst\nthe database is away\n')
    says(rehearse('--', 'sh', '-c', 'kill -9 $$'), 2, r'sh ended with 137 before it served\nit wrote nothing')
    only_with = 'import os\nif WITH: exit(9)'
    says(script(harness.free_port(), PROGRAM % only_with, '--scenario', 'hammer'), 2, 'ended with 9 before it served with lastcall')
    under_load = 'Handler.answer = lambda self: next(count) > 99 and os._exit(5) or b"x"\ncount = iter(range(10**9))'
    run = script(harness.free_port(), PROGRAM % under_load, '--scenario', 'hammer')
    says(run, 2, 'hammer, without lastcall: .* ended with 5 under load, before any signal')
    run = script(harness.free_port(), PROGRAM % ('if WITH: ' + under_load.replace('\n', '\nif WITH: ')), '--scenario', 'hammer')
    says(run, 1, 'hammer, with lastcall: .* ended with 5 under load, before any signal')


@contextlib.contextmanager
def listening():
    with socket.create_server(('127.0.0.1', harness.free_port())) as s:
        yield s.getsockname()[1]


@case
def port_in_use():
    with listening() as port:
        says(rehearse('--', *SMALL_SERVER, port), 2, r'python3 ended with 1 before it served: its port is in use\nits last output:')
        says(rehearse('--url', f'http://127.0.0.1:{port}/', '--', *SMALL_SERVER, port), 2,
             f'port in use: somebody else listens on 127.0.0.1:{port} already')


@case
def never_ready():
    """Of a program that starts, so much later, what it does instead is said."""
    now, soon = ('--ready-timeout', '700ms'), ('--ready-timeout', '10s')
    url = f'http://127.0.0.1:{harness.free_port()}/'
    says(rehearse(*now, '--', 'sleep', '600.125'), 2, r'sleep listens nowhere that can be seen after 0.7 s .*: name its --url')
    says(rehearse(*now, '--url', url, '--', 'sleep', '600.125'), 2, f'not become ready within 0.7 s .*{url}: nobody listens there')
    silent = 'import socket, time\nlistener = socket.create_server(("127.0.0.1", PORT))\n'

    def says_of(program, pattern):
        port = harness.free_port()
        says(script(port, program, *soon), 2, pattern)
        nobody_left(f'PORT = {port}')
    with ThreadPoolExecutor() as pool:
        list(pool.map(says_of, *zip(
            (silent + 'time.sleep(600)', 'not become ready .*it takes connections and does not answer'),
            (silent + 'while True: listener.accept()', 'the connection ends without a whole answer'),
            (silent + 'while True:\n c = listener.accept()[0]; c.recv(9999); c.sendall(b"SSH-2.0-x\\r\\n"); c.close()',
             'what it answers is not HTTP/1'),
            (PROGRAM % 'Handler.do_GET = lambda self: self.send_error(503)', 'not become ready .*: status 503'))))
    nobody_left('600.125')


def becomes_ready_late():  # in rehearse_matrix.py
    late = 'time.sleep(0.5)\nsince = time.time()\nHandler.do_GET = (lambda get: lambda self: get(self) if time.time() > since + 0.5 ' \
        'else self.send_error(503))(Handler.do_GET)'
    run = script(harness.free_port(), PROGRAM % late, '--scenario', 'backlog')
    check(run.returncode == 0, f'{run}')


@case
def bad_pages():
    port = harness.free_port()
    small = ['--', *SMALL_SERVER, port]
    url = f'http://127.0.0.1:{port}'
    says(rehearse('--url', f'{url}/nothing', *small), 2, f'{url}/nothing answers 404: name a page that it serves with --url')
    says(rehearse('--slow', '/nothing', *small), 2, f'{url}/nothing answers 404: name a page that it serves with --slow')
    other = 'Handler.do_GET = (lambda get: lambda self: get(self) if next(count) == 0 else self.send_error(302))(Handler.do_GET)\n' \
        'count = iter(range(10**9))'
    says(script(port, PROGRAM % other), 2, 'GET / is answered 200, then 302')
    nobody_left(port)


@case
def which_listener():
    port, more = harness.free_port(), harness.free_port()
    two = PROGRAM % f'import socket\nsecond = socket.create_server(("127.0.0.1", {more}))\ntime.sleep(0.5)'
    says(script(port, two), 2, rf'listens in 2 places \((127.0.0.1:({port}|{more})(, )?){{2}}\): say which with --url')
    run = script(port, two, '--url', f'http://127.0.0.1:{port}/', '--scenario', 'backlog')
    check(run.returncode == 0, f'{run}')
    anywhere = (PROGRAM % '').replace("('127.0.0.1', PORT)", "('0.0.0.0', PORT)")
    found = answers(script(port, anywhere, '--json', '--scenario', 'backlog'))
    check(found['url'] == f'http://127.0.0.1:{port}/', f'{found}')


@case
def daemons():
    """A server that puts itself into the background cannot be waited for, and is ended all the same."""
    port = harness.free_port()
    with directory() as d:
        command, env = server('nginx-daemon', d, port)
        says(rehearse('--', *command, env=env), 2, 'nginx put itself into the background .*: start it in the foreground')
        nobody_left(d)


@case
def from_outside():
    """A program where no object can live is drained externally, and that is said."""
    with directory() as d:
        sources = [f'{ROOT}/tests/e2e/servers/{name}.c' for name in ('thread', 'http')]
        subprocess.run(['cc', '-static', '-D_GNU_SOURCE', '-pthread', '-o', f'{d}/static', *sources], check=True)
        run = rehearse('--scenario', 'backlog,inflight', '--slow', '/sleep?ms=300', '--', f'{d}/static', harness.free_port(), '127.0.0.1')
    check(run.returncode == 0 and 'Without lastcall 28 of 28 requests were lost; with it 0 of 28.' in run.stdout, f'{run}')
    check('It was drained externally' in run.stdout, f'{run}')


@case
def no_report():
    """Where lastcall has done nothing, nothing is claimed for it."""
    run = rehearse('--scenario', 'backlog', '--', *SMALL_SERVER, harness.free_port(), env={**os.environ, 'LASTCALL_DISABLE': '1'})
    says(run, 2, r'(?s)ended with 143 without a report of lastcall, .*everything passes through.*LASTCALL_DISABLE=1')


@case
def other_object():
    """--preload goes to `lastcall run`, which says what is wrong with it."""
    port = harness.free_port()
    run = rehearse('--scenario', 'backlog', '--preload', '/no/such.so', '--', *SMALL_SERVER, port)
    says(run, 2, r'(?s)ended with 2 before it served with lastcall\nits last output:\nlastcall: .*/no/such.so')
    with directory() as d:
        os.symlink(f'{cases.build}/liblastcall.so', f'{d}/liblastcall.so')
        check(rehearse('--scenario', 'backlog', '--preload', f'{d}/liblastcall.so', '--', *SMALL_SERVER, port).returncode == 0, 'by link')


@case
def environment_is_kept():
    """Working directory, environment and an object that is preloaded already; ours is not there twice, and not at all
    on the bare side."""
    with directory() as d:
        told = f'open("{d}/" + ("with" if WITH else "without"), "w").write("|".join((os.getcwd(), os.environ["HELLO"], ' \
            'os.environ["LD_PRELOAD"], str(os.getsid(0) == os.getpid()))))'
        env = {**os.environ, 'HELLO': 'kept', 'LD_PRELOAD': f'{cases.build}/liblastcall.so:/lib/x86_64-linux-gnu/libc.so.6'}
        run = script(harness.free_port(), PROGRAM % told, '--scenario', 'backlog', env=env, cwd=d)
        check(run.returncode == 0, f'{run}')
        said = {}
        for side in ('without', 'with'):
            with open(f'{d}/{side}') as f:
                said[side] = f.read().split('|')
    check(said['without'] == [d, 'kept', '/lib/x86_64-linux-gnu/libc.so.6', 'True'], f'{said}')
    check(said['with'][2] == f'{cases.build}/liblastcall.so:/lib/x86_64-linux-gnu/libc.so.6', f'{said}')


# ---- at a terminal ----------------------------------------------------------------------------------------

class Terminal:
    """lastcall rehearse with a terminal as its standard error."""

    def __init__(self, *words, env=None):
        self.master, end = pty.openpty()
        self.child = subprocess.Popen([f'{cases.build}/lastcall', 'rehearse', *map(str, words)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=end, text=True, env=env)
        os.close(end)
        self.text = ''

    def read(self):
        """What there is; '' when it has ended."""
        if not select.select([self.master], [], [], cases.BOUND)[0]:
            return ''
        try:
            more = os.read(self.master, 65536).decode()
        except OSError:
            more = ''
        self.text += more
        return more

    def until(self, pattern):
        while not re.search(pattern, self.text):
            check(self.read(), f'it ended with {self.text!r}, without {pattern!r}')

    def end(self):
        while self.read():
            pass
        out = self.child.stdout.read()
        os.close(self.master)
        return self.child.wait(), out


@case
def progress_bar():
    t = Terminal('--scenario', 'hammer,backlog', '--', *SMALL_SERVER, harness.free_port())
    status, out = t.end()
    check(status == 0 and 'Without lastcall' in out and '[' not in out, f'{status} {out}')
    frames = [f for f in t.text.split('\r') if f.startswith('[')]
    check(len(frames) >= 8, f'{len(frames)} frames: {t.text!r}')
    for frame in frames:
        check(re.match(r'\[=*>? *\] (hammer|backlog), with(out)? lastcall: (starting|loading|TERM sent), \d+ served, \d+\.\d s\x1b\[K', frame),
              f'{frame!r}')
        check(len(frame) <= 83, f'{frame!r} is wider than the terminal')
    lengths = [f.index(']') and f.count('=') for f in frames]
    check(lengths == sorted(lengths) and lengths[-1] > lengths[0], f'it goes back: {lengths}')
    check(t.text.endswith('\r\x1b[K'), f'the bar stays: {t.text[-40:]!r}')


@case
def interrupted():
    """^C, at each of the stages: all processes are ended, the status is that of the signal."""
    with directory() as d:
        for stage, number in (('starting', signal.SIGINT), ('loading', signal.SIGTERM), ('TERM sent', signal.SIGHUP)):
            port = harness.free_port()
            slow_start = 'time.sleep(600)' if stage == 'starting' else ''
            linger = f'os.system("setsid sleep {port}.125 &"); signal.signal(15, lambda *a: None)'  # another session, and ignores TERM
            program = PROGRAM % f'{linger}\n{slow_start}'
            env = {**os.environ, 'TMPDIR': d}
            t = Terminal('--scenario', 'think', '--', PYTHON, '-c', f'PORT = {port}\n{program}', env=env)
            t.until(f'without lastcall: {stage}')
            t.child.send_signal(number)
            status, out = t.end()
            check((status, out) == (128 + number, ''), f'{stage}: {status} {out!r} {t.text!r}')
            check('interrupted; ' in t.text, f'{t.text!r}')
            nobody_left(port)
        check(not os.listdir(d), f'files are left: {os.listdir(d)}')


@case
def killed():
    """If it is killed itself, the process that it has started goes with it."""
    port = harness.free_port()
    t = Terminal('--scenario', 'think', '--', *SMALL_SERVER, port)
    t.until('loading')
    t.child.kill()
    t.end()
    nobody_left(port)


@case
def scenarios_in_help():
    """--help describes those of the table, and each is a scenario of tests/e2e."""
    sys.path.insert(0, f'{ROOT}/tests/e2e')
    import scenarios
    with open(f'{ROOT}/shim/launcher/rehearse/scenarios.c') as f:
        table = re.findall(r'\.name = "(\w+)"', f.read())
    text = rehearse('--help').stdout
    check(re.findall(r'^  ([a-z]+)  +\S', text, re.M) == table, f'{table}: {text}')
    check(set(table) <= set(scenarios.SCENARIOS), f'{table}')


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main()
