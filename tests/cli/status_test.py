#!/usr/bin/python3
"""lastcall status: on real servers before, during and after the signal; what it refuses; and what it makes of memory that
somebody else has prepared."""
import contextlib
import fcntl
import itertools
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from types import SimpleNamespace

import cases
import harness
import netns
import procfs
import servers
from cases import case, check, directory, lastcall, says, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families

SOMEBODY, LONELY = 64320, 64321  # a user who has a server, and one who has none
KINDS = {'in_flight', 'idle', 'opaque', 'closing', 'half_closed', 'lingering', 'inherited'}


@contextlib.contextmanager
def serving(name, kind=harness.Test, build=None, prefix=(), **env):
    t = kind(servers.SERVERS[name], SimpleNamespace(build=build or cases.build, bare=False, env={}))
    try:
        t.prefix = [*t.prefix, *prefix]
        t.start(**env)
        yield t
    finally:
        t.close()


def request(path):
    return f'GET {path} HTTP/1.1\r\nHost: a\r\n\r\n'.encode()


HALF, REST = b'00000', b'00000'  # the servers' pattern begins so
UPLOAD = b'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n' + HALF


def finish(asked):
    """The other half of a request that has been in flight for as long as it was wanted."""
    asked.send(REST)
    check(asked.response().status == 200, 'the request was lost')


@contextlib.contextmanager
def clients(t, idle=2, in_flight=1):
    """Connections that have had one response, and others that have sent half of a request."""
    with contextlib.ExitStack() as stack:
        for _ in range(idle):
            w = stack.enter_context(t.wire())
            w.send(request('/'))
            w.response()
        asked = [stack.enter_context(t.wire()) for _ in range(in_flight)]
        for w in asked:
            w.send(UPLOAD)
        until('the requests are seen', lambda: group(t)['connections']['in_flight'] == in_flight)
        yield asked


def status(*words):
    run = lastcall('status', *words)
    check(run.returncode == 0 and not run.stderr, f'status {words}: {run}')
    return run.stdout


def pid_of(t):
    return t.target_process.pid


def read_json(*words):
    found = json.loads(status('--json', *words))
    has_shape(found, SHAPE)
    return found


def group(t):
    groups = read_json(pid_of(t))['groups']
    check(len(groups) == 1, f'{len(groups)} groups')
    return groups[0]


# ---- what the JSON looks like ------------------------------------------------------------------------------------------

MAYBE = type(None)
COUNTS = dict.fromkeys(('in_flight', 'served_after_signal', 'idle_closed', 'close_sent', 'late_data', 'aborted', 'unread_bytes', 'opaque',
                        'untracked'), int)
CONNECTIONS = dict.fromkeys(KINDS, int)
DRAIN = {'signal': (str, MAYBE), 'since_us': (int, MAYBE), 'timeout_us': (int, MAYBE), 'left_us': (int, MAYBE), 'counts': COUNTS}
PROCESS = {'pid': int, 'name': (str, MAYBE), 'state': str, 'master': bool, 'deferred': (str, MAYBE),
           'term_handler': (str, MAYBE), 'connections': (CONNECTIONS, MAYBE), 'unseen': (str, MAYBE), 'drain': (DRAIN, MAYBE)}
REQUEST = {'pid': int, 'fd': int, 'method': (str, MAYBE), 'peer': (str, MAYBE), 'age_us': (int, MAYBE), 'request_bytes': int,
           'response_bytes': int, 'from_before': bool}
LEFT_ALONE = {'listener': str, 'because': str}
GROUP = {'pid': int, 'state': str, 'listeners': [str], 'left_alone': [LEFT_ALONE], 'connections': CONNECTIONS, 'drain': (DRAIN, MAYBE), 'processes': [PROCESS],
         'in_flight': [REQUEST], 'in_flight_left_out': bool}
SHAPE = {'version': str, 'time_ms': int, 'hidden': int, 'groups': [GROUP], 'unreadable': [{'pid': int, 'problem': str}]}


def fits(value, shape):
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and value.keys() == shape.keys() and all(fits(value[k], shape[k]) for k in shape)
    return type(value) is shape  # True is no number


