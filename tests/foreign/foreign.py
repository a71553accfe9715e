#!/usr/bin/python3
"""Other people's tests (suites.py), without us and with us: the same result. A test whose results differ is run again by itself, both
ways, and differs only if it does so AGAIN times of AGAIN.

  foreign.py --build build [-v] [SUITE...]"""
import argparse
import os
import sys
import time

import suites

AGAIN = 3


def differing(bare, ours):
    return sorted(name for name in bare.keys() | ours.keys() if bare.get(name) != ours.get(name))


def really_differ(suite, build, names):
    """Of these, the ones that differ each time when they are run by themselves."""
    for _ in range(AGAIN):
        if not names:
            break
        bare, _ = suite.run(None, names)
        ours, _ = suite.run(build, names)
        names = [name for name in differing(bare, ours) if name in names]
    return names


def compare(name, build, verbose):
    start = time.monotonic()
    suite = suites.SUITES[name]
    suite.prepare(build)
    bare, text = suite.run(None, ())
    ours, our_text = suite.run(build, ())
    if not bare:
        print(f'FAIL foreign {name}: there are no results: {text[-300:]}', flush=True)
        return False
    first = differing(bare, ours)
    names = really_differ(suite, build, first)
    passed, bare_passed = (sum(result == 'ok' for result in side.values()) for side in (ours, bare))
    counts = f'{len(bare)} tests, {passed} passed with us, {bare_passed} without'
    took = f'{time.monotonic() - start:.0f} s'
    if first:
        counts += f', {len(first)} differed once'
    if not names:
        print(f'ok foreign {name}: {counts}, 0 differences, {took}', flush=True)
        if verbose and first:
            print('\n'.join(f'    once: {test}: {bare.get(test)} without us, {ours.get(test)} with us' for test in first), flush=True)
        return True
    print(f'FAIL foreign {name}: {counts}, {len(names)} DIFFERENCES, {took}')
    for test in names:
        print(f'    {test}: {bare.get(test)} without us, {ours.get(test)} with us', flush=True)
    with open(os.path.join(build, f'foreign-{name.replace("/", "-")}.log'), 'w', encoding='utf-8') as f:
        f.write(our_text)
    return False


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build')
    p.add_argument('-v', action='store_true', dest='verbose')
    p.add_argument('suites', nargs='*', default=(*suites.SUITES,))
    o = p.parse_args()
    suites.where = build = os.path.abspath(o.build)
    os.makedirs(os.path.join(build, 'foreign'), exist_ok=True)
    sys.exit(0 if all([compare(name, build, o.verbose) for name in o.suites]) else 1)


if __name__ == '__main__':
    main()
