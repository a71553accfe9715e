"""Servers of several processes: who is sent the signal, who dies before the others, what the server's own reload does
meanwhile. In every one of them, what a process was not made to lose is served."""
import random
import re
import signal
import time

from bound import BOUND
from harness import Target
from scenarios import EXACT, after_the_last_response, percentile, request, scenario, tails
from servers import SMALL, pattern
from wire import WireError


# ---- clients ------------------------------------------------------------------------------------------

def talking(t, **how):
    """Clients that keep their connections, and clients that take a new one for each request."""
    how = {'clients': 8, 'ready_ok': t.warm(100, 8), **how}
    loads = [t.load(f'GET / {EXACT}', **how), t.load(f'GET / {EXACT}', fresh=True, **how)]
    for load in loads:
        load.wait_ready()
    return loads


def all_served(t, loads, refused):
    """Nobody was lost; so many clients of each kind were refused in the end, or none while somebody serves."""
    for load in loads:
        load.stop()
    served = 0
    for load in loads:
        result = t.no_loss(load)
        t.check(result['refused'] == refused, f"{result['refused']} clients were refused, not {refused}")
        served += result['ok']
    t.note += f' {served} ok'


def refused_in_the_end(t, loads):
    for load in loads:
        t.no_loss(load)
    all_served(t, loads, 8)


def owner(t, wire):
    port = wire.socket.getsockname()[1]
    return t.until(f'a process has the connection of port {port}', lambda: t.worker_of(port))


def asked_once(t, connections):
    wires = [t.wire() for _ in range(connections)]
    for wire in wires:
        wire.send(request('GET', '/'))
    for wire in wires:
        wire.response()
    return {wire: owner(t, wire) for wire in wires}


def kept(t):
    """Connections that have had a response, of more than one process, at most 4 of each: {connection: its process}.
    A process that has nothing else to do may take all of them, so there are other clients in case of need."""
    wires, crowd, begun = {}, None, time.monotonic()
    while len(set(wires.values())) < 2 or len(wires) < t.some(6):
        for wire, pid in asked_once(t, 8).items():
            if list(wires.values()).count(pid) < 4:
                wires[wire] = pid
            else:
                wire.socket.close()
        took = time.monotonic() - begun
        t.check(took < BOUND, f'one process has all {len(wires)} connections')
        if took > 0.3 and not crowd:
            crowd = t.load(f'GET / {EXACT}', clients=16, fresh=True, ready_ok=50)
            crowd.wait_ready()
    if crowd:
        crowd.stop()
        t.no_loss(crowd)
    return wires