def has_shape(value, shape):
    check(fits(value, shape), f'not the schema: {value}')


# ---- before, during, after -----------------------------------------------------------------------------------------------

def before(t, processes):
    g = group(t)
    check(g['state'] == 'serving' and g['drain'] is None, f'before: {g}')
    check(len(g['processes']) == processes and g['processes'][0]['pid'] == pid_of(t) and g['processes'][0]['master'],
          f'processes: {g["processes"]}')
    check({k: v for k, v in g['connections'].items() if v} == {'in_flight': 1, 'idle': 2}, f'connections: {g["connections"]}')
    check(g['listeners'] == [t.address], f'listeners: {g["listeners"]}, not {t.address}')
    r, = g['in_flight']
    check(r['method'] == 'POST' and r['peer'].startswith('127.0.0.1:') and r['request_bytes'] == len(UPLOAD), f'request: {r}')
    check(r['age_us'] is not None, f'no age: {r}')
    until('it grows older', lambda: group(t)['in_flight'][0]['age_us'] >= r['age_us'] + 150_000)
    text = status(pid_of(t))
    check('; serving' in text and ' POST ' in text and 'deferred' not in text, text)


def during(t):
    g = until('it drains', lambda: (found := group(t))['state'] not in ('serving', 'lame_duck', 'stopping_accept') and found)
    first = g['processes'][0]
    check(first['deferred'] == 'TERM' and g['drain']['signal'] == 'TERM', f'deferred: {first}')
    check(g['connections']['in_flight'] == 1, f'connections: {g}')
    check(0 < g['drain']['left_us'] < 25_000_000 == g['drain']['timeout_us'], f'left: {g["drain"]}')
    check(abs(g['drain']['left_us'] + g['drain']['since_us'] - 25_000_000) <= 1, f'the sum: {g["drain"]}')
    r, = g['in_flight']
    check(r['from_before'], f'request: {r}')
    text = status(pid_of(t))
    check(re.search(r'TERM is deferred.*\n  \[#+\.*\] [\d.]+m?s of 25s left', text), text)


def all_three(name, processes):
    with serving(name) as t, clients(t) as (asked,):
        before(t, processes)
        t.term()
        during(t)
        finish(asked)
        t.exits()
        says(lastcall('status', pid_of(t)), 1, r'^lastcall: (process \d+ has ended|there is no process \d+)\n$')
        check(lastcall('status', '--json', pid_of(t)).stdout == '', 'it is gone, and yet shown')


@case
def nginx():
    all_three('nginx-2', 3)


@case
def gunicorn():
    all_three('gunicorn-gthread', 3)


@case
def epoll():
    all_three('epoll', 1)


LISTENERS = r'''
import os, signal, socket, sys
if sys.argv[1] == 'own': signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
web, text = socket.create_server(('127.0.0.1', 0)), socket.create_server(('127.0.0.1', 0))
path = socket.socket(socket.AF_UNIX)
path.bind(sys.argv[2])
path.listen()
print(web.getsockname()[1], text.getsockname()[1], flush=True)
for listener, answer in ((web, b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), (text, b'+PONG\r\n')):
    client, _ = listener.accept()
    client.recv(999)
    client.sendall(answer)
sys.stdin.readline()
'''


def ask(port, what):
    with socket.create_connection(('127.0.0.1', port), cases.BOUND) as client:
        client.sendall(what)
        check(client.recv(99), 'no answer')


def left_alone(own, names_path):
    """What status says of a process with listeners for HTTP, for something else, and for a path."""
    with directory() as d:
        env = cases.clean(LD_PRELOAD=f'{cases.build}/liblastcall.so', LASTCALL_LISTEN=f'unix:{d}/path' if names_path else '')
        argv = ['/usr/bin/python3', '-c', LISTENERS, 'own' if own else 'none', f'{d}/path']
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as server:
            web, text = map(int, server.stdout.readline().split())
            ask(web, request('/'))
            ask(text, b'PING\r\n')
            found, = until('it has read both', lambda: (of := read_json(server.pid)['groups'])[0]['left_alone'] and of)
            page = status(server.pid)
            server.stdin.close()
    alone = {one['listener']: one['because'] for one in found['left_alone']}
    check(all(f'  {who} is left alone: {why}\n' in page for who, why in alone.items()), page)
    check((f'{server.pid} has a handler of its own for TERM' in page) == own, page)
    check(found['processes'][0]['term_handler'] == ('own' if own else 'default'), f'{found}')
    return alone, f'127.0.0.1:{web}', f'127.0.0.1:{text}', f'unix:{d}/path'


