#!/usr/bin/python3
"""An external drain, by `lastcall run`: what e2e's scenarios do not ask: options, privileges that are missing, listeners that
others hold, programs of several processes, and requests that cross the end of an idle connection."""
import collections
import contextlib
import ctypes
import dataclasses
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time
from types import SimpleNamespace

import cases
import harness
import procfs
import servers
import wire
from bound import NEVER
from cases import case, check, directory, lastcall, says, until

NOBODY = 65534
PLAIN = 'static-thread'
EXACT = f'pattern={servers.SMALL}'
GET = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'


@contextlib.contextmanager
def serving(name=PLAIN, host=None, kind=harness.Test, port=0, **env):
    server = servers.SERVERS[name] if isinstance(name, str) else name
    t = kind(server, SimpleNamespace(build=cases.build, bare=False, env={}), host)
    if port:
        t.port, t.target, t.address = port, (t.host, port), f'{t.host}:{port}'
    try:
        yield t.start(**env)
    finally:
        t.close()


def asleep(t, ms=3000, clients=4):
    """Requests in flight, and TERM."""
    load = t.load(f'GET /sleep?ms={ms} {EXACT}', clients=clients, limit=1, ready_sent=clients)
    load.wait_ready()
    t.let_read()
    t.term()
    return load


ENDLESS = 600_000  # ms: who ends before is not waited for


def ended_well(t, load, in_flight, came=0, **expected):
    """Once in a while the connection by which the suite saw that it serves is not closed yet, and counts too, as may those that
    looked whether it accepts (`came`)."""
    t.no_loss(load)
    t.exits()
    t.drained(mode='external', **expected)
    counted = t.report()['in_flight']
    check(in_flight <= counted <= in_flight + 1 + came, f'{counted} were in flight, not {in_flight} ({came} looked whether it accepts)')


def alone(path, program):
    """A program of its own, to be given an owner and a mode."""
    shutil.copy(f'{cases.build}/e2e/{program}', path)
    return servers.Server('own', lambda build, where, host, port, backend: [path, str(port), host], [], -15, external=True)


# ---- options ----------------------------------------------------------------------------------------------------------

@case
def not_with_exec():
    says(lastcall('run', '--external', '--exec', '--', 'true'), 2, '--external wants a parent')


@case
def a_status_passes_through():
    run = lastcall('run', '--external', '--', 'sh', '-c', 'exit 7')
    check(run.returncode == 7, f'{run}')


@case
def another_signal_is_passed_on():
    with serving(LASTCALL_FORWARD='QUIT') as t:
        load = asleep(t)
        t.no_loss(load)
        t.exits(status=128 + 3)
        t.drained(signal='TERM')


@case
def a_listener_that_is_not_named_is_left_alone():
    with serving(LASTCALL_LISTEN='1') as t:
        load = asleep(t, ENDLESS)
        t.exits()
        check(load.finish()['lost'] == 4, 'somebody was waited for')
        check('nothing to drain externally' in t.read('log'), t.read('log'))


@case
def a_lame_duck_accepts():
    with serving(LASTCALL_DELAY='4s') as t:
        t.term()
        for _ in range(20):
            check(t.get().status == 200, 'it does not serve any more')
        t.wait_door()
        took = t.exits()
        check(took >= 4, f'it ended after {took:.2f} s')
        t.drained()


@case
def quiet_ends_the_lame_duck():
    with serving(LASTCALL_DELAY=NEVER, LASTCALL_DELAY_QUIET='300ms') as t:
        t.term()
        took = t.exits()
        check(took >= 0.3, f'it ended after {took:.2f} s')
        t.drained()


# ---- addresses --------------------------------------------------------------------------------------------------------

@case
def both_families():
    """A listener of [::] that serves IPv4 too; and one of IPv6."""
    for host, target in (('::', '127.0.0.1'), ('::1', '::1')):
        server = dataclasses.replace(servers.SERVERS[PLAIN], family='ipv6')
        with serving(server, host) as t:
            t.target = (target, t.port)
            t.address = f'{target}:{t.port}' if '.' in target else f'[{target}]:{t.port}'
            ended_well(t, asleep(t), in_flight=4, accept_stop='so_bindtoifindex')


# ---- listeners that others hold ---------------------------------------------------------------------------------------

