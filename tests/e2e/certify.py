#!/usr/bin/python3
"""The certificate: so many restarts under load, of every server that speaks HTTP/1, each in a network namespace of its own
whose kernel counts what is aborted and reset. Prints what was served, lost, aborted, reset, and how long the ends took; fails
if anything was lost.

  certify.py --build build --restarts 1000"""
import argparse
import datetime
import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import harness
import netns
import servers
from scenarios import EXACT, percentile

LOADS = {  # as the racing scenarios of scenarios.py have it
    'hammer': {'clients': 16, 'ready_ok': 400},
    'think': {'clients': 64, 'ready_ok': 256, 'think_min': 5, 'think_max': 50},
    'churn': {'clients': 16, 'ready_ok': 300, 'fresh': True},
}
VERSIONS = ('nginx', 'apache2-bin', 'nodejs', 'python3', 'python3-aiohttp', 'gunicorn', 'uvicorn', 'puma', 'default-jdk-headless',
            'golang-go', 'libc6')
LOST = ('lost', 'aborted_close', 'aborted_data', 'resets', 'failed')
COUNTED = ('restarts', 'served', 'refused', 'strays', *LOST)


class Certificate:
    def __init__(self, options):
        self.options, self.lock = options, threading.Lock()
        self.rows, self.tails, self.ends, self.why = {}, [], [], []

    def add(self, name, **counts):
        with self.lock:
            row = self.rows.setdefault(name, dict.fromkeys(COUNTED, 0))
            for key, value in counts.items():
                row[key] += value

    def note(self, text):
        with self.lock:
            self.why.append(text)

    def restart(self, server, load_name):
        name = f'{server.name}/{load_name}'
        try:
            t = netns.Test(server, self.options)
        except harness.Missing as e:
            sys.exit(f'certify: {e}')
        try:
            self._measure(t, server, load_name)
        except harness.Failure as e:
            self.note(f'{name}: {e}\n{t.evidence()}')
            self.add(server.name, failed=1)
        finally:
            t.close()

    def _measure(self, t, server, load_name):
        t.start()
        how = LOADS[load_name]
        load = t.load(f'GET / {EXACT}', until_refused=True, **{**how, 'ready_ok': t.warm(how['ready_ok'], how['clients'])})
        load.wait_ready()
        t.term()
        result = load.finish()
        t.exits()
        now = t.counters()
        change = {name: now[name] - t.before[name] for name in (*netns.WATCHED, 'OutRsts')}
        report = t.report()
        lost, resets = result['lost'] + report['aborted'], t.resets()
        counts = {'restarts': 1, 'served': result['ok'], 'refused': result['refused'], 'lost': lost,
                  'aborted_close': change['TCPAbortOnClose'], 'aborted_data': change['TCPAbortOnData'],
                  'resets': resets, 'strays': change['OutRsts'] - result['refused'] - resets,
                  'failed': report['end'] != 'drained'}
        self.add(server.name, **counts)
        with self.lock:
            self.tails.append(report['exit_delay_us'] / 1e3)
            self.ends.append((t.process.ended - t.termed) * 1e3)
        if any(counts[key] for key in LOST):
            self.note(f'{server.name}/{load_name}: {counts}\n{harness.losses(result) if result["lost"] else ""}{t.evidence()}')


def wanted(build):
    """Every server that speaks HTTP/1 over TCP, with us in it, and is here; the others by name. Not those of a few
    scenarios only: haproxy ends each connection to its backend by a reset, and the counters do not tell whose it is."""
    missing = []
    for server in servers.SERVERS.values():
        if 'http' not in server.speaks or server.family != 'ipv4' or server.external or server.only:
            continue
        if lacks := server.missing(build):
            missing.append(f'{server.name} ({lacks})')
        else:
            yield server
    if missing:
        print('certify: NOT HERE: ' + ', '.join(missing), flush=True)


def versions():
    done = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}, ', *VERSIONS], capture_output=True, text=True, check=False)
    return f'Linux {platform.release()} {platform.machine()}, {done.stdout.strip(", ")}'


def percentiles(values):
    values = sorted(values)
    return ' '.join(f'{name} {percentile(values, p):.1f}' for name, p in (('median', .5), ('p90', .9), ('p99', .99), ('max', 1)))


def say(c, seconds):
    print(f"\n{'server':22} restarts  served  refused  lost  AbortOnClose  AbortOnData  other resets")
    total = dict.fromkeys(COUNTED, 0)
    for name, row in [*sorted(c.rows.items()), ('all', total)]:
        print(f"{name:22} {row['restarts']:8} {row['served']:7} {row['refused']:8} {row['lost']:5} {row['aborted_close']:13} "
              f"{row['aborted_data']:12} {row['resets']:13}" + (f"   {row['failed']} FAILED" if row['failed'] else ''))
        if row is not total:
            for key in total:
                total[key] += row[key]
    if c.tails:
        print(f'\nlast response to release, ms: {percentiles(c.tails)}\nTERM to the end, ms:          {percentiles(c.ends)}')
    print(f"RSTs that met no connection that was open, nor a SYN: {total['strays']}")
    print(f'{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s, {os.cpu_count()} cores, load '
          f'{os.getloadavg()[0]:.1f}\n{versions()}')
    return total


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build')
    p.add_argument('--restarts', type=int, default=1000)
    p.add_argument('--jobs', type=int, default=2 * (os.cpu_count() or 2))
    o = p.parse_args()
    o.build, o.bare, o.control, o.env = os.path.abspath(o.build), False, False, {}
    harness.own_signals()
    harness.adopt_orphans()
    c, here = Certificate(o), list(wanted(o.build))
    if not here:
        sys.exit('certify: there is no server')
    begun = datetime.datetime.now()
    with ThreadPoolExecutor(o.jobs) as pool:
        for n in range(o.restarts):
            pool.submit(c.restart, here[n % len(here)], list(LOADS)[n // len(here) % len(LOADS)])
    for why in c.why[:10]:
        print(why)
    total = say(c, (datetime.datetime.now() - begun).total_seconds())
    sys.exit(1 if any(total[key] for key in LOST) or total['restarts'] != o.restarts else 0)


if __name__ == '__main__':
    main()