IGNORES = """import signal, socket
server = socket.create_server(('127.0.0.1', 0))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
input()"""


@case
def an_ignored_signal_is_not_the_only_one():
    env = cases.clean(LD_PRELOAD=f'{cases.build}/liblastcall.so', LASTCALL_SIGNALS='TERM,QUIT')
    with subprocess.Popen(['/usr/bin/python3', '-c', IGNORES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
                          text=True) as server:
        server.stdout.readline()
        page = status(server.pid)
        server.stdin.write('\n')
    check(f'{server.pid} ignores TERM: it is not drained by it\n' in page, page)


@case
def what_is_left_alone_is_named():
    alone, _, text, path = left_alone(True, False)
    check(alone == {text: 'what is spoken there is not HTTP', path[:63]: 'no HTTP was spoken there yet'}, f'{alone}')


@case
def what_lastcall_listen_leaves_out_is_named():
    alone, web, text, _ = left_alone(False, True)
    check(alone == dict.fromkeys((web, text), 'LASTCALL_LISTEN names others'), f'{alone}')


@case
def one_worker_alone():
    """Its drain is its own; who is killed is gone from the list."""
    with serving('nginx-2', LASTCALL_TIMEOUT='60s') as t, clients(t, idle=0):
        worker = group(t)['in_flight'][0]['pid']
        os.kill(worker, signal.SIGTERM)
        g = until('the worker drains', lambda: (found := group(t))['drain'] and found)
        check(g['state'] == 'serving' and g['drain']['timeout_us'] == 60_000_000, f'{g}')
        check([p['pid'] for p in g['processes'] if p['deferred']] == [worker], f'deferred: {g["processes"]}')
        check(f'{worker} drains alone' in status(worker), 'not said that it drains alone')
        os.kill(worker, signal.SIGKILL)
        until('it is gone', lambda: worker not in [p['pid'] for p in group(t)['processes']])


@case
def no_deadline_and_opaque():
    with serving('epoll', LASTCALL_TIMEOUT='0', LASTCALL_IDLE='30s') as t, clients(t, idle=0), t.wire() as strange:
        strange.send(b'\x16\x03\x01 this is no HTTP')
        until('it is opaque', lambda: group(t)['connections']['opaque'] == 1)
        t.term()
        g = until('it drains', lambda: (found := group(t))['drain'] and found)
        check(g['drain']['left_us'] is None and g['drain']['timeout_us'] is None, f'{g["drain"]}')
        check('  no deadline\n' in status(pid_of(t)), 'not said that there is no deadline')


@case
def unix():
    with serving('epoll-unix') as t, clients(t):
        g = group(t)
        check(g['connections']['idle'] == 2 and g['in_flight'][0]['peer'] is None, f'{g}')


@case
def many_connections():
    with serving('epoll') as t, contextlib.ExitStack() as stack:
        for _ in range(500):
            w = stack.enter_context(t.wire())
            w.send(request('/sleep?ms=600000'))
        until('all are in flight', lambda: group(t)['connections']['in_flight'] == 500)
        begun = time.monotonic()
        g = group(t)
        took = time.monotonic() - begun
        check(len(g['in_flight']) == 500 and all(r['age_us'] is not None and r['peer'] for r in g['in_flight']), 'not all are described')
        check([r['age_us'] for r in g['in_flight']] == sorted((r['age_us'] for r in g['in_flight']), reverse=True), 'not the oldest first')
        check('and 480 more' in status(pid_of(t)), 'the page is not cut')
        return f'500 requests in {took * 1000:.0f} ms'


@case
def in_namespaces():
    """It is numbered 1 where it lives, and its sockets are in another network than ours."""
    with serving('nginx-2', netns.Test, prefix=['unshare', '--pid', '--fork', '--kill-child']) as t:
        inner = int(until('its child', lambda: procfs.children(t.process.pid))[0])
        with t.load('GET /sleep?ms=600000', clients=1, limit=1):
            g = until('it is in flight', lambda: (found := read_json(inner)['groups'])[0]['in_flight'] and found[0])
        check(g['pid'] == inner and len(g['processes']) == 3, f'{g}')
        r = g['in_flight'][0]
        check(r['peer'].startswith(netns.CLIENT_ADDRESS) and r['age_us'] is not None, f'{r}')
        check(g['listeners'] == [t.address], f'{g["listeners"]}')


# ---- OpenMetrics ---------------------------------------------------------------------------------------------------------

def metrics(*words):
    text = status('--openmetrics', *words)
    families = list(text_string_to_metric_families(text))
    check(all(f.name.startswith('lastcall_') for f in families), f'{[f.name for f in families]}')
    return {sample.name: [s for f in families for s in f.samples if s.name == sample.name] for f in families for sample in f.samples}


@case
def openmetrics():
    begun = time.monotonic()
    with serving('nginx-2') as t, clients(t) as _:
        found = metrics(pid_of(t))
        check(len(found['lastcall_process_info']) == 3, f'{found}')
        by_state = {k: sum(s.value for s in found['lastcall_connections'] if s.labels['state'] == k) for k in KINDS}
        check(by_state == group(t)['connections'], f'{by_state}')
        check([s.value for s in found['lastcall_draining']] == [0] and 'lastcall_drain_left_seconds' not in found, f'{found}')
        check(0 < found['lastcall_oldest_request_age_seconds'][0].value < time.monotonic() - begun, f'{found}')
        t.term()
        until('it drains', lambda: group(t)['drain'])
        found = metrics(pid_of(t))
        held, = found['lastcall_signal_deferred']
        check(held.labels == {'group': str(pid_of(t)), 'pid': str(pid_of(t)), 'signal': 'TERM'}, f'{held}')
        left, elapsed = (found[f'lastcall_drain_{name}_seconds'][0].value for name in ('left', 'elapsed'))
        check(0 < left < 25 and abs(left + elapsed - 25) < 0.001, f'{found}')
        check(elapsed < time.monotonic() - t.termed, f'{found}')


@case
def nobody_serves():
    """Nothing to show is no failure: a scraper would keep what was there before."""
    with directory() as d:
        lonely = private_lastcall(d)
        run = as_user(LONELY, lonely, 'status')
        check(run.returncode == 0 and run.stdout.startswith('no process that the caller may see'), f'{run}')
        run = as_user(LONELY, lonely, 'status', '--openmetrics')
        check(run.returncode == 0 and all(not f.samples for f in text_string_to_metric_families(run.stdout)), f'{run}')
        run = as_user(LONELY, lonely, 'status', '--json')
        check(run.returncode == 0 and json.loads(run.stdout)['groups'] == [], f'{run}')


# ---- whose it is ---------------------------------------------------------------------------------------------------------

def private_lastcall(d):
    """A build directory that any user can read."""
    os.chmod(d, 0o755)
    os.makedirs(f'{d}/e2e', exist_ok=True)
    for name in ('lastcall', 'liblastcall.so', 'e2e/epoll'):
        shutil.copy(f'{cases.build}/{name}', f'{d}/{name}')
    return f'{d}/lastcall'


def user(uid):
    return ['setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups']


def as_user(uid, *argv):
    return subprocess.run([*user(uid), *map(str, argv)], capture_output=True, text=True, timeout=cases.BOUND, check=False)


@case
def another_users():
    with directory() as d, serving('epoll') as ours:
        its = private_lastcall(d)
        with serving('epoll', build=d, prefix=user(SOMEBODY), LASTCALL_REPORT='') as theirs:
            run = as_user(SOMEBODY, its, 'status', pid_of(ours))
            says(run, 3, rf'^lastcall: process {pid_of(ours)} belongs to user 0, and the kernel does not let the caller look into it\n$')
            check(run.stdout == '', f'it shows {run.stdout}')
            seen = json.loads(as_user(SOMEBODY, its, 'status', '--json').stdout)
            check([g['pid'] for g in seen['groups']] == [pid_of(theirs)] and seen['hidden'] > 0, f'{seen}')
            check(seen['groups'][0]['processes'][0]['connections'] is not None, f'{seen}')
            everything = {g['pid'] for g in read_json()['groups']}
            check({pid_of(ours), pid_of(theirs)} <= everything, f'root sees only {everything}')


# A file that may not be opened lies over the process's memory, as Yama would have it.
OVER_MEMORY = 'mount --bind "$1" "/proc/$2/mem" && shift 2 && exec "$@"'


@case
def memory_is_refused():
    """The table still tells what the drain has published."""
    with directory() as d:
        its = private_lastcall(d)
        with open(f'{d}/nothing', 'w') as f:
            os.fchmod(f.fileno(), 0)
        with serving('epoll', build=d, prefix=user(SOMEBODY), LASTCALL_REPORT='') as t, clients(t):
            def look(*words):
                return subprocess.run(['unshare', '--mount', '/bin/sh', '-c', OVER_MEMORY, 'sh', f'{d}/nothing', str(pid_of(t)),
                                       *user(SOMEBODY), its, 'status', *words, str(pid_of(t))], capture_output=True, text=True,
                                      timeout=cases.BOUND, check=False)
            p = json.loads(look('--json').stdout)['groups'][0]['processes'][0]
            check(p['connections'] is None and 'the kernel lets the caller read its table only' in p['unseen'], f'{p}')
            t.term()
            until('it drains', lambda: group(t)['state'] == 'draining')
            text = look().stdout
            check(re.search(r'draining +TERM +[\d.]+m?s +1 +\? +\?', text) and 'table only' in text, text)
            seen = [f for f in text_string_to_metric_families(look('--openmetrics').stdout) if f.name == 'lastcall_connections_seen']
            check([s.value for s in seen[0].samples] == [0], f'{seen}')


@case
def workers_of_another_user():
    """Root in a container may look into its master, but not into the workers, who have changed their user."""
    less = ['setpriv', '--bounding-set', '-sys_ptrace']
    with serving('nginx-2', prefix=less) as t, clients(t):
        def look():
            run = subprocess.run([*less, f'{cases.build}/lastcall', 'status', '--json', str(pid_of(t))], capture_output=True, text=True,
                                 timeout=cases.BOUND, check=True)
            return json.loads(run.stdout)['groups'][0]['processes']
        found = look()
        check([p['pid'] for p in found] == [p['pid'] for p in group(t)['processes']], f'{found}')
        check([p['connections'] is None for p in found] == [False, True, True], f'{found}')
        t.term()
        until('the workers drain', lambda: [p['state'] for p in look()][1:].count('draining') == 1)


# ---- who is not under us -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def running(argv, **how):
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **how)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()