@case
def a_listener_that_somebody_else_holds_is_not_hidden():
    """As by socket activation: we hold it, and go on accepting after the server has ended."""
    with socket.create_server(('127.0.0.1', 0)) as ours, directory() as d:
        env = dict(os.environ, LISTEN_FDS='1', LASTCALL_REPORT=f'{d}/report')
        port = ours.getsockname()[1]

        child = subprocess.Popen(
            [f'{cases.build}/lastcall', 'run', '--', 'sh', '-c', f'export LISTEN_PID=$$; exec {cases.build}/e2e/{PLAIN} {port} 3<&0'],
            env=env, stdin=ours, stderr=subprocess.PIPE)
        try:
            until('it serves', lambda: wire.get(('127.0.0.1', port)).status == 200)
            child.terminate()
            check(child.wait(cases.BOUND) == 143, 'the status')
            with open(f'{d}/report') as f:
                check('"accept_stop":"left_to_others"' in f.read(), 'the report')
            with socket.create_connection(('127.0.0.1', port), cases.BOUND):
                ours.settimeout(cases.BOUND)
                ours.accept()[0].close()
        finally:
            child.kill()
            child.communicate()


@case
def a_port_that_another_program_serves_too_is_not_hidden():
    """Hidden, it would go on to be given its share of the SYNs, and lose them."""
    with serving(REUSEPORT='1') as t:
        other = harness.Process([f'{cases.build}/e2e/{PLAIN}', str(t.port)], dict(os.environ, REUSEPORT='1'), t.path('other'))
        try:
            until('both listen', lambda: procfs.sockets(other.pid) & procfs.listeners(other.pid, t.port))
            t.term()
            t.exits()
            check(t.report()['accept_stop'] == 'left_to_others', f'{t.report()}')
            for _ in range(20):
                check(t.get().status == 200, 'the other one is not reached')
        finally:
            other.close()


# ---- what is missing --------------------------------------------------------------------------------------------------

class Filter(ctypes.Structure):
    _fields_ = [('code', ctypes.c_ushort), ('jt', ctypes.c_ubyte), ('jf', ctypes.c_ubyte), ('k', ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.POINTER(Filter))]


PIDFD_GETFD, SOCKET, EPERM = 438, 41, 1


def refuse(number, first=None):
    """Seccomp, as docker's default profile refuses it: a system call, or only that with this first argument."""
    argument = [] if first is None else [Filter(0x20, 0, 0, 16), Filter(0x15, 0, 1, first)]
    rules = [Filter(0x20, 0, 0, 0), Filter(0x15, 0, 1 + len(argument), number), *argument,
             Filter(0x06, 0, 0, 0x50000 | EPERM), Filter(0x06, 0, 0, 0x7fff0000)]
    code = (Filter * len(rules))(*rules)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(len(rules), code)), 0, 0):
        os._exit(99)


class Restricted(harness.Test):
    """What the launcher is started by, before it."""
    preexec = None

    def launch(self, argv, env):
        return RestrictedProcess(self.launcher(argv), env, self.path('log'), type(self).preexec)


class RestrictedProcess(harness.Process):
    def __init__(self, argv, env, log, preexec):
        with open(log, 'ab') as f:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env, start_new_session=True,
                                          preexec_fn=preexec)
        harness.Target.__init__(self, self.child.pid)
        self.ended = None


class Refused(Restricted):
    preexec = staticmethod(lambda: refuse(PIDFD_GETFD))


CANNOT_TAKE = 'sockets cannot be taken over'


@case
def without_pidfd_getfd_what_is_in_flight_is_waited_for():
    with serving(kind=Refused) as t, t.wire() as idle:
        idle.send(GET)
        idle.response()
        ended_well(t, asleep(t), in_flight=4, accept_stop='none')
        check(t.read('log').count(CANNOT_TAKE) == 1, t.read('log'))


class Blind(Restricted):
    preexec = staticmethod(lambda: refuse(SOCKET, socket.AF_NETLINK))


@case
def without_sock_diag_nothing_is_waited_for():
    with serving(kind=Blind) as t:
        load = asleep(t, ENDLESS)
        t.exits()
        check(load.finish()['lost'] == 4 and 'sockets cannot be seen' in t.read('log'), t.read('log'))


@case
def a_command_that_ends_meanwhile_is_reported():
    """Its sockets are closed one by one, and the launcher may look at any time between."""
    with serving() as t:
        load = asleep(t, ENDLESS, clients=40)
        t.wait_door()
        os.kill(procfs.children(t.process.pid)[0], 9)
        t.exits(status=128 + 9)
        check(load.finish()['lost'] == 40, 'somebody was served')
        report = t.report()
        check(report['end'] == 'exit' and report['aborted'] == len(report['aborts']), f'{report}')
        # One of wait_door's may have waited to be accepted then.
        check(len([c for c in report['aborts'] if 'pid' in c]) == 40, f'{report}')


