"""Real servers for the commands' tests, by the machinery of tests/e2e."""
from types import SimpleNamespace

import cases
import harness
import launcher
import servers
from scenarios import EXACT

SLOW = f'GET /sleep?ms={{ms}} {EXACT}'


def options(**env):
    return SimpleNamespace(build=cases.build, bare=False, control=False, env=env)


def started(name='epoll', make=launcher.Test, env=None, **how):
    test = make(servers.SERVERS[name], options(**(env or {})), **how)
    test.start()
    return test


class Closing:
    def __init__(self, test):
        self.test = test

    def __enter__(self):
        return self.test

    def __exit__(self, kind, *error):
        if kind:
            print(self.test.evidence(), flush=True)
        self.test.close()


def busy(test, clients=8):
    """Clients whose requests are in flight."""
    for ms in harness.longer(2000):
        load = test.load(SLOW.format(ms=ms), clients=clients, limit=1, wait_fin=True, ready_sent=clients)
        load.wait_ready()
        test.let_read(clients, load)
        if not load.is_over():
            break
    return load
