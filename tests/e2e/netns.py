"""The server in one network namespace, its clients in another, and the kernel's counters of the server's
side as a witness that does not depend on us: it never aborted a connection; and of the clients' side: none of
their connections was reset. (The server's side may send an RST more than there were refusals: to an ACK that comes
twice, when the connection has ended on both sides.)"""
import itertools
import os
import subprocess
import threading

import harness
import procfs
import scenarios

_numbers = itertools.count()
_lock = threading.Lock()
WATCHED = ('TCPAbortOnClose', 'TCPAbortOnData')
SERVER_ADDRESS, CLIENT_ADDRESS = '10.213.0.1', '10.213.0.2'


def ip(*args, check=True):
    done = subprocess.run(['ip', *args], capture_output=True, text=True, check=False)
    if done.returncode and check:
        raise harness.Missing(f'ip {" ".join(args)}: {done.stderr.strip()}')


class Test(harness.Test):
    def __init__(self, server, options):
        with _lock:
            self.number = f'{os.getpid()}-{next(_numbers)}'
        self.server_ns, self.client_ns = f'lcs-{self.number}', f'lcc-{self.number}'
        super().__init__(server, options, SERVER_ADDRESS, ['ip', 'netns', 'exec', self.server_ns])
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        for ns in (self.server_ns, self.client_ns):
            ip('netns', 'add', ns)
            ip('-n', ns, 'link', 'set', 'lo', 'up')
        ip('-n', self.server_ns, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', self.client_ns)
        for ns, address in ((self.server_ns, SERVER_ADDRESS), (self.client_ns, CLIENT_ADDRESS)):
            ip('-n', ns, 'address', 'add', f'{address}/24', 'dev', 'veth0')
            ip('-n', ns, 'link', 'set', 'veth0', 'up')

    def load(self, requests, **options):
        return super().load(requests, prefix=['ip', 'netns', 'exec', self.client_ns], **options)

    def get(self, path='/'):
        """One request, from the clients' side."""
        with harness.Load(self, f'GET {path}', prefix=['ip', 'netns', 'exec', self.client_ns], clients=1, limit=1, fresh=True,
                          wait_fin=True) as load:
            result = load.finish()
        if not result['ok']:
            raise OSError('not served')
        return type('Served', (), {'status': 200})

    def unread(self):
        return procfs.in_network_of(f'/run/netns/{self.server_ns}', super().unread)

    def counters(self, ns=None):
        text = subprocess.run(['ip', 'netns', 'exec', ns or self.server_ns, 'cat', '/proc/net/netstat', '/proc/net/snmp'],
                              capture_output=True, text=True, check=True).stdout
        lines, found = text.splitlines(), {}
        for names, values in zip(lines[::2], lines[1::2]):
            kind = names.split(':')[0]
            for name, value in zip(names.split()[1:], values.split()[1:]):
                if kind in ('TcpExt', 'Tcp'):
                    found[name] = int(value)
        return found

    def start(self, bare=None, **env):
        super().start(bare, **env)
        self.before, self.clients_before = self.counters(), self.counters(self.client_ns)
        return self

    def resets(self):
        """Connections of clients that were open, and were reset."""
        return self.counters(self.client_ns)['EstabResets'] - self.clients_before['EstabResets']

    def close(self):
        super().close()
        for ns in (self.server_ns, self.client_ns):
            ip('netns', 'delete', ns, check=False)


def witnessed(run):
    def scenario(t):
        run(t)
        now = t.counters()
        change = {name: now[name] - t.before[name] for name in (*WATCHED, 'OutRsts')}
        refused = sum(load.result['refused'] for load in t.loads if load.result)
        aborted = {name: change[name] for name in WATCHED if change[name]}
        t.check(not aborted, f'the kernel aborted connections: {aborted}')
        t.check(change['OutRsts'] >= refused, f"{change['OutRsts']} RSTs were sent, {refused} clients were refused")
        t.check(t.resets() == 0, f'{t.resets()} connections of clients were reset')
        t.note += f", {change['OutRsts']} RSTs"
    return scenario


class Scenario(scenarios.Scenario):
    make = Test


SCENARIOS = {f'netns-{name}': Scenario(f'netns-{name}', witnessed(scenarios.SCENARIOS[name].run), only=('nginx', 'nginx-2', 'gunicorn-gthread'),
                                       heavy=scenarios.SCENARIOS[name].heavy, long_on=scenarios.long_on(name))
             for name in ('inflight', 'hammer', 'think', 'churn', 'idle', 'upload')}