@case
def a_server_that_dies_behind_a_shell_is_reported():
    """The shell lives, so that the drain goes on, and nothing is in flight any more."""
    server = servers.Server('behind', lambda build, where, host, port, backend: [
        'sh', '-c', f'{build}/e2e/{PLAIN} {port} {host} & wait; read line < {where}/fifo'], [], -15, external=True)
    with serving(server) as t:
        os.mkfifo(t.path('fifo'))
        load = asleep(t, ENDLESS)
        t.wait_door()
        os.kill(procfs.descendants(procfs.children(t.process.pid)[0])[0], 9)
        t.exits()
        check(load.finish()['lost'] == 4, 'somebody was served')
        report = t.report()
        check(report['end'] == 'drained' and report['aborted'] == len(report['aborts']) == 4, f'{report}')


class Nobody(Restricted):
    preexec = staticmethod(lambda: (os.setgid(NOBODY), os.setuid(NOBODY)))

    def __init__(self, *about):
        super().__init__(*about)
        os.chmod(self.dir, 0o777)


@case
def another_user_needs_no_privilege():
    with serving(kind=Nobody) as t, t.wire() as idle:
        idle.send(GET)
        idle.response()
        load = asleep(t)
        idle.end()
        ended_well(t, load, in_flight=4, accept_stop='so_bindtoifindex', idle_closed=1)


@case
def a_setuid_program_of_another_user():
    """Nobody may look into it: sock_diag alone tells."""
    with directory() as d:
        os.chmod(d, 0o755)
        server = alone(f'{d}/server', PLAIN)
        os.chmod(f'{d}/server', 0o4755)
        port = harness.free_port()
        with serving(server, kind=Nobody, port=port, LASTCALL_LISTEN=str(port)) as t:
            pid = procfs.children(t.process.pid)[0]
            with open(f'/proc/{pid}/status') as f:
                check('Uid:\t65534\t0\t0\t0' in f.read(), 'it has not become root')
            ended_well(t, asleep(t), in_flight=4, accept_stop='none')
            check(t.read('log').count(CANNOT_TAKE) == 1 and 'may not be looked at' in t.read('log'), t.read('log'))
        with serving(server, kind=Nobody) as t:
            load = asleep(t, ENDLESS)
            t.exits()
            check(load.finish()['lost'] == 4 and 'LASTCALL_LISTEN can name them' in t.read('log'), t.read('log'))


# ---- the report, and the program's own shutdown -----------------------------------------------------------------------

@case
def the_first_line_comes_at_the_signal():
    """SIGKILL may come before the report."""
    with serving() as t:
        load = asleep(t)
        until('the first line', lambda: t.exists('report') and t.json_lines('report'))
        first = t.json_lines('report')[0]
        ended_well(t, load, in_flight=4)
        told = {'event': 'draining', 'mode': 'external', 'signal': 'TERM', 'pid': t.report()['pid']}
        check(told.items() <= first.items() and first['in_flight'] == t.report()['in_flight'], f'{first}')


OWN = dataclasses.replace(servers.SERVERS['uvicorn'], external=True)  # it waits for its requests for ever


@case
def a_grace_period_of_its_own_runs_inside_the_deadline():
    with serving(OWN, LASTCALL_TIMEOUT='3s') as t:
        load = asleep(t, ENDLESS, clients=1)
        t.exits(status=128 + signal.SIGTERM)
        check(load.finish()['lost'] == 1 and 'Shutting down' in t.read('log'), 'its own shutdown has not begun')
        report = t.report()
        check(report['end'] == 'deadline' and report['aborted'] == 1, f'{report}')


@case
def a_shutdown_of_its_own_loses_nothing():
    with serving(OWN, LASTCALL_TIMEOUT='100s', LASTCALL_SHUTDOWN_TIME='99s') as t:
        ended_well(t, asleep(t), in_flight=4)


@case
def its_own_shutdown_comes_first_if_that_is_asked_for():
    with serving(OWN, LASTCALL_DELIVER='first') as t:
        load = asleep(t)
        until('its own shutdown', lambda: 'Shutting down' in t.read('log'))
        check(load.child.poll() is None, 'it had its signal when all was over')
        ended_well(t, load, in_flight=4)


@case
def a_server_that_ignores_the_signal_goes_on_serving():
    deaf = servers.Server('deaf', lambda build, where, host, port, backend: [
        'sh', '-c', f"trap '' TERM; exec {build}/e2e/{PLAIN} {port} {host}"], [], -9, external=True)
    with serving(deaf) as t:
        t.term()
        until('the signal is passed on', lambda: 'ignores the signal' in t.read('log'))
        check(wire.get(t.target).status == 200, 'it does not serve any more')
        t.term()
        check(wire.get(t.target).status == 200, 'nor after the second signal')
        check(not t.exists('report'), 'there is a report of no drain')


