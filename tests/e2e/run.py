#!/usr/bin/python3
"""Every server, every scenario.

  run.py                                   the racing scenarios once; of slow servers and of variants of a server not those that
                                           ask about one connection or a master only, unless a server or a scenario is named
  run.py --all                             those too
  run.py --repeat 20 --group-repeat 5      the racing ones 20 times on nginx, node and epoll, 5 times on groups and Go
  run.py --racing --repeat 200             only those
  run.py --server nginx,node --scenario hammer --repeat 5 -v --env LASTCALL_IDLE=200ms
  run.py --bare                            without us: what would be lost
  run.py --control                         without us and without TERM: the suite itself loses nothing
  run.py --all --root DIRECTORY            the servers that are found in that root filesystem (tests/rootfs/enter.sh)
  run.py --profile                         one at a time, and what each scenario and each server has cost

Each ok says how long the server took to end: a figure, no verdict. Scenarios that keep a processor busy run a few at a time, and
beside them many that mostly wait.

A missing server is a skip that is said aloud, and a failure where the environment says CI=true."""
import argparse
import json
import os
import random
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import activation  # noqa: F401  (fills the table)
import cells  # noqa: F401
import container  # noqa: F401
import exact  # noqa: F401
import golang  # noqa: F401
import groups  # noqa: F401  (fills the table)
import harness
import launcher  # noqa: F401
import hostile  # noqa: F401
import netns
import opaque  # noqa: F401
import external  # noqa: F401
import place
import scenarios
import servers
import shutdown  # noqa: F401
import variables  # noqa: F401


CORES = os.cpu_count() or 2


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build')
    p.add_argument('--server', default='', help='comma list')
    p.add_argument('--scenario', default='', help='comma list')
    p.add_argument('--repeat', type=int, default=1, help='of the racing scenarios')
    p.add_argument('--group-repeat', type=int, default=1, help='of those on servers of several processes')
    p.add_argument('--kills', type=int, default=4, help='of killed-at-random')
    p.add_argument('--all', action='store_true')
    p.add_argument('--racing', action='store_true', help='only the racing scenarios, on the servers that repeat them')
    p.add_argument('--jobs', type=int, default=5 * CORES, help='at a time, of those that mostly wait')
    p.add_argument('--heavy', type=int, default=CORES, help='at a time, of those that keep a processor busy')
    p.add_argument('--tails', type=int, default=3, help='runs for a figure of the scenarios that measure one')
    p.add_argument('--pipelined', type=int, default=200_000, help='requests of hostile-pipeline')
    p.add_argument('--profile', action='store_true')
    p.add_argument('--bare', action='store_true')
    p.add_argument('--control', action='store_true')
    p.add_argument('--env', action='append', default=[], help='NAME=VALUE for the server')
    p.add_argument('--root', default='', help='of the servers; made by tests/rootfs, entered by tests/rootfs/enter.sh')
    p.add_argument('--summary', default='', help='a file for the counts, as JSON')
    p.add_argument('-v', action='store_true', dest='verbose')
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    o.env = dict(e.split('=', 1) for e in o.env)
    o.bare |= o.control
    return o


def named(text, table, what):
    names = [n for n in text.split(',') if n] or list(table)
    for name in names:
        if name not in table:
            sys.exit(f'run.py: no {what} {name!r}; there are: {" ".join(table)}')
    return [table[n] for n in names]


def elsewhere(scenario):
    """It is about the server and its clients alone: it can be had with the server in another root filesystem."""
    plain = scenario.run.__module__ in ('scenarios', 'exact', 'groups', 'opaque', 'cells', 'hostile')
    return plain and not hasattr(scenario, 'make') and not scenario.measured


def suits(options, server, scenario):
    if options.root and (server.external or not elsewhere(scenario)):
        return False
    if (server.external and scenario.name not in server.plain) or (server.only and scenario.name not in server.only):
        return False
    if scenario.needs in server.lacking() or scenario.speaks not in server.speaks:
        return False
    return bool(server.group) or not scenario.group


def wanted(options, server, scenario):
    """How often."""
    asked = server.name in options.server.split(',') and scenario.name in options.scenario.split(',')
    if not suits(options, server, scenario) or (scenario.only and server.name not in scenario.only and not asked):
        return 0
    if (scenario.long or server.name in scenario.long_on) and not options.all and scenario.name not in options.scenario.split(','):
        return 0
    if scenario.name in scenarios.NOT_ASKED.get(server.name, ()) and not (options.all or options.server or options.scenario):
        return 0
    if options.control and not scenario.racing:
        return 0
    return wanted_group(options, server, scenario) if server.group else wanted_single(options, server, scenario)


def wanted_single(options, server, scenario):
    everything = options.all or options.server or options.scenario
    if server.plain and scenario.name not in server.plain and not everything:
        return 0
    if not scenario.racing:
        return 0 if options.racing else 1
    if server.name in scenarios.REPEATED_LESS or (options.racing and server.name in scenarios.SOAKED):
        return options.group_repeat
    repeated = server.name in scenarios.REPEATED or options.server
    return options.repeat if repeated else 0 if options.racing else 1


def wanted_group(options, server, scenario):
    everything = options.all or options.server or options.scenario
    if server.plain and scenario.name not in server.plain and not everything:
        return 0
    if scenario.name in scenarios.GROUP_RACING:
        soaked = server.name in scenarios.GROUP_SOAKED or options.server
        return 0 if options.racing and not soaked else options.group_repeat
    plain = scenario.group or scenario.only or scenario.name in scenarios.GROUP_SHARED
    return 1 if not options.racing and (plain or everything) else 0