@case
def not_served():
    with running(['cat']) as child:
        says(lastcall('status', child.pid), 1, rf'^lastcall: process {child.pid} is not under lastcall\n$')
    with running(['cat'], env={**os.environ, 'LD_PRELOAD': f'{cases.build}/liblastcall.so'}) as child:
        until('it is loaded', lambda: 'liblastcall' in open(f'/proc/{child.pid}/maps').read())
        says(lastcall('status', child.pid), 1, rf'^lastcall: process {child.pid} is under lastcall, but does not serve\n$')
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        says(lastcall('status', child.pid), 1, 'has ended')  # nobody has waited for it yet
    says(lastcall('status', 4194304 + 7), 1, 'there is no process 4194311')


@case
def the_launcher():
    """It is no member of the group that it has made, but what one asks for in a container is process 1."""
    with serving('epoll', prefix=[f'{cases.build}/lastcall', 'run', '--']) as t, clients(t):
        g, = read_json(t.process.pid)['groups']
        check([p['name'] for p in g['processes']] == ['epoll'] and g['connections']['in_flight'] == 1, f'{g}')
    with running([f'{cases.build}/lastcall', 'run', '--', 'cat']) as child:
        until('it has its group', lambda: ' /memfd:lastcall' in open(f'/proc/{child.pid}/maps').read())
        says(lastcall('status', child.pid), 1, rf'^lastcall: process {child.pid} has a group in which nobody is seen to serve\n$')