BODY = pattern(SMALL)
UPLOAD = request('POST', '/upload', f'Content-Length: {len(BODY)}') + BODY[:SMALL // 2]


def in_flight(t):
    """Requests in more than one process, whose second half is still to come: {connection: its process}."""
    wires = {t.wire(): 0 for _ in range(t.some(8))} if 'keep-alive' in t.server.lacks else kept(t)
    for wire in wires:
        wire.send(UPLOAD)
    t.let_read(in_flight=len(wires))
    return {wire: pid or owner(t, wire) for wire, pid in wires.items()}


def answered(t, wires):
    """Each of them whole, once it has all been sent, and a FIN after it."""
    for wire, pid in wires.items():
        try:
            wire.send(BODY[SMALL // 2:])
            response = wire.response()
            t.check(response.status == 200 and response.body == b'%d\n' % SMALL, f'process {pid}: {response.head!r}')
            wire.end()
        except WireError as e:
            t.check(False, f'the request in process {pid}: {e}')


def cut_off(t, wires):
    """Not one of them gets an answer."""
    for wire, pid in wires.items():
        try:
            response = wire.response()
        except WireError:
            continue
        t.check(False, f'process {pid} was killed, and there is an answer: {response.head!r}')


def closed(wires):
    for wire in wires:
        wire.socket.close()


def last_report(t):
    """Of several, when a worker was drained alone before; none of them cut anything, nor had to wait for its deadline."""
    if not t.bare:
        reports = t.reports()
        t.check(reports and all(r['end'] == 'drained' and not r['aborted'] for r in reports), f'the reports are {reports}')


def ends_under_load(t):
    loads = talking(t, until_refused=True)
    t.term()
    refused_in_the_end(t, loads)
    t.exits()
    last_report(t)


# ---- who is sent the signal ---------------------------------------------------------------------------

@scenario(group=True)
def term_all(t):
    """TERM to the master and all workers at once, as systemd does it, under load."""
    t.start()
    loads = talking(t, until_refused=True)
    pids = t.everyone()
    random.shuffle(pids)
    t.termed = time.monotonic()
    t.kill(pids, signal.SIGTERM)
    refused_in_the_end(t, loads)
    t.exits()
    if t.server.group.workers:
        t.drained()
    else:  # one that is sent TERM a moment before the master may have been done by then, alone
        last_report(t)


@scenario(group=True, needs='workers')
def term_late(t):
    """TERM to all under load, but to one worker a moment before: it has just decided that it drains alone, or not yet."""
    t.start()
    loads = talking(t, until_refused=True)
    pids = t.everyone()
    early = random.choice(t.workers())
    t.kill([early], signal.SIGTERM)
    time.sleep(random.uniform(0.09, 0.13))  # group/group.h: GROUP_LONE_GRACE
    t.termed = time.monotonic()
    t.kill([pid for pid in pids if pid != early], signal.SIGTERM)
    refused_in_the_end(t, loads)
    t.exits()
    last_report(t)


def end_worker(t):
    """TERM to one of them, which ends, and not by its deadline."""
    worker = Target(random.choice(t.workers()))
    try:
        worker.kill(signal.SIGTERM)
        t.check(worker.ends(BOUND), 'the worker does not end')
    finally:
        worker.close()
    if t.exists('report'):  # of one that had served nobody there is none
        last_report(t)


@scenario(group=True, needs='workers')
def term_worker(t):
    """TERM to one worker under load: it ends, its siblings and the master serve on, and nobody notices."""
    t.start()
    loads = talking(t)
    end_worker(t)
    if t.server.group.respawns:
        t.until('it has all its workers again', lambda: t.is_whole(replaced=1))
    all_served(t, loads, 0)
    t.check(t.process.wait(0) is None, 'the master ended too')
    ends_under_load(t)


@scenario(group=True, only=('node-cluster-rr',))
def handed_over(t):
    """The same, where the master hands out the connections, and while the worker always has long requests: new ones go to
    its siblings from then on, so that it ends when those that it has are served."""
    t.start()
    load = t.load(f'GET /sleep?ms=500 {EXACT}', clients=16, fresh=True, ready_ok=16)
    load.wait_ready()
    end_worker(t)
    t.until('it has all its workers again', lambda: t.is_whole(replaced=1))
    load.stop()
    t.no_loss(load)


# ---- who dies before the others -----------------------------------------------------------------------

def kill_one(t, wires):
    """SIGKILL to one worker in the middle of a drain: exactly its requests are lost. The others."""
    t.term()
    t.wait_door()
    t.wait_orders()
    victim = next(iter(wires.values()))
    lost = {wire: pid for wire, pid in wires.items() if pid == victim}
    t.kill([victim])
    cut_off(t, lost)
    return victim, len(lost), {wire: pid for wire, pid in wires.items() if pid != victim}


def reported_cut(t, victim, lost):
    if t.bare:
        return
    report = t.report()
    t.check(report['aborted'] == lost, f"{report['aborted']} of {lost} are reported as cut: {report}")
    process = [p for p in report['processes'] if p['pid'] == victim]
    t.check(len(process) == 1 and process[0]['aborted'] == lost, f"the report does not say {lost} of process {victim}: {report['processes']}")


@scenario(group=True)
def kill_worker(t):
    """SIGKILL to one worker in the middle of a drain: its requests are lost and reported, all others are served."""
    t.start()
    wires = in_flight(t)
    try:
        victim, lost, others = kill_one(t, wires)
        answered(t, others)
    finally:
        closed(wires)
    t.exits()
    reported_cut(t, victim, lost)
    t.note = f'{lost} of {len(wires)} cut'


@scenario(group=True, needs='respawn')
def respawn(t):
    """The same: what the master starts in its place neither serves anybody, nor loses anybody, nor keeps the group from ending."""
    t.start()
    before = t.everyone()
    wires = in_flight(t)
    try:
        victim, lost, others = kill_one(t, wires)
        t.until('another is started in its place', lambda: set(t.everyone()) - set(before) or t.process.wait(0) is not None)
        late = t.load(f'GET / {EXACT}', clients=4, fresh=True, until_refused=True, limit=20).finish()
        t.check(late['refused'] == 4 and not late['ok'], f'the door is open again: {late}')
        answered(t, others)
        answered_at = time.monotonic()
    finally:
        closed(wires)
    t.exits(answered_at)
    reported_cut(t, victim, lost)


@scenario(group=True)
def master_dies(t):
    """SIGKILL to the master in the middle of a drain: the workers finish, then end."""
    # Workers that die with their master, in the middle of requests, may be held until the deadline.
    t.start(LASTCALL_TIMEOUT='8s' if t.server.group.follow else '0')
    wires = in_flight(t)
    try:
        t.term()
        t.wait_door()
        t.wait_orders()
        t.process.kill()
        if not t.server.group.follow:
            answered(t, wires)
    finally:
        closed(wires)
    if not t.server.group.deaf:  # such workers outlive a master that is killed, also without us
        t.nobody_left()
    t.note = f'gone {time.monotonic() - t.termed:.1f} s after TERM'


# ---- the server's own reload --------------------------------------------------------------------------

def serve_alone(t):
    """Those that are left, under the same load."""
    for _ in range(20):
        t.check(t.get().status == 200, 'it does not serve')


@scenario(group=True, needs='reload')
def reload(t):
    """The server replaces its workers under load, each of which drains alone; then TERM."""
    t.start()
    loads = talking(t)
    old = t.workers()
    t.process.kill(signal.Signals[f'SIG{t.server.group.reload}'])
    t.until('the old workers are gone', lambda: not set(old) & set(t.workers()))
    t.until('the new ones serve', lambda: t.is_whole(replaced=t.server.group.workers))
    serve_alone(t)
    all_served(t, loads, 0)
    ends_under_load(t)


@scenario(group=True, only=('nginx-daemon', 'nginx-daemon-env'))
def upgrade(t):
    """nginx's own: USR2 starts a new master on the same listeners, QUIT ends the old one, all under load. The new one is
    under us too where the configuration lets it have the environment (nginx-daemon-env)."""
    t.start()
    loads, old = talking(t), t.everyone()
    t.process.kill(signal.SIGUSR2)
    heir = Target(t.until('a new master', lambda: t.exists('nginx.pid.oldbin') and t.exists('nginx.pid') and int(t.read('nginx.pid') or 0)))
    try:
        t.until('its workers', lambda: len(set(t.workers()) - set(old)) > t.server.group.workers)
        t.term(signal.SIGQUIT)
        t.exits(outlived=True)
        t.until('the old workers are gone', lambda: not set(old) & set(t.process.left()))
        serve_alone(t)
        all_served(t, loads, 0)
        last_report(t)
        heir_ends(t, heir)
    finally:
        heir.close()
    t.nobody_left()


def heir_ends(t, heir):
    """By TERM: under load where it is under us."""
    loads = talking(t, until_refused=True) if t.server.name == 'nginx-daemon-env' else []
    heir.kill(signal.SIGTERM)
    if loads:
        refused_in_the_end(t, loads)
    t.check(heir.ends(BOUND), 'the new master does not end')


# ---- CGI ----------------------------------------------------------------------------------------------

@scenario(group=True, only=('apache-event', 'apache-prefork'))
def cgi(t):
    """CGI requests in flight at TERM are served whole, and their programs see no signal, though we are in them too."""
    t.term_in_flight(f'GET /cgi?ms={{ms}} {EXACT}', 4)
    t.exits()
    t.drained(in_flight=4)
    t.check(not t.read('cgi-signals'), f"the CGI programs saw {t.read('cgi-signals').split()}")


# ---- what is said, how long it takes ------------------------------------------------------------------

COUNTS = ('in_flight', 'served_after_signal', 'idle_closed', 'close_sent', 'late_data', 'aborted', 'unread_bytes', 'opaque', 'untracked')


@scenario(group=True)
def report(t):
    """One report for the group: its totals are the sums over its processes, and a line in the log for each of them."""
    t.start(LASTCALL_LOG_FILE=t.path('said'))  # nginx and apache put an own file in the place of standard error
    idle = 0 if 'keep-alive' in t.server.lacks else 6
    holding = t.load(f'GET / {EXACT}', clients=idle, limit=1, hold=True, ready_ok=idle) if idle else None
    if holding:
        holding.wait_ready()
    wires = in_flight(t)
    pids = t.everyone()
    try:
        t.term()
        t.wait_door()
        t.wait_orders()
        answered(t, wires)
    finally:
        closed(wires)
    if holding:
        t.no_loss(holding)
    t.exits()
    if t.bare:
        return
    t.drained(in_flight=len(wires))
    said = t.report()
    # The server may have one of its own (apache wakes its children by it), or not have noticed yet that a client has gone.
    t.check(said['idle_closed'] >= idle, f"{said['idle_closed']} idle connections closed, not {idle}")
    processes = said['processes']
    wrong = [name for name in COUNTS if said[name] != sum(p[name] for p in processes)]
    t.check(not wrong, f'the sums of {wrong} are others: {said}')
    # Where there is a process for each connection, those that looked whether it accepts may have had one.
    t.check({p['pid'] for p in processes} <= set(pids) or not t.server.group.workers, f'of {pids} it names {[p["pid"] for p in processes]}')
    for wire, pid in wires.items():
        want = list(wires.values()).count(pid)
        t.check([p['in_flight'] for p in processes if p['pid'] == pid] == [want], f'{want} were in flight in {pid}: {processes}')
    in_the_log(t, [p['pid'] for p in processes])


def in_the_log(t, pids):
    lines = t.read('said').splitlines()
    summaries = [i for i, line in enumerate(lines) if line.startswith('lastcall: drained')]
    t.check(len(summaries) == 1, f'{len(summaries)} summaries in the log')
    following = '\n'.join(lines[summaries[0] + 1:])
    for pid in pids:
        said = len(re.findall(rf'^lastcall: .*\bpid={pid} .*\bin_flight=', following, re.M))
        t.check(said == 1, f'{said} lines for process {pid} after the summary')


def idle_ends(t, runs):
    """What the server itself takes from TERM to its end when nobody is connected and we are not there: median, ms."""
    ms = []
    for _ in range(runs):
        t.start(bare=True)
        t.term()
        t.exits()
        ms.append((t.process.ended - t.termed) * 1e3)
        t.again()
    return percentile(sorted(ms), .5)


@scenario(group=True, measured=True, only=('nginx-2',))
def tail_group(t):
    """From the last response received to the master gone, and what the server itself takes when idle (without other load: 10 ms
    less)."""
    own = idle_ends(t, t.options.tails)
    tails(t, after_the_last_response)
    t.note += f', of which its own {own:.2f}'
