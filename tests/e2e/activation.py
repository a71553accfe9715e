"""Listeners that are not the server's alone.

activated-*  systemd-socket-activate makes the listener and becomes the server: nobody else holds it, a drain like any.
handover-*   a parent (this one, in systemd's place) holds the listener for ever and starts a second instance once the first
             has ended. The listener is not the first one's to hide or shut: what it does not serve, the second does.
reuseport-*  a second instance serves on the same port with a listener of its own (SO_REUSEPORT) when the first gets TERM."""
import os
import shutil
import socket
import time
from dataclasses import dataclass, field, replace

import harness
import procfs
import scenarios
from bound import BOUND
from scenarios import EXACT

SO_BINDTOIFINDEX = 62

# sd_listen_fds(3): the listener is descriptor 3 of the process that LISTEN_PID names. $0: its number now.
PASS_ON = 'fd=$0; [ "$fd" = 3 ] || exec 3<&"$fd" {fd}<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
NOBODY = 65534


@dataclass
class Scenario(scenarios.Scenario):
    test: type = harness.Test
    how: dict = field(default_factory=dict)

    def make(self, server, options):
        return self.test(server, options, **self.how)


def add(name, run, test, only, racing=False, long_on=(), **how):
    scenarios.SCENARIOS[name] = Scenario(name, run, only=only, racing=racing, long_on=long_on, heavy=name.endswith(scenarios.HEAVY), test=test, how=how)


# ---- systemd-socket-activate --------------------------------------------------------------------------

class Activated(harness.Test):
    """Not we but the server that it becomes is preloaded: it passes on no environment but what -E names."""

    def launch(self, argv, env):
        if not shutil.which('systemd-socket-activate'):
            raise harness.Missing('systemd-socket-activate')
        names = [name for name in env if name.startswith(('LASTCALL_', 'LD_PRELOAD')) or name in self.server.env]
        options = [word for name in names for word in ('-E', f'{name}={env[name]}')]
        outside = {name: value for name, value in env.items() if name not in names}
        return super().launch(['systemd-socket-activate', '-l', self.address, *options, *argv], outside)


for _name in ('inflight', 'hammer', 'think', 'churn', 'backlog'):
    add(f'activated-{_name}', scenarios.SCENARIOS[_name].run, Activated, ('epoll', 'thread', 'gunicorn-gthread'), long_on=scenarios.long_on(_name))


# ---- a successor --------------------------------------------------------------------------------------

class Rollout(harness.Test):
    """Two instances of one server. `process` is the one that is asked to go, and after next() the other."""

    def __init__(self, server, options):
        super().__init__(server, options)
        self.others = []

    def start(self, bare=None, **env):
        self.again_with = bare, env
        return super().start(bare, **env)

    def launch_another(self):
        bare, env = self.again_with
        argv = self.server.command(self.options.build, self.dir, self.host, self.port, 0)
        return self.launch(argv, self.environment(self.bare if bare is None else bare, env))

    def next(self, process):
        """The first one has ended, as it should. Now it is about the other."""
        self.others = [self.process]
        self.process = process
        self.drained()
        if self.exists('report'):
            os.unlink(self.path('report'))
        # Both write to one log. And gunicorn's worker drops a TERM that comes while it starts.
        self.wait_serving(replaced=self.server.group.workers if self.server.group else 0)

    def last(self):
        self.term()
        self.exits()
        self.drained()

    def close(self):
        for process in self.others:
            process.close()
        super().close()


class Held(Rollout):
    """The parent that holds the listener."""

    def __init__(self, server, options, uid=0):
        super().__init__(server, options)
        self.uid = uid
        if uid:
            os.chown(self.dir, uid, uid)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.target)
        self.listener.listen(4096)

    def as_user(self, argv, env):
        """Under another uid, which can see neither what we hold nor, perhaps, the build directory."""
        for path in (argv[0], f'{self.options.build}/liblastcall.so'):
            if os.path.exists(path) and not self.exists(os.path.basename(path)):
                shutil.copy(path, self.dir)
        if 'LD_PRELOAD' in env:
            env = {**env, 'LD_PRELOAD': self.path('liblastcall.so')}
        become = ['setpriv', f'--reuid={self.uid}', f'--regid={self.uid}', '--clear-groups']
        return [*become, self.path(os.path.basename(argv[0])), *argv[1:]], env

    def launch(self, argv, env):
        fd = self.listener.fileno()
        if self.uid:
            argv, env = self.as_user(argv, env)
        return harness.Process(['bash', '-c', PASS_ON, str(fd), *argv], env, self.path('log'), pass_fds=(fd,))

    def untouched(self):
        self.check(self.listener.getsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX) == 0, 'the listener was hidden')
        self.check(self.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1, 'the listener was shut')

    def hand_over(self):
        """The first ends, and all the while the listener is as it was; then the second serves."""
        while self.process.wait(0.005) is None and time.monotonic() < self.termed + BOUND:
            self.untouched()
        self.exits()
        self.untouched()
        self.next(self.launch_another())

    def close(self):
        self.listener.close()
        super().close()