# ---- several processes ------------------------------------------------------------------------------------------------

@case
def a_process_for_each_connection():
    """busybox's httpd: 6 CGI programs of a second, and 3 downloads."""
    with directory() as d:
        os.mkdir(f'{d}/cgi-bin')
        with open(f'{d}/cgi-bin/slow', 'w') as f:
            f.write('#!/bin/sh\nsleep 1\nprintf "Content-Type: text/plain\\r\\n\\r\\nslow\\n"\n')
        os.chmod(f'{d}/cgi-bin/slow', 0o755)
        with open(f'{d}/index.html', 'wb') as f:
            f.write(servers.pattern(servers.SMALL))
        with open(f'{d}/big', 'wb') as f:
            f.write(servers.pattern(servers.BIG))
        server = servers.Server('busybox', lambda build, where, host, port, backend: [
            'busybox', 'httpd', '-f', '-p', f'{host}:{port}', '-h', d], ['busybox'], -15, external=True)
        with serving(server) as t:
            slow = t.load('GET /cgi-bin/slow text=slow\n', clients=6, limit=1, http10=True, fresh=True, ready_sent=6)
            big = t.load(f'GET /big pattern={servers.BIG}', clients=3, limit=1, http10=True, fresh=True, rate=6 << 20,
                         ready_started=3)
            slow.wait_ready()
            big.wait_ready()
            t.term()
            came = t.wait_door()
            t.no_loss(slow)
            ended_well(t, big, in_flight=9, came=came, accept_stop='so_bindtoifindex')
            return t.note


@case
def a_shell_that_stays_as_the_parent():
    """It has nothing to drain, but what it has started, and both have the signal in the end."""
    for ending in ('wait', 'wait $!'):
        server = servers.Server('behind', lambda build, where, host, port, backend, ending=ending: [
            'sh', '-c', f'{build}/e2e/{PLAIN} {port} {host} & {ending}'], [], -15, external=True)
        with serving(server) as t:
            ended_well(t, asleep(t), in_flight=4, accept_stop='so_bindtoifindex')


# ---- late data --------------------------------------------------------------------------------------------------------

IDLE = 0.3  # seconds


class Late:
    """Connections that were idle, each of which asks once more, at about the time when it is let go."""

    def __init__(self, t, count, around, spread):
        self.wires = [t.wire() for _ in range(count)]
        for w in self.wires:
            w.send(GET)
            w.response()
        self.when = sorted(around + random.uniform(-spread, spread) for _ in range(count))
        self.in_time = self.served = self.closed = self.late_data = 0

    def ask(self, since):
        waits = []
        for w, when in zip(self.wires, self.when):
            time.sleep(max(0, since + when - time.monotonic()))
            if select.select([w.socket], [], [], 0)[0]:  # as every client of sense looks
                check(time.monotonic() >= since + IDLE, 'a connection ended before it had been idle for so long')
                self.closed += 1
            else:
                with contextlib.suppress(OSError):
                    w.send(GET)
                waits.append((w, time.monotonic() < since + IDLE))
        for w, in_time in waits:
            try:
                self.served += w.response().status == 200
                self.in_time += in_time
            except (OSError, wire.WireError) as e:
                check(not in_time, f'a request that was there in time is lost: {e}')
                self.late_data += 1


@case
def requests_that_cross_the_end_of_an_idle_connection():
    """Whoever asks before LASTCALL_IDLE is over is served, if only by a moment. After it there is a window, from the end of file,
    which we cause, to the FIN at the client, in which a request is lost: the program's time to close, which is counted here."""
    total = collections.Counter()
    for around, spread in ((IDLE + 0.04, 0.06), (IDLE + 0.04, 0.06), (IDLE / 2, IDLE / 2)):
        with serving(LASTCALL_IDLE=f'{IDLE * 1000:.0f}ms') as t:
            late = Late(t, 100, around, spread)
            t.term()
            late.ask(t.termed)
            total.update(in_time=late.in_time, served=late.served, late_data=late.late_data, closed=late.closed)
            t.exits()
            t.drained()
    check(total['in_time'] > 0, 'nobody asked in time')
    return (f"{total['served']} served, of them {total['in_time']} just in time, {total['late_data']} too late, "
            f"{total['closed']} saw it before they asked")


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main(jobs=4)
