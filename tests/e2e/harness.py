"""One test: a server of its own on a port of its own in a directory of its own, clients, and verdicts."""
import contextlib
import ctypes
import itertools
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import place
import procfs
import wire
from bound import BOUND, SLOW

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULTS = {'IDLE': 1, 'LINGER': 2, 'TIMEOUT': 25}  # seconds


class Failure(Exception):
    pass


class Missing(Exception):
    """The test cannot run here (no privilege, no tool)."""


PR_SET_CHILD_SUBREAPER = 36


def end_all(number, _frame):
    """The suite is told to end (^C, a time-out): nothing that it has started outlives it."""
    while pids := procfs.descendants(os.getpid()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    os._exit(128 + number)


def adopt_orphans():
    """Processes whose parent has died become children of this one, which started it all and ends them (Process.close)."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def own_signals():
    """A shell that runs the suite in the background, or nohup, has made us ignore some of these, and every server would
    inherit that."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_all)


# Ports below the ephemeral range, so that no client's own port can be in the way.
_ports = itertools.count(random.randrange(10000, 31000))
_ports_lock = threading.Lock()


def free_port():
    with _ports_lock:
        while True:
            port = 10000 + next(_ports) % 22000
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(('127.0.0.1', port))
                    return port
                except OSError:
                    continue


class Target:
    """A process to send signals to."""

    def __init__(self, pid):
        self.pid, self.pidfd = pid, os.pidfd_open(pid)

    def kill(self, number=signal.SIGKILL):
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass

    def ends(self, within):
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(max(0, within) * 1000))

    def limit_descriptors(self):
        """From now on it can open nothing more."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    def stop(self):
        """SIGSTOP, and wait until every thread has stopped, or it has ended."""
        self.kill(signal.SIGSTOP)
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            if procfs.thread_states(self.pid) <= set('TZX'):
                return
            time.sleep(0.001)
        raise Failure('it does not stop')

    def close(self):
        os.close(self.pidfd)


class Process(Target):
    """A child that leads a session; its end is seen at once, with the time of it."""

    def __init__(self, argv, env, log, prefix=(), pass_fds=()):
        with open(log, 'ab') as f:
            self.child = subprocess.Popen([*prefix, *argv], stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env,
                                          start_new_session=True, pass_fds=pass_fds)
        super().__init__(self.child.pid)
        self.ended = None

    def wait(self, seconds):
        """Exit status, or None when it still lives after so long."""
        if self.ended is None and not self.ends(seconds):
            return None
        self.ended = self.ended or time.monotonic()
        return self.child.wait()

    def left(self):
        """What lives of the session that it leads: what it forked and what those forked."""
        return [pid for pid in procfs.session(self.pid) if pid != self.pid and procfs.lives(pid)]

    def end_left(self):
        deadline = time.monotonic() + BOUND
        while members := [pid for pid in procfs.session(self.pid) if pid != self.pid]:
            for pid in members:
                end_member(pid, self.pid)
            if time.monotonic() > deadline:
                raise Failure(f'processes that do not end: {members}')
            time.sleep(0.002)

    def close(self):
        self.kill()
        self.child.wait()
        self.end_left()
        super().close()


def end_member(pid, session):
    """End a process of a session, and reap it if it is ours by now. Its number may be another's at any time: whose
    it is is asked after it is held."""
    try:
        process = Target(pid)
    except OSError:
        return
    if (procfs.stat(pid) or (0, 0, 0))[2] == session:
        process.kill()
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
    process.close()


class Orphan:
    """A process that became our child when its parent ended, to be waited for as a Popen is."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def wait(self):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class Daemon(Process):
    """One that has put itself in the background, in a session of its own."""

    def __init__(self, pid):
        Target.__init__(self, pid)
        self.child, self.ended = Orphan(pid), None