@case
def with_a_history():
    """Its memory is larger then."""
    with serving('epoll', LASTCALL_REPORT_CONNECTIONS='1') as t, clients(t):
        check(group(t)['connections']['idle'] == 2, 'it is not read')


@case
def threads():
    with serving('gunicorn-gthread') as t, clients(t):
        worker = group(t)['in_flight'][0]['pid']
        thread = next(int(tid) for tid in os.listdir(f'/proc/{worker}/task') if int(tid) != worker)
        check(read_json(thread)['groups'][0]['pid'] == pid_of(t), 'a thread is not known')


@case
def usage():
    for words, why in ((('abc',), "'abc' is no process id"), (('0',), "'0' is no process id"), (('12x',), "'12x' is no process id"),
                       (('',), "'' is no process id"), (('99999999999999999999',), 'is no process id'), (('-1',), "no option '-1'"),
                       (('--frob',), "no option '--frob'"), (('1', '2'), "one process id, and '2' is another"),
                       (('--json', '--openmetrics'), 'together'), (('--watch', '--openmetrics'), 'together')):
        run = lastcall('status', *words)
        says(run, 2, why)
        check('usage: lastcall status ' in run.stderr and not run.stdout, f'{run}')


# ---- memory of others ------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def foreign_memory(contents):
    fd = os.memfd_create('lastcall')
    try:
        os.write(fd, contents)
        yield
    finally:
        os.close(fd)


