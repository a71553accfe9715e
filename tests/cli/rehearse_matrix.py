#!/usr/bin/python3
"""Every scenario of lastcall rehearse on every server of tests/e2e that speaks plain HTTP (`make rehearsals`): nothing is
lost with us, it ends by itself, and all that waits in the accept queue or is in flight is lost without us, where a bare run
of tests/e2e loses it. And what takes a minute: a server that does not set SO_REUSEADDR.
rehearse_matrix.py --build BUILD [NAME...]"""
import json
import os
import subprocess
import sys

import cases
import harness
import rehearse_test
import servers
from cases import case, check, directory, lastcall

def rehearse(server, d):
    backend_port, port = harness.free_port(), harness.free_port()
    address = f'unix:{d}/socket' if server.family == 'unix' else port
    host = '::1' if server.family == 'ipv6' else '127.0.0.1'
    command = server.command(cases.build, d, host, address, backend_port)
    clients = ['--clients', server.at_once] if server.at_once < 8 else []
    url = ['--url', f'http://127.0.0.1:{port}/'] if server.family == 'ipv4' else []
    backend = None
    if server.backend:
        backend = subprocess.Popen([f'{cases.build}/e2e/thread', str(backend_port)])
    try:
        return lastcall('rehearse', '--json', '--slow', '/sleep?ms=500', *clients, *url, '--', *command,
                        env={**os.environ, **server.env}, seconds=400)
    finally:
        if backend:
            backend.kill()
            backend.wait()


def judge(server):
    with directory() as d:
        os.chmod(d, 0o755)
        run = rehearse(server, d)
    check(run.stdout.startswith('{'), f'{run.returncode} {run.stderr}')
    found = json.loads(run.stdout)
    for s in found['scenarios']:
        bare, ours = s['without'], s['with']
        check(not ours['lost'] and not ours['killed'] and ours['report'], f"{s['name']}, with us: {ours} {run.stderr}")
        sure = s['name'] in ('backlog', 'inflight') and server.name not in rehearse_test.OWN_GRACE
        check(bare['lost'] or not sure, f"{s['name']}, without us: nothing is lost: {bare}")
    check(run.returncode == 0 and found['verdict'] == 'kept', f'{run}')
    return f"{found['lost_without']} lost without us, {found['lost_with']} with us"


def add(server):
    def one():
        missing = server.missing(cases.build)
        check(not missing, f'missing: {missing}')
        return judge(server)
    one.__name__ = server.name
    case(one)


cases.forget()
for longer in (rehearse_test.becomes_ready_late, rehearse_test.changing_bodies, rehearse_test.many_processes):
    case(longer)
for each in servers.SERVERS.values():
    if 'http' in each.speaks and not each.daemon:
        add(each)


@case
def no_reuse_of_addresses():
    """Its port is in TIME_WAIT after the bare run: it is waited for."""
    port = harness.free_port()
    stubborn = rehearse_test.PROGRAM % 'Server.allow_reuse_address = False'
    # a server that closes first has the TIME_WAIT on its side
    closing = stubborn.replace("self.send_header('Content-Length'", "self.send_header('Connection', 'close')\n        self.send_header('Content-Length'")
    run = rehearse_test.script(port, closing, '--json', '--scenario', 'hammer', seconds=200)
    check(run.returncode == 0 and json.loads(run.stdout)['lost_with'] == 0, f'{run}')


if __name__ == '__main__':
    sys.exit(cases.main())