def nobody_turned_away(t, load):
    result = t.no_loss(load)
    t.check(not result['refused'], f"{result['refused']} were refused")
    return result


def undisturbed(t, load):
    """No TERM: proof that clients and server lose nothing by themselves."""
    time.sleep(0.3)
    load.stop()
    nobody_turned_away(t, load)


def handed_over(clients, ready, **options):
    """Clients that go on over the change, and until the second has served."""
    def run(t):
        t.start()
        load = t.load(f'GET / {EXACT}', clients=clients, ready_ok=ready, **options)
        load.wait_ready()
        if t.options.control:
            return undisturbed(t, load)
        t.term()
        t.hand_over()
        load.stop()
        nobody_turned_away(t, load)
        return t.last()
    return run


def handed_over_inflight(t):
    """8 requests of 1 s at TERM are the first one's to finish."""
    t.start()
    load = t.load(f'GET /sleep?ms=1000 {EXACT}', clients=8, limit=1, ready_sent=8)
    load.wait_ready()
    t.get()  # what was sent before this has been accepted
    t.term()
    t.hand_over()
    nobody_turned_away(t, load)
    t.last()


def handed_over_backlog(t):
    """20 connections wait in the queue when TERM comes: the first serves them, or leaves them to the second."""
    t.start()
    go_on = t.stopped()
    load = t.load(f'GET / {EXACT}', clients=20, limit=1, ready_sent=20)
    load.wait_ready()
    t.term()
    go_on()
    t.hand_over()
    result = nobody_turned_away(t, load)
    t.check(result['ok'] == 20, f"{result['ok']} of 20 were served")
    t.last()


RACES = {'churn': (16, 300, {'fresh': True}), 'think': (16, 100, {'think_min': 5, 'think_max': 50})}
HANDED_OVER = {name: handed_over(clients, ready, **options) for name, (clients, ready, options) in RACES.items()}

for _name, _run in {**HANDED_OVER, 'inflight': handed_over_inflight, 'backlog': handed_over_backlog}.items():
    add(f'handover-{_name}', _run, Held, ('epoll', 'thread', 'gunicorn-gthread'), _name in RACES,
        scenarios.long_on(_name))
    add(f'handover-user-{_name}', _run, Held, ('epoll',), uid=NOBODY)


# ---- SO_REUSEPORT -------------------------------------------------------------------------------------

class Shared(Rollout):
    def __init__(self, server, options):
        super().__init__(replace(server, env={**server.env, 'REUSEPORT': '1'}), options)

    def start_successor(self):
        successor = self.launch_another()
        self.others.append(successor)
        self.until('the successor listens', lambda: procfs.sockets(successor.pid) & procfs.listeners(successor.pid, self.port))
        return successor


# Until the first has closed its listener, the kernel gives it a share of the connections; one that arrives between its
# last accept and its close is reset by the kernel (not so with net.ipv4.tcp_migrate_req=1). 3 runs of 300 had one; on a
# busy machine one of 200 had four.
QUEUED, MOST_QUEUED = 'connected, then reset in the accept queue', 4


def served_by_either(t, load):
    result = load.finish()
    queued = sum(loss['why'] == QUEUED for loss in result['losses'])
    if not t.bare and 0 < queued == result['lost'] <= MOST_QUEUED and not result['refused']:
        t.note = f"{result['ok']} ok, {queued} reset in the accept queue"
    else:
        nobody_turned_away(t, load)


def shared(clients, ready, **options):
    def run(t):
        t.start()
        successor = t.start_successor()
        load = t.load(f'GET / {EXACT}', clients=clients, ready_ok=ready, **options)
        load.wait_ready()
        if t.options.control:
            return undisturbed(t, load)
        t.term()
        t.exits()
        t.next(successor)
        load.stop()
        served_by_either(t, load)
        return t.last()
    return run


for _name, (_clients, _ready, _options) in RACES.items():
    add(f'reuseport-{_name}', shared(_clients, _ready, **_options), Shared, ('epoll', 'thread'), True)