def table_of(pid):
    """A group's table as it is, and where in it the process's slot names its view."""
    for fd in os.listdir(f'/proc/{pid}/fd'):
        if procfs.link(f'/proc/{pid}/fd/{fd}') == '/memfd:lastcall (deleted)':
            with open(f'/proc/{pid}/fd/{fd}', 'rb') as f:
                return f.read()
    raise cases.Failure('it has no table')


def view_of(pid, table):
    """The address that its slot names, by what lies there."""
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for address, in struct.iter_unpack('=Q', table[:4096 - 4096 % 8]):
            with contextlib.suppress(OSError, ValueError, OverflowError):
                mem.seek(address)
                if mem.read(8) == b'lc-view\0':
                    return address
    raise cases.Failure('it has no view')


@case
def foreign_memories():
    me = os.getpid()
    header = b'lastcall' + struct.pack('=II', 99, 4096)
    for contents, why in ((b'', 'is no group'), (b'garbage' * 1000, 'is no group'), (b'lastcall', 'is no group'),
                          (header, 'another build'), (header + bytes(1 << 20), 'another build')):
        with foreign_memory(contents):
            run = lastcall('status', me)
            check(run.returncode == 3 and why in run.stdout and run.stdout.count('\n') == 1, f'{contents[:20]}: {run}')
            check(me in [u['pid'] for u in read_json()['unreadable']], 'not listed')
    with serving('epoll') as t:
        table = table_of(pid_of(t))
        for size in (len(table) - 1, 300, 24):
            with foreign_memory(table[:size]):
                run = lastcall('status', me)
                check(run.returncode == 3 and ('not all of it' in run.stdout or 'no group' in run.stdout), f'{size}: {run}')
        with foreign_memory(table + b'x'):
            check('not all of it' in lastcall('status', me).stdout, 'too long')


def rename(name):
    """This process, whichever of its threads we are."""
    with open('/proc/self/comm', 'wb') as f:
        f.write(name)


