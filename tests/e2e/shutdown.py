"""Programs that shut down by a handler of their own: inside lastcall's deadline, and, where that is wished, first."""
import signal
import time

from bound import NEVER
from scenarios import EXACT, request, scenario, until_refused

GRACE = ('gunicorn-sync', 'gunicorn-gthread', 'uvicorn', 'aiohttp', 'puma', 'apache-event', 'nginx-2')
LONGER = ('h2o', 'caddy')


@scenario(only=(*GRACE, *LONGER), long_on=LONGER)
def own_grace(t):
    """A request without an end, and a server that waits for it longer than the deadline, or for ever: it gets its signal before, and at
    the deadline it is gone."""
    t.start(LASTCALL_TIMEOUT='3s')
    load = t.load('GET /sleep?ms=600000', clients=1, limit=1, ready_sent=1)
    load.wait_ready()
    t.let_read()
    t.term()
    took = t.expires()
    t.note = f'gone after {took:.2f} s'
    if t.bare:
        return t.no_loss(load)
    report = t.report()
    t.check(report['end'] == 'deadline' and report['aborted'] == 1, f'the report says {report}')
    return None


GRACEFUL = {'nginx': signal.SIGQUIT, 'nginx-2': signal.SIGQUIT, 'apache-event': signal.SIGWINCH, 'apache-prefork': signal.SIGWINCH}


@scenario(racing=True, only=tuple(GRACEFUL), long_on=('apache-prefork',))
def graceful_signal(t):
    """The signal by which its image, its unit and its own tool stop it, and no word of it in LASTCALL_SIGNALS: it is drained as by TERM.
    (apache's workers block that signal.)"""
    until_refused(t, 16, 400, number=GRACEFUL[t.server.name], think_min=1, think_max=5)


@scenario(only=GRACE)
def shutdown_time(t):
    """Its own shutdown, with requests in flight, loses none of them, and is not ended as long as it has time."""
    t.start(LASTCALL_TIMEOUT='100s', LASTCALL_SHUTDOWN_TIME='99s')
    load = t.load(f'GET /sleep?ms=4000 {EXACT}', clients=t.some(4), limit=1, ready_sent=t.some(4))
    load.wait_ready()
    t.let_read(t.some(4), load)
    t.term()
    t.no_loss(load)
    t.exits()
    t.drained(aborted=0)


def application(t, bare):
    """It goes on serving after TERM, until it is told that it may go; what it ends itself it ends as it likes."""
    t.start(bare=bare, LASTCALL_DELIVER='first', LASTCALL_TIMEOUT=NEVER)
    with t.wire() as events, t.wire() as client:
        events.send(request('GET', '/events'))
        events.wait_for(b'data: hello\n\n')
        t.check(t.get('/ready').status == 200, 'it is not ready')
        t.term()
        t.until('its word that it is not ready', lambda: t.get('/ready').status == 503)
        for _ in range(20):  # on new connections, and nothing of lastcall's stops them after a moment
            time.sleep(0.02)
            t.check(t.get('/ready').status == 503, 'it does not say so any more')
        events.wait_for(b'event: bye\n\n')
        client.send(request('GET', '/'))
        said = client.response()
        t.check(said.status == 200 and (t.bare or bare or 'close' in said.tokens()), f'a request after TERM: {said.head!r}')
        t.get('/done')
        t.exits(status=3)
    if not t.bare and not bare:
        t.drained()


@scenario(only=('node-own',))
def deliver_first(t):
    """LASTCALL_DELIVER=first: what TERM tells an application is not kept from it. With lastcall as without."""
    application(t, True)
    t.again()
    application(t, t.bare)
