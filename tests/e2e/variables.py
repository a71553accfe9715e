"""Each variable does what the manual says of it, and what is said can be read by a machine."""
import re
import socket

from bound import NEVER
from scenarios import EXACT, request, scenario
from wire import WireError

ONE = ('epoll',)


@scenario(only=('nginx', 'epoll', 'thread'))
def lame_duck(t):
    """LASTCALL_DELAY: for that long new connections are still served, and every response says close."""
    t.start(LASTCALL_DELAY='4s')
    t.term()
    load = t.load(f'GET / {EXACT}', clients=4, until_refused=True, think_min=20, think_max=40)
    result = t.no_loss(load)
    t.check(result['ok'] > 20, f"only {result['ok']} were served")
    t.check(result['close_sent'] == result['ok'], f"{result['close_sent']} of {result['ok']} responses said close")
    took = t.exits()
    t.check(t.bare or took >= 4, f'it ended after {took:.2f} s, before the delay')
    t.drained()


@scenario(only=ONE)
def delay_quiet(t):
    """LASTCALL_DELAY_QUIET: the lame duck ends early once nobody comes."""
    t.start(LASTCALL_DELAY=NEVER, LASTCALL_DELAY_QUIET='2s')
    t.term()
    load = t.load(f'GET / {EXACT}', clients=2, limit=20, think_min=20, think_max=40)
    t.no_loss(load)
    t.exits()
    t.drained()


@scenario(only=ONE)
def forward(t):
    """LASTCALL_FORWARD: another signal is delivered at release."""
    t.start(LASTCALL_FORWARD='INT')
    load = t.load(f'GET /sleep?ms=300 {EXACT}', clients=2, limit=1, ready_sent=2)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(status=-2)


@scenario(only=ONE)
def other_signal(t):
    """LASTCALL_SIGNALS: USR1 drains, TERM is the program's own again."""
    t.start(LASTCALL_SIGNALS='USR1')
    load = t.load(f'GET /sleep?ms=300 {EXACT}', clients=2, limit=1, ready_sent=2)
    load.wait_ready()
    t.term(10)
    t.no_loss(load)
    t.exits(status=-10)
    t.again()
    t.start(LASTCALL_SIGNALS='USR1')
    t.term()
    t.exits()
    t.check(not t.exists('report'), 'there is a report')


@scenario(only=('epoll', 'node'))
def disabled(t):
    """LASTCALL_DISABLE=1: as if we were not there."""
    t.start(LASTCALL_DISABLE='1')
    load = t.load('GET /sleep?ms=600000', clients=1, limit=1, ready_sent=1)
    load.wait_ready()
    t.term()
    t.exits()
    t.check(not t.exists('report'), 'there is a report')


@scenario(only=ONE)
def bad_variables(t):
    """What cannot be read or opened is said, with what is used instead; the drain is as good as ever."""
    t.start(LASTCALL_TIMEOUT='soon', LASTCALL_TYPO='1', LASTCALL_REPORT='/nonexistent/report')
    load = t.load(f'GET /sleep?ms=300 {EXACT}', clients=2, limit=1, ready_sent=2)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits()
    if t.bare:
        return
    said = t.read('log')
    for word in ('LASTCALL_TIMEOUT', 'soon', '25s', 'LASTCALL_TYPO', '/nonexistent/report'):
        t.check(said.count(word) == 1, f'{word} is said {said.count(word)} times')


@scenario(only=ONE)
def no_deadline(t):
    """LASTCALL_TIMEOUT=0: a request that takes longer than the default deadline is waited for."""
    t.term_in_flight(f'GET /sleep?ms={{ms}} {EXACT}', 1, 26000, lambda: t.start(LASTCALL_TIMEOUT='0'))
    t.exits()
    t.drained(in_flight=1)


@scenario(only=('epoll', 'nginx', 'thread'))
def idle_time(t):
    """LASTCALL_IDLE: the idle are let go then, not sooner, and not at the deadline; by default that is 1 s."""
    for idle, least in (('200ms', 200), ('2s', 2000)):
        t.start(LASTCALL_IDLE=idle)
        load = t.load(f'GET / {EXACT}', clients=4, limit=1, hold=True, ready_ok=4)
        load.wait_ready()
        t.term()
        t.no_loss(load)
        t.exits()
        t.drained(idle_closed=4)
        took_at_least(t, least)
        t.again()


def took_at_least(t, ms):
    if not t.bare:
        took = t.report()['duration_us'] / 1e3
        t.check(took >= ms, f'the drain took {took:.0f} ms, less than {ms}')