@case
def hostile_tables():
    """A real table with other numbers in it, held by a process whose name is a command to a terminal."""
    me, rng = os.getpid(), random.Random(1)
    with open('/proc/self/comm', 'rb') as f:
        name = f.read()
    with serving('epoll') as t, clients(t):
        table = table_of(pid_of(t))
        numbered = table.replace(struct.pack('=i', pid_of(t)), struct.pack('=i', me))
        check(numbered != table, 'the slot has no number')
        rename(b'\x1b[2J\x07"\\\xff')
        try:
            shown = 0
            for _ in range(20):
                mutated = bytearray(numbered)
                for _ in range(rng.randrange(1, 24)):
                    at = rng.randrange(16, 700) & ~7
                    mutated[at:at + 8] = rng.choice((rng.randbytes(8), b'\xff' * 8, bytes(8), mutated[at:at + 8]))
                with foreign_memory(mutated):
                    for words in ((), ('--json',), ('--openmetrics',)):
                        run = lastcall('status', *words)
                        check(run.returncode == 0 and not run.stderr and re.fullmatch(r'[ -~\n]*', run.stdout), f'{run}')
                        shown += '\\x1b[2J' in run.stdout
            check(shown > 0, 'none was shown')
        finally:
            rename(name.strip())
        with foreign_memory(numbered):
            g = next(g for g in read_json()['groups'] if g['pid'] == me)
            check('has not said where they are' in g['processes'][0]['unseen'], f'{g}')


@case
def another_build():
    """The number of its layout is not ours: nothing of its memory is believed."""
    with serving('epoll') as t, clients(t):
        address = view_of(pid_of(t), table_of(pid_of(t)))
        with open(f'/proc/{pid_of(t)}/mem', 'r+b', buffering=0) as mem:
            mem.seek(address + 16)
            layout = mem.read(8)
            mem.seek(address + 16)
            mem.write(bytes(b ^ 0x55 for b in layout))
        p = read_json(pid_of(t))['groups'][0]['processes'][0]
        check(p['connections'] is None and 'another build of lastcall' in p['unseen'], f'{p}')


# ---- what it costs, and when it comes at the wrong time --------------------------------------------------------------------

def switches(pid):
    with open(f'/proc/{pid}/status') as f:
        return re.findall(r'ctxt_switches:\t(\d+)', f.read())


@case
def the_server_sleeps_on():
    """Looked at 30 times, it has not been woken once."""
    with serving('epoll') as t, clients(t, in_flight=0):
        until('it sleeps', lambda: procfs.thread_states(pid_of(t)) == {'S'})
        before_it = switches(pid_of(t))
        for _ in range(30):
            group(t)
        check(switches(pid_of(t)) == before_it, f'switches: {before_it}, then {switches(pid_of(t))}')


@case
def ends_while_it_is_read():
    """Servers come and go, and status always has an answer."""
    found, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            found.append(lastcall('status', '--json'))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        with directory() as d:
            for i in itertools.count():
                if i >= 25 and len(found) > 10:
                    break
                port = harness.free_port()
                child = harness.Process([f'{cases.build}/e2e/epoll', str(port)],
                                        {**os.environ, 'LD_PRELOAD': f'{cases.build}/liblastcall.so'}, f'{d}/log')
                time.sleep(random.random() * 0.02)
                child.kill(signal.SIGKILL if i % 2 else signal.SIGTERM)
                child.close()
    finally:
        stop.set()
        looker.join()
    bad = [run for run in found if run.returncode or run.stderr or not fits(json.loads(run.stdout), SHAPE)]
    check(not bad, f'{len(bad)} of {len(found)}: {bad[:1]}')
    return f'read {len(found)} times'


# ---- watching --------------------------------------------------------------------------------------------------------------

# The session's leader: when that ends, the kernel throws away what is still on its way to the terminal.
LEADER = 'trap : INT; "$@"; echo "status=$?"; read -r stay'


