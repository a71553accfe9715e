"""Real drains for the tests of `lastcall timeline`: a server of the other suite, clients of known kinds, TERM, the report."""
import argparse
import contextlib
import json
import os
import time

import harness
import servers

import cases

EXACT = f'pattern={servers.SMALL}'


@contextlib.contextmanager
def server(name, **env):
    options = argparse.Namespace(build=cases.build, bare=False, control=False, env={})
    harness.adopt_orphans()
    test = harness.Test(servers.SERVERS[name], options)
    try:
        test.start(LASTCALL_REPORT_CONNECTIONS='1', **env)
        yield test
    finally:
        test.close()


def clients(t, number, path, ready='ready_sent', **options):
    load = t.load(f'GET {path} {EXACT}', clients=number, limit=1, **{ready: number}, **options)
    load.wait_ready()
    return load


def drain(name, idle, sleeps, aborted=0, **env):
    """`idle` connections that have been served once; for each of `sleeps` (ms: how many) requests in flight; `aborted` that no
    deadline waits for. Returns the report, and the file's text."""
    shortest = min(sleeps, default=1000)
    with server(name, **env) as t:
        for ms in harness.longer(shortest):
            if not t.process:
                t.start(LASTCALL_REPORT_CONNECTIONS='1', **env)
            if drained(t, idle, {each * ms // shortest: number for each, number in sleeps.items()}, aborted):
                break
            t.again()
        t.until('the report', t.is_released)
        text = t.read('report')
        return json.loads(text.splitlines()[-1]), text


def drained(t, idle, sleeps, aborted):
    """Were all of them in flight at TERM?"""
    holding = clients(t, idle, '/', 'ready_ok', hold=True) if idle else None
    lost = clients(t, aborted, '/sleep?ms=600000') if aborted else None
    loads = [clients(t, sleeps[ms], f'/sleep?ms={ms}') for ms in sorted(sleeps, reverse=True)]  # the shortest last
    t.let_read(sum(sleeps.values()) + aborted, loads[-1] if loads else None)
    t.term()
    served = [t.no_loss(load) for load in loads]
    if holding:
        t.no_loss(holding)
    if lost:
        cases.check(lost.finish()['lost'] == aborted, 'what was to be aborted was not')
    return not sleeps or t.in_time(min(each['first_response'] for each in served) / 1e9, min(sleeps))


def varied(name, connections, aborted=0):
    """For the eye: requests of many lengths, idle ones, some that come late."""
    with server(name, **({'LASTCALL_TIMEOUT': '1500ms'} if aborted else {})) as t:
        each = max(1, connections // 20)
        for ms in (150, 300, 450, 600, 750, 900, 1050, 1300):
            clients(t, each, f'/sleep?ms={ms}', wait_fin=True)
        if aborted:
            clients(t, aborted, '/sleep?ms=60000')
        idle = max(1, connections // 5)
        clients(t, idle, '/', 'ready_ok', hold=True)
        rest = max(1, connections - 8 * each - aborted - idle)
        late = t.load(f'GET /sleep?ms=80 {EXACT}', clients=rest, until_refused=True, think_min=50, think_max=600, ready_ok=rest,
                      duration=20000)
        late.wait_ready()
        time.sleep(0.02)
        t.term()
        t.process.wait(cases.BOUND)
        return t.read('report')


def put(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, 'w') as f:
        f.write(text)
    return path