@scenario(only=('epoll', 'thread'))
def linger_time(t):
    """LASTCALL_LINGER: so long a client may go on with a body that nobody reads, by default 2 s, and not until the deadline, unless
    that comes first."""
    for linger, least, end in (('0', 0, 'drained'), ('200ms', 200, 'drained'), ('3s', 3000, 'drained'), (NEVER, 4000, 'deadline')):
        t.start(LASTCALL_LINGER=linger, LASTCALL_TIMEOUT='4s' if end == 'deadline' else '25s')
        with t.wire() as wire:
            wire.send(request('POST', '/early', 'Content-Length: 1000000')[:20])
            t.get()
            t.term()
            t.wait_door()
            wire.send(request('POST', '/early', 'Content-Length: 1000000')[20:] + b'x' * 1000)
            response = wire.response()
            t.check(response.status == 413, f'status {response.status}')
            wire.end()  # and we do not end: the rest might still come
            t.exits()
        t.drained(end=end)
        took_at_least(t, least)
        t.again()


@scenario(only=ONE)
def signals(t):
    """LASTCALL_SIGNALS=INT,TERM: both begin a drain, and the one that came is delivered."""
    for number in (2, 15):
        t.term_in_flight(f'GET /sleep?ms={{ms}} {EXACT}', 2, 500, lambda: t.start(LASTCALL_SIGNALS='INT,TERM'), number)
        t.exits(status=-number)
        t.drained(in_flight=2, signal={2: 'INT', 15: 'TERM'}[number])
        t.again()


@scenario(only=('epoll', 'nginx', 'node'))
def close_notice_off(t):
    """LASTCALL_CLOSE_NOTICE=0: not a byte is changed in a drain; the idle window ends it, and nobody is lost."""
    def ask(wire):
        start = len(wire.raw)
        wire.send(request('GET', '/'))
        wire.response()
        return re.sub(rb'Date: [^\r]*', b'Date: ', bytes(wire.raw[start:]))

    t.start(LASTCALL_CLOSE_NOTICE='0', LASTCALL_IDLE='3s')
    load = t.load(f'GET / {EXACT}', clients=8, limit=40, think_min=10, think_max=20, hold=True, ready_ok=80)
    try:
        with t.wire() as wire:
            before = ask(wire)
            load.wait_ready()
            t.term()
            t.wait_door()
            after = ask(wire)
            wire.end()
    except WireError as e:
        t.check(False, str(e))
    t.check(before == after, f'{after!r} in a drain, {before!r} before')
    result = t.no_loss(load)
    t.check(result['ok'] == 8 * 40 and result['idle_closed'] == 8, f"{result['ok']} served, {result['idle_closed']} idle closed")
    t.check(not result['close_sent'], f"{result['close_sent']} responses said close")
    t.exits()
    t.drained(close_sent=0)


# ---- what is said -------------------------------------------------------------------------------------

def drain_once(t, **env):
    t.start(**env)
    load = t.load(f'GET /sleep?ms=500 {EXACT}', clients=2, limit=1, ready_sent=2)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits()
    for child in (*t.loads, t.process):
        child.close()
    t.loads, t.process = [], None


@scenario(only=('epoll', 'thread', 'nginx', 'nginx-2', 'gunicorn-gthread', 'node-cluster-none'), long_on=('node-cluster-none',))
def report_connections(t):
    """LASTCALL_REPORT_CONNECTIONS=1: the report tells of every connection of every process; without it, of none."""
    for on in ('1', '0'):
        def start(on=on):
            t.start(LASTCALL_REPORT_CONNECTIONS=on, LASTCALL_IDLE='300ms')
            t.load(f'GET / {EXACT}', clients=4, limit=1, hold=True, ready_ok=4).wait_ready()
        t.term_in_flight(f'GET /sleep?ms={{ms}} {EXACT}', 4, 1000, start)
        t.no_loss(t.loads[0])
        t.exits()
        if not t.bare:
            (check_connections if on == '1' else check_no_connections)(t, t.report())
        t.again()
    t.start(LASTCALL_REPORT_CONNECTIONS='1', LASTCALL_REPORT='')  # there is nothing that it could add to
    t.term()
    t.exits()
    t.check(t.bare or 'LASTCALL_REPORT names no file' in t.read('log'), 'not a word of the missing file')


def check_no_connections(t, report):
    t.check(not any(name.startswith('connections') or name == 'deadline_us' for name in report), f'without the variable: {report}')


def check_connections(t, report):
    """Beside the 8 there may be one of the suite's own that is closing."""
    found = report['connections']
    pids = {p['pid'] for p in report.get('processes', [report])}
    t.check(len(found) >= 8 and report['connections_left_out'] == 0, f'{len(found)} connections: {found}')
    t.check({c['pid'] for c in found} <= pids, f'processes other than {pids}: {found}')
    for c in found:
        at = [us for _, us in c['changes']]
        t.check(at == sorted(at) and at[-1] <= t.took * 1e6, f'out of order, or after its end: {c}')
        t.check('opaque' in dict(c['changes']) or (c['method'] == 'GET' and c['in_bytes'] > 20 and c['out_bytes'] > 64 and not c['aborted']),
                f'it says {c}')
    # A request that its worker has not read at the signal is idle first.
    ends = [[c['changes'][i + 1] for i, change in enumerate(c['changes'][:-1]) if change[0] == 'in_flight'] for c in found]
    served = [us for end in ends for state, us in end if state == 'half_closed']
    told = [c['changes'][1][1] for c in found if c['changes'][0] == ['idle', 0] and c['changes'][1][0] == 'closing']
    t.check(len([us for us in served if us > 100_000]) == 4, f'the responses came later: {found}')
    t.check(len(told) == 4 and min(told) >= 300_000, f'let go after 300 ms: {found}')