def spent():
    """Processor time of every process that has ended, and was waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


COUNTS = ('passed', 'failed', 'skipped', 'served')


class Suite:
    def __init__(self, options):
        self.options, self.lock = options, threading.Lock()
        self.passed = self.failed = self.skipped = self.served = self.lost = 0
        self.servers, self.costs = set(), {}

    def say(self, text):
        with self.lock:
            print(text, flush=True)

    def once(self, server, scenario):
        """One run: (verdict, evidence, what else is to be said); verdict None is good."""
        test = None
        try:
            test = scenario.make(server, self.options) if hasattr(scenario, 'make') else harness.Test(server, self.options)
            scenario.run(test)
            notes = [test.note.strip(', ')] if self.options.verbose or scenario.measured else []
            return None, '', ', '.join([n for n in notes if n] + ([f'ended in {test.took:.2f} s'] if test.took is not None else []))
        except harness.Missing as e:
            return e, '', ''
        except harness.Failure as e:
            return str(e), test.evidence(), ''
        except Exception as e:  # the suite's own fault is a failure too
            return f'{type(e).__name__}: {e}', test.evidence() if test else '', ''
        finally:
            if test:
                self.count(test)
                test.close()

    def count(self, test):
        results = [load.result for load in test.loads if load.result]
        with self.lock:
            self.served += sum(result['ok'] for result in results)
            self.lost += sum(result['lost'] for result in results)

    def job(self, server, scenario, number, of):
        self.servers.add(server.name)
        name = f'{server.name}/{scenario.name}' + (f' {number + 1}/{of}' if of > 1 else '')
        start, cpu = time.monotonic(), spent()
        verdict, evidence, note = self.once(server, scenario)
        self.cost(server, scenario, time.monotonic() - start, spent() - cpu)
        took = f' ({time.monotonic() - start:.1f} s)' if self.options.verbose else ''
        if isinstance(verdict, harness.Missing):
            self.skip(name, str(verdict))
        elif verdict is None:
            self.passed += 1
            if self.options.verbose or number == of - 1:
                self.say(f'ok {name}{took}' + (f': {note}' if note else ''))
        elif self.options.bare:
            self.failed += 1
            self.say(f'bare {name}: ' + (verdict if self.options.verbose else verdict.split('\n')[0]))
        else:
            self.failed += 1
            self.say(f'FAIL {name}: {verdict}{took}\n{evidence}'.rstrip())

    def skip(self, name, why):
        if os.environ.get('CI') == 'true':
            self.failed += 1
            self.say(f'FAIL {name}: missing: {why}')
        else:
            self.skipped += 1
            self.say(f'SKIP {name}: missing: {why}  <<<<<<<<')

    def run(self, jobs):
        if self.options.profile:
            for j in jobs:
                self.job(*j)
            return
        random.Random(1).shuffle(jobs)  # the same way each time
        with ThreadPoolExecutor(self.options.heavy) as heavy, ThreadPoolExecutor(self.options.jobs) as light:
            for done in [(heavy if j[1].heavy else light).submit(self.job, *j) for j in jobs]:
                done.result()

    def cost(self, server, scenario, wall, cpu):
        with self.lock:
            for of in (f'server {server.name}', f'scenario {scenario.name}'):
                runs, before, computed = self.costs.get(of, (0, 0, 0))
                self.costs[of] = runs + 1, before + wall, computed + cpu

    def say_costs(self):
        print(f"{'':40} runs   wall s    cpu s")
        for of, (runs, wall, cpu) in sorted(self.costs.items(), key=lambda item: -item[1][2]):
            print(f'{of:40} {runs:4} {wall:8.1f} {cpu:8.1f}')


def plan(options, suite):
    table = dict(scenarios.SCENARIOS, **netns.SCENARIOS)
    chosen, jobs = named(options.scenario, table, 'scenario'), []
    for server in named(options.server, servers.SERVERS, 'server'):
        missing = server.missing(options.build, harness.Test.place)
        if missing and options.root:
            continue  # what is found there is asked
        if missing:
            suite.skip(server.name, missing)
            continue
        for scenario in chosen:
            times = wanted(options, server, scenario)
            jobs += [(server, scenario, n, times) for n in range(times)]
    order = {s.name: i for i, s in enumerate(chosen)}
    return sorted(jobs, key=lambda j: order[j[1].name])


def main():
    options = parse()
    harness.own_signals()
    harness.Test.place = place.Place(options.root)
    suite = Suite(options)
    if not options.bare and not os.path.exists(os.path.join(options.build, 'liblastcall.so')):
        sys.exit(f'run.py: {options.build}/liblastcall.so is missing: make')
    harness.adopt_orphans()
    start = time.monotonic()
    suite.run(plan(options, suite))
    if options.profile:
        suite.say_costs()
    skipped = f', {suite.skipped} skipped' if suite.skipped else ''
    lost = f', {suite.lost} requests lost' if options.bare else ''
    if options.summary:
        with open(options.summary, 'w') as f:
            json.dump({'servers': sorted(suite.servers), **{name: getattr(suite, name) for name in COUNTS}}, f)
    print(f'{suite.passed} passed, {suite.failed} failed{skipped}{lost} in {time.monotonic() - start:.0f} s')
    sys.exit(suite.failed > 0 and not (options.bare and not options.control))


if __name__ == '__main__':
    main()
