#!/usr/bin/python3
"""Go's own tests of what we stand before, as its authors wrote them (golang-1.19-src), compiled once and run without us and with
us: every single test must come out the same. A row a suite: tests run, differences.

  go_foreign.py BUILD [--go GO] [--suite os/signal,net ...]"""
import argparse
import os
import re
import subprocess
import sys

SUITES = ('os/signal', 'syscall', 'os', 'net', 'net/http')
BOUND = 900  # seconds


def outcomes(binary, where, preload):
    """Of each test, what it said; and the status of all."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('LASTCALL_') and k != 'LD_PRELOAD'}
    if preload:
        env['LD_PRELOAD'] = preload
    run = subprocess.run([binary, '-test.short', '-test.v'], cwd=where, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=BOUND, check=False)
    text = run.stdout.decode(errors='replace')
    return {name: said for said, name in re.findall(r'^ *--- (PASS|FAIL|SKIP): (\S+)', text, re.M)}, run.returncode


def suite(go, build, name):
    root = subprocess.run([go, 'env', 'GOROOT'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    where, binary = f'{root}/src/{name}', f'{build}/foreign/{name.replace("/", "_")}.test'
    os.makedirs(os.path.dirname(binary), exist_ok=True)
    env = {**os.environ, 'GO111MODULE': 'off', 'GOFLAGS': '', 'GOTOOLCHAIN': 'local', 'GOCACHE': f'{build}/e2e/go-cache'}
    subprocess.run([go, 'test', '-c', '-o', binary, name], env=env, check=True)
    bare, bare_status = outcomes(binary, where, None)
    ours, our_status = outcomes(binary, where, f'{build}/liblastcall.so')
    different = sorted(t for t in bare.keys() | ours.keys() if bare.get(t) != ours.get(t))
    good = not different and bare_status == our_status and len(bare) > 0
    print(f'{"ok" if good else "FAIL"} go-foreign/{name}: {len(ours)} tests, {len(different)} different, status {our_status} and '
          f'{bare_status} bare' + ''.join(f'\n  {t}: {ours.get(t)}, bare {bare.get(t)}' for t in different), flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build')
    p.add_argument('--go', default='go')
    p.add_argument('--suite', default=','.join(SUITES))
    o = p.parse_args()
    results = [suite(o.go, os.path.abspath(o.build), name) for name in o.suite.split(',')]
    sys.exit(not all(results))


if __name__ == '__main__':
    main()