HOSTILE_VALUE = 'so"on\n\x1b[31m\\ \xe9'


@scenario(only=ONE)
def log_text(t):
    """What comes from outside (here a variable's value) is escaped: a line stays a line."""
    drain_once(t, LASTCALL_TIMEOUT=HOSTILE_VALUE)
    lines = plain_lines(t, 'log')
    t.check(t.bare or sum('LASTCALL_TIMEOUT' in line and '25s' in line for line in lines) == 1, f'they are {lines}')


@scenario(only=ONE)
def log_json(t):
    """LASTCALL_LOG_FORMAT=json: every line on standard error is an object, complaints and the report too."""
    drain_once(t, LASTCALL_LOG_FORMAT='json', LASTCALL_TIMEOUT=HOSTILE_VALUE)
    lines = t.json_lines('log')
    t.check(t.bare or len(lines) >= 3, f'{len(lines)} lines')
    t.check(t.bare or any('LASTCALL_TIMEOUT' in str(line) for line in lines), 'the complaint is missing')
    t.check(t.bare or lines[-1].get('end') == 'drained', f'the last line is {lines[-1:]}')


@scenario(only=ONE)
def log_file(t):
    """LASTCALL_LOG_FILE gets the lines, of two drains one after the other, and standard error none."""
    for form in ('json', 'text'):
        count = []
        for _ in range(2):
            drain_once(t, LASTCALL_LOG_FORMAT=form, LASTCALL_LOG_FILE=t.path(form))
            count.append(len(t.json_lines(form) if form == 'json' else plain_lines(t, form)))
        t.check(t.bare or count[0] >= 3 and count[1] == 2 * count[0], f'{form}: {count} lines')
        t.check(not t.read('log'), f'on standard error: {t.read("log")!r}')
    t.check(t.bare or len(t.reports()) == 4, 'not a report for each of 4 drains')


@scenario(only=ONE)
def log_off(t):
    """LASTCALL_LOG=off: nothing is said, not even of an unreadable variable; the report is written."""
    drain_once(t, LASTCALL_LOG='off', LASTCALL_IDLE='soon', LASTCALL_TYPO='1')
    t.check(not t.read('log'), f'it says {t.read("log")!r}')
    t.drained()


def plain_lines(t, name):
    """Lines of text with nothing in them that a terminal would act on."""
    lines = t.read(name).split('\n')
    t.check(lines.pop() == '', f'{name}: the last line does not end')
    for line in lines:
        t.check(re.fullmatch(r'lastcall[ -~]+', line), f'{name}: {line!r}')
    return lines


HOSTILE = (b"G'E|T", b'FOO"BAR', b'\x1b[31mGET', b'A\x00B', b'L\xc3\xa9', b'\xff\xfe', b'M' * 300, b'\\', b'a\nlastcall:', b'{"x":1}', b'%s%n')


@scenario(only=('epoll', 'epoll-unix', 'thread', 'node'))
def hostile_names(t):
    """What clients call their method, or an AF_UNIX client itself, can be in the log and the report, but not alter them."""
    for form in ('json', 'text'):
        t.start(LASTCALL_TIMEOUT='300ms', LASTCALL_IDLE='5s', LASTCALL_LOG='trace', LASTCALL_LOG_FORMAT=form, LASTCALL_LOG_FILE=t.path(form))
        wires = [t.wire() for _ in HOSTILE]
        if t.server.family == 'unix':
            wires.append(named_unix(t, t.path(f'{form}" \x1b\n{{"')))
        for wire, method in zip(wires, (*HOSTILE, b'GET')):
            wire.send(method + b' /sleep?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n')
        with t.wire() as wire:
            wire.send(request('PATCH', '/sleep?ms=60000'))
            t.get()  # by now it has read all that
            t.term()
            t.released()
        for wire in wires:
            wire.socket.close()
        if not t.bare:
            t.check(len(t.json_lines(form) if form == 'json' else plain_lines(t, form)) >= 2, 'nothing is said')
            report = t.report()
            t.check(any(cut['method'] == 'PATCH' for cut in report['aborts']), f"no PATCH: {report['aborts']}")
            t.note += f"{len(report['aborts'])} cut "
        t.again()


def named_unix(t, name):
    wire = t.wire()
    wire.socket.close()
    wire.socket = socket.socket(socket.AF_UNIX)
    wire.socket.bind(name)
    wire.socket.connect(t.target)
    return wire