class Terminal:
    """A pty, and lastcall on it."""

    def __init__(self, *words, columns=100, rows=40):
        self.text = ''
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack('=HHHH', rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        argv = ['/bin/sh', '-c', LEADER, 'sh', f'{cases.build}/lastcall', 'status', '--watch', *map(str, words)]
        self.leader = subprocess.Popen(argv, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True,
                                       preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read(self):
        while select.select([self.ours], [], [], 0.02)[0]:
            self.text += os.read(self.ours, 65536).decode('ascii')
        return self.text

    def type(self, keys):
        os.write(self.ours, keys)

    def kill(self, number):
        found = procfs.children(self.leader.pid)
        check(found, f'it has ended: {self.read()[-300:]!r}')
        os.kill(found[0], number)

    def ends(self, status, last=''):
        """So, and the terminal is as it was."""
        until('it ends', lambda: re.search(r'status=\d+\r\n', self.read()))
        check(re.search(rf'\x1b\[\?25h\x1b\[\?1049l{last}status={status}\r\n', self.text), f'its end: {self.text[-200:]!r}')
        check(termios.tcgetattr(self.theirs) == self.before, 'the terminal is not as it was')

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.leader.kill()
        self.leader.wait()
        os.close(self.ours)
        os.close(self.theirs)


def bars_in(text):
    return [bar.count('#') for bar in re.findall(r'\[([#.]{40})\]', text)]


@case
def watched_on_a_terminal():
    with serving('nginx-2', LASTCALL_TIMEOUT='10s') as t, clients(t) as (asked,), Terminal(pid_of(t), columns=70, rows=12) as terminal:
        until('the page is drawn', lambda: '; serving' in terminal.read())
        t.term()
        until('the bar goes down', lambda: (found := bars_in(terminal.read())) and found[-1] < 32)
        finish(asked)
        t.exits()
        terminal.ends(0, 'lastcall: the group has ended\r\n')
        bars = bars_in(terminal.text)
        check(len(bars) > 2 and bars == sorted(bars, reverse=True) and bars[0] > bars[-1], f'bars: {bars}')
        lines = re.sub(r'\x1b\[\??\d*[A-Za-z]', '', terminal.text).split('\r\n')
        longest = max(lines, key=len)
        check(len(longest) <= 70, f'a line of {len(longest)} columns: {longest!r}')
        pages = terminal.text.split('\x1b[H')[1:-1]
        check(all(page.count('\r\n') < 12 for page in pages), 'a page of too many rows')
        return f'bars {bars[0]} to {bars[-1]} of 40'


@case
def watching_ends_by_a_key():
    with serving('epoll') as t:
        for keys in (b'q', b'\x03'):
            with Terminal(pid_of(t)) as terminal:
                until('the page is drawn', lambda term=terminal: '; serving' in term.read())
                terminal.type(keys)
                terminal.ends(0)
        with Terminal() as terminal:
            until('the page is drawn', lambda: '; serving' in terminal.read())
            terminal.kill(signal.SIGTERM)
            terminal.ends(128 + signal.SIGTERM)


@contextlib.contextmanager
def watching(*words):
    child = subprocess.Popen([f'{cases.build}/lastcall', 'status', '--watch', *map(str, words)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@case
def watched_without_a_terminal():
    with serving('epoll') as t, clients(t) as (asked,), watching(pid_of(t)) as lines, watching('--json', pid_of(t)) as objects:
        first = lines.stdout.readline()
        check(re.fullmatch(rf'lastcall: group pid={pid_of(t)} name="epoll" processes=1 state=serving deferred=none in_flight=1 idle=2 .*\n',
                           first), first)
        has_shape(json.loads(objects.stdout.readline()), SHAPE)
        t.term()
        drains = next((line for line in lines.stdout if 'state=draining' in line), 'not that it drains')
        check('state=draining deferred=TERM in_flight=1' in drains and ' left=' in drains, drains)
        finish(asked)
        t.exits()
        rest = lines.communicate(timeout=cases.BOUND)[0].splitlines()
        check(rest[-1] == 'lastcall: the group has ended' and lines.returncode == 0, f'{rest}')
        check(len(rest) < 12, f'a line without a change: {rest}')
        for line in objects.communicate(timeout=cases.BOUND)[0].splitlines():
            has_shape(json.loads(line), SHAPE)


@case
def watching_nobody():
    with directory() as d:
        run = as_user(LONELY, private_lastcall(d), 'status', '--watch')
        check(run.returncode == 0 and run.stdout.startswith('no process that the caller may see'), f'{run}')
    with running(['cat']) as child:
        says(lastcall('status', '--watch', child.pid), 1, 'is not under lastcall')


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main()