class Load:
    """build/e2e/load, running."""

    def __init__(self, test, requests, prefix=(), **options):
        argv = [*prefix, f'{test.options.build}/e2e/load', '--address', test.address, '--stop-on-stdin']
        for request in [requests] if isinstance(requests, str) else requests:
            argv += ['--request', request]
        for name, value in options.items():
            name = '--' + name.replace('_', '-')
            argv += [name] if value is True else [name, str(value)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.result = None

    def _line(self, seconds):
        if not select.select([self.child.stdout], [], [], seconds)[0]:
            return None
        return self.child.stdout.readline()

    def wait_ready(self):
        line = self._line(BOUND)
        if line != b'ready\n':
            raise Failure(f'the clients did not get ready: {line.decode() if line else "they have said nothing"}')

    def is_over(self):
        """Its result is there to be read."""
        return bool(self.result or select.select([self.child.stdout], [], [], 0)[0])

    def stop(self):
        """No new requests; or, with resume, the second ones."""
        self.child.stdin.close()

    def finish(self):
        if self.result is None:
            line = self._line(BOUND)
            while line == b'ready\n':
                line = self._line(BOUND)
            if not line:
                raise Failure('the clients did not end')
            self.result = json.loads(line)
            self.child.wait()
        return self.result

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
        self.child.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def losses(result):
    names = ('reset', 'truncated', 'bad', 'keepalive_race', 'timeout')
    kinds = ', '.join(f'{result[n]} {n}' for n in names if result[n])
    asked = result['lost'] + result['ok']
    lines = ''.join(f"\n    client {l['client']} request {l['request']} port {l['port']} after {l['reused']} responses: {l['class']}, "
                    f"{l['why']} ({l['bytes']} bytes, {l['after_us']} us after sending)" for l in result['losses'][:8])
    return f"lost {result['lost']} of {asked}: {kinds}{lines}"


def longer(ms):
    """How long requests take that are to be in flight at TERM; longer ones, if the machine was too busy for that."""
    for times in (1, 4, 8):  # 8 times are less than the usual deadline
        yield int(times * ms * SLOW)
    raise Failure(f'requests of {times * ms * SLOW:.0f} ms are over before TERM')


class Test:
    """What a scenario is given. `bare`: without us, to see what would be lost."""
    place = place.HERE  # of all servers

    def __init__(self, server, options, host=None, prefix=()):
        self.server, self.options, self.prefix = server, options, prefix
        self.bare = options.bare
        self.dir = tempfile.mkdtemp(prefix='lastcall-e2e-')
        self.host = host or ('::1' if server.family == 'ipv6' else '127.0.0.1')
        self.port = free_port()
        self.target, self.address = (self.host, self.port), f'{self.host}:{self.port}'  # for wire.py, for the load client
        if server.family == 'ipv6':
            self.address = f'[{self.host}]:{self.port}'
        if server.family == 'unix':
            self.target, self.address = self.path('socket'), f"unix:{self.path('socket')}"
            self.port = self.address
        self.process, self.backend, self.loads = None, None, []
        self.termed = None  # when TERM was sent, at the earliest ...
        self.sent = None  # ... and at the latest: a container's runtime takes its time
        self.inner = None  # the server, when self.process only started it
        self.backend_program = 'thread'
        self.tls = wire.tls_context() if server.tls or 'tls' in server.speaks else None
        self.note = ''  # shown with ok
        self.took = None  # seconds until it had ended: shown too

    # ---- the server
    def environment(self, bare, env):
        clean = {k: v for k, v in self.place.environment().items() if not k.startswith(('LASTCALL_', 'LD_PRELOAD'))}
        clean.update(self.server.env)
        if not bare:
            clean.update(LASTCALL_REPORT=self.path('report'), LASTCALL_LOG='debug')
            if not self.server.external:
                clean['LD_PRELOAD'] = os.path.join(self.options.build, 'liblastcall.so')
            if SLOW != 1:  # what a client may take for its next word, too
                clean.update({f'LASTCALL_{name}': f'{int(seconds * SLOW * 1000)}ms' for name, seconds in DEFAULTS.items()})
            clean.update(env)
            clean.update(self.options.env)
        return clean

    def path(self, name):
        return os.path.join(self.dir, name)

    def exists(self, name):
        return os.path.exists(self.path(name))

    def read(self, name):
        with open(self.path(name), errors='replace') as f:
            return f.read()

    def start(self, bare=None, **env):
        """Start it and wait until it has answered once."""
        bare = self.bare if bare is None else bare
        if self.server.family == 'unix' and os.path.exists(self.path('socket')):
            os.unlink(self.path('socket'))
        backend = 0
        if self.server.backend:
            backend = free_port()
            self.backend = Process([f'{self.options.build}/e2e/{self.backend_program}', str(backend)], self.environment(True, {}),
                                   self.path('backend.log'), self.prefix)
        argv = self.server.command(self.options.build, self.dir, self.host, self.port, backend)
        self.process = self.launch(argv, self.environment(bare, env))
        if self.server.daemon:
            self.follow_daemon()
        self.wait_serving()
        return self

    def follow_daemon(self):
        """What was started ends; the server is another process, which says its number in a file."""
        self.check(self.process.wait(BOUND) == 0, 'it does not become a daemon')
        pid = self.until('its process id in a file', lambda: self.exists(self.server.daemon) and int(self.read(self.server.daemon) or 0))
        Target.close(self.process)
        self.process = None  # until the next line has succeeded
        self.process = Daemon(pid)

    def launch(self, argv, env):
        if self.server.external and 'LASTCALL_LOG' in env:
            argv = self.launcher(argv)
        return Process(self.place.command(argv), env, self.path('log'), self.prefix)

    def launcher(self, argv):
        """It holds the signal back; as its parent it says how the server has ended."""
        return [f'{self.options.build}/lastcall', 'run', '--external', '--', *argv]

    def get(self, path='/'):
        return wire.get(self.target, path, tls=self.tls)

    def serves(self):
        """It has answered once, and its backend too."""
        if self.server.speaks in (('h2',), ('fcgi',)):  # HTTP/1 gets no answer there
            wire.connect(self.target, BOUND).close()
            return True
        return self.get().status == 200 and (not self.backend or self.get('/sleep?ms=0').status == 200)

    def wait_serving(self, replaced=0):
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            if self.process.wait(0) is not None:
                raise Failure(f'it ended at once with {self.process.child.returncode}')
            try:
                if self.serves() and self.is_whole(replaced):
                    return
            except (OSError, wire.WireError):
                pass
            time.sleep(0.01)
        raise Failure('it does not serve')

    # ---- its processes
    def workers(self):
        """The processes that serve. A helper among the master's descendants (apache's CGI daemon, a resource
        tracker of python) does not hold the listener. (In a drain nobody does, once accepting has stopped everywhere.)"""
        found = procfs.descendants(self.target_process.pid)
        if self.server.group.passed:
            return found
        listeners = procfs.listeners(self.target_process.pid, self.port)
        return [pid for pid in found if procfs.sockets(pid) & listeners]

    def everyone(self):
        """All of its processes, the master first."""
        return [self.target_process.pid, *procfs.descendants(self.target_process.pid)]

    def is_whole(self, replaced=0):
        """A group has all its workers, and each of them serves; after so many of them were replaced."""
        group = self.server.group
        return not group or (len(self.workers()) >= group.workers and
                             (not group.ready or self.read('log').count(group.ready) >= group.workers + replaced))

    def worker_of(self, port):
        """Which of them has the connection from a client's port; None: it is still in the accept queue, or gone."""
        inode = procfs.connection(self.target, (self.host, port))
        return next((pid for pid in self.everyone() if inode in procfs.sockets(pid)), None) if inode else None

    def some(self, clients):
        """As many, or fewer if the server would let the rest wait."""
        return min(clients, self.server.at_once)

    def warm(self, requests, clients):
        """So many requests are load, or, of a server to which each is dear, fewer; but one of each client."""
        return max(requests // self.server.dear, clients)

    def kill(self, pids, number=signal.SIGKILL):
        """A signal to some of its processes, those that still live."""
        for pid in pids:
            try:
                process = Target(pid)
            except ProcessLookupError:
                continue
            process.kill(number)
            process.close()

    def end(self):
        """All of it, at once."""
        self.process.kill()
        self.process.child.wait()
        self.process.end_left()

    def stopped(self):
        """SIGSTOP to all of it. What makes it go on again."""
        pids = self.everyone()
        for pid in pids:
            process = Target(pid)
            process.stop()
            process.close()
        return lambda: self.kill(pids, signal.SIGCONT)

    def until(self, what, good):
        """Wait until good() is true, and say what was waited for if it never is."""
        deadline = time.monotonic() + BOUND
        while not (found := good()):
            if time.monotonic() > deadline:
                raise Failure(f'not within {BOUND:.0f} s: {what}')
            time.sleep(0.01)
        return found

    def nobody_left(self):
        """No process of the group outlives its master."""
        deadline = time.monotonic() + BOUND
        while left := self.process.left():
            if time.monotonic() > deadline:
                raise Failure(f'{len(left)} processes are left after the master: {left[:8]}')
            time.sleep(0.01)

    def start_as_pid_1(self):
        """Start it as the first process of a PID namespace; signals go to it, its status comes through."""
        self.prefix = ['unshare', '--pid', '--fork', '--kill-child']
        self.start()
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children') as f:
            self.inner = Target(int(f.read().split()[0]))

    @property
    def target_process(self):
        return self.inner or self.process

    def term(self, number=signal.SIGTERM):
        self.termed = self.sent = time.monotonic()
        self.target_process.kill(number)

    def let_read(self, in_flight=0, load=None, moment=0.1):
        """Until what clients have sent has been read, and so many requests are seen to be in flight, or their load is over. `moment` is
        for what nobody tells: nginx has still to send it on to its upstream; of AF_UNIX the kernel shows nothing."""
        time.sleep(moment * SLOW)
        if self.server.family != 'unix':
            self.until('all that was sent is read', lambda: not self.unread())
        if in_flight and not self.bare and not self.server.external:
            self.until(f'{in_flight} requests are in flight', lambda: self.in_flight() >= in_flight or load and load.is_over())

    def term_in_flight(self, request, clients, ms=2000, start=None, number=signal.SIGTERM, **options):
        """Requests (`{ms}` in the text or in an option: so long) and TERM while all of them are in flight, and none is lost. Where the
        machine is so busy that the first one is over by then, again with longer ones. What the clients saw."""
        for each in longer(ms):
            if not self.process:
                (start or self.start)()
            load = self.load(request.format(ms=each), clients=clients, limit=1, ready_sent=clients, wait_fin=True,
                             **{name: each if value == '{ms}' else value for name, value in options.items()})
            load.wait_ready()
            self.let_read(clients, load)
            self.term(number)
            result = self.no_loss(load)
            if self.in_time(result['first_response'] / 1e9, each):
                return result
            self.again()
        raise AssertionError

    def in_time(self, first_response, ms):
        """TERM came well before the first response to requests that take so long."""
        return self.bare or first_response > (self.sent or self.termed) + ms / 4000

    def in_flight(self):
        """So many requests of its clients, as it sees them itself."""
        return sum(group['connections']['in_flight'] for group in self.status())

    def unread(self):
        return procfs.unread(self.port)

    def wait_door(self):
        """Until a new connection is refused (bare: the process may be gone by then, which is the same). How many came in before,
        and were closed at once: fewer and fewer, for each is work, and to some servers a process."""
        came, pause = 0, 0.005
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            try:
                wire.connect(self.target, BOUND).close()
                came += 1
            except (ConnectionError, FileNotFoundError):
                return came
            except OSError:
                raise Failure('a new connection is neither taken nor refused') from None
            time.sleep(pause)
            pause *= 1.5
        raise Failure('it goes on accepting')

    def wait_orders(self):
        """Until all of its processes have heard that they drain, and have looked at their connections: the master may close the door a
        moment earlier."""
        if self.server.group and not self.bare:
            self.until('every process drains', lambda: not any(
                process['state'] in ('serving', 'lame_duck') for group in self.status() for process in group['processes']))

    def status(self):
        """What `lastcall status` says of its group; nothing, once there is nobody to ask."""
        run = subprocess.run([f'{self.options.build}/lastcall', 'status', '--json', str(self.target_process.pid)], capture_output=True,
                             timeout=BOUND, check=False)
        return json.loads(run.stdout)['groups'] if run.stdout else []

    # ---- the clients
    def load(self, requests, **options):
        """They go on until the server is gone, or they are stopped, whatever it takes."""
        load = Load(self, requests, **{'timeout': int(BOUND * 1000), **options})
        self.loads.append(load)
        return load

    def wire(self, **options):
        return wire.Wire(self.target, **{'tls': self.tls, **options})

    # ---- the verdicts
    def check(self, good, why):
        if not good:
            raise Failure(why)

    def no_loss(self, load):
        result = load.finish()
        self.note = f"{result['ok']} ok, {result['refused']} refused"
        self.check(not result['lost'], losses(result))
        self.check(result['ok'], 'no request was served')
        self.check(not result['idle_reset'], f"{result['idle_reset']} idle connections were reset")
        self.check(not result['unclosed'], f"{result['unclosed']} connections got no FIN")
        return result

    def exits(self, since=None, status=None, outlived=False):
        """It ends by itself, as TERM would have ended it, and all of its processes do, unless it may be outlived. Returns how long it
        took from TERM, or from `since`."""
        got = self.process.wait(BOUND)
        self.check(got is not None, f'it does not end: {BOUND:.0f} s after what had to end it')
        self.took = self.process.ended - (since or self.termed)
        want = self.server.exit if status is None else status
        if self.server.external and not self.bare and want < 0:
            want = 128 - want  # as its parent says it
        self.check(got in (want, *self.server.exit_also), f'it ended with {got}, not {want}')
        if not outlived:
            self.nobody_left()
        return self.took

    def expires(self):
        """The deadline ends it, whatever it would wait for itself: by its own end, or by lastcall's. Returns how long that took from
        TERM."""
        if not self.bare and self.process.wait(BOUND) == 128 + signal.SIGTERM:
            return self.exits(status=128 + signal.SIGTERM, outlived=self.server.group and self.server.group.outlive)
        return self.exits(outlived=self.server.group and self.server.group.outlive)

    def released(self):
        """The drain ends with requests left: the process ends, or goes on by itself where it has a grace of its own. Returns how long
        that took from TERM."""
        if not self.server.own_grace or self.bare:
            return self.exits(outlived=self.server.group and self.server.group.outlive)
        self.until('its release', self.is_released)
        self.took = time.monotonic() - self.termed
        return self.took

    def is_released(self):
        text = self.read('report') if self.exists('report') else ''
        return '{"event":"drain",' in text and text.endswith('\n')

    def json_lines(self, name):
        """A file of JSON objects, one a line, every line ended, every byte in it to be seen."""
        try:
            with open(self.path(name), 'rb') as f:
                text = f.read()
            lines = [json.loads(line.decode('ascii')) for line in text.split(b'\n')[:-1]]
        except (OSError, ValueError) as e:
            raise Failure(f'{name} cannot be read: {e}') from e
        self.check(not text or text.endswith(b'\n'), f'{name}: the last line does not end')
        self.check(all(isinstance(line, dict) for line in lines), f'{name}: not only objects')
        return lines

    def reports(self):
        """Those of the drains that have ended. Each has a line of its beginning before it."""
        lines = self.json_lines('report')
        ends = [line for line in lines if line['event'] == 'drain']
        begun = [(line['pid'], line['wall_start_ms']) for line in lines if line['event'] == 'draining']
        for end in ends:
            self.check((end['pid'], end['wall_start_ms']) in begun, f'no line says that this began: {end}')
        return ends

    def report(self):
        reports = self.reports()
        self.check(len(reports) == 1, f'{len(reports)} reports')
        return reports[0]

    def drained(self, **expected):
        """The report says that everybody was served."""
        if self.bare:
            return
        report = self.report()
        expected = {'end': 'drained', 'aborted': 0, **expected}
        wrong = {k: report.get(k) for k, v in expected.items() if report.get(k) != v}
        self.check(not wrong, f'the report says {wrong}, expected {expected}')

    # ---- the end
    def again(self):
        """Ready for another start, for scenarios of many runs."""
        for child in [*self.loads, self.process, self.backend]:
            if child:
                child.close()
        if self.inner:
            self.inner.close()
        self.process = self.backend = self.inner = None
        self.loads = []
        for name in ('report', 'log', self.server.daemon):
            if name and self.exists(name):
                os.unlink(self.path(name))

    def evidence(self):
        """What there is to read about a failure."""
        text = ''
        for name, most in (('report', 5), ('log', 40), ('backend.log', 10), ('error.log', 10)):
            try:
                with open(self.path(name), errors='replace') as f:
                    lines = f.read().splitlines()[-most:]
            except OSError:
                continue
            if lines:
                text += f'  -- {name}\n' + ''.join(f'    {line[:600]}\n' for line in lines)
        return text

    def close(self):
        for child in [*self.loads, self.process, self.backend]:
            if child:
                child.close()
        if self.inner:
            self.inner.close()
        shutil.rmtree(self.dir, ignore_errors=True)
