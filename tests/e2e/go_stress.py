#!/usr/bin/python3
"""Calls of a Go program under us, with all that Go does to a thread at the same time (servers/go/stress): no fault, every
byte the right one, and how many of our stacks were ever in use, and how deep.

  go_stress.py BUILD [--calls N]     N hooked calls in all, by default 400,000"""
import argparse
import os
import re
import subprocess
import sys

EACH, STACKS, PAGE = 32 << 10, 256, 4096  # shim/sys/stacks.h
PRESENT, SWAPPED = 1 << 63, 1 << 62

VARIANTS = (  # name, program, environment
    ('one', 'go-stress', {'GOMAXPROCS': '1', 'GOGC': '1'}),
    ('two', 'go-stress', {'GOMAXPROCS': '2', 'GOGC': '1', 'STRESS_PROFILE': '1'}),
    ('many', 'go-stress', {'GOMAXPROCS': '64', 'GOGC': '1', 'STRESS_PROFILE': '1'}),
    ('static', 'go-stress-static', {'GOMAXPROCS': '64', 'GOGC': '5', 'STRESS_PROFILE': '1'}),
    ('race', 'go-stress-race', {'GOMAXPROCS': '8'}),
)


def stacks_of(pid):
    """Our stacks in a process: those that were ever used, and the most bytes of one."""
    with open(f'/proc/{pid}/smaps') as f:  # of that size, with the flags of no stack of libc's: no reserve, no huge pages
        maps = re.findall(r'^([0-9a-f]+)-([0-9a-f]+) rw-p (?:.*\n)+?VmFlags: (.*)$', f.read(), re.M)
    base = next(int(begin, 16) for begin, end, flags in maps
                if int(end, 16) - int(begin, 16) == EACH * STACKS and {'nr', 'nh'} <= set(flags.split()))
    with open(f'/proc/{pid}/pagemap', 'rb', buffering=0) as f:
        f.seek(base // PAGE * 8)
        words = f.read(EACH * STACKS // PAGE * 8)
    pages = [bool(int.from_bytes(words[i:i + 8], 'little') & (PRESENT | SWAPPED)) for i in range(0, len(words), 8)]
    stacks = [pages[i:i + EACH // PAGE] for i in range(0, len(pages), EACH // PAGE)]
    # The lowest page of each holds errno where there is no libc; what is above it grows downwards.
    return sum(map(any, stacks)), max(PAGE * sum(s[1:]) for s in stacks)


def run(build, name, program, env, calls):
    path = f'{build}/e2e/{program}'
    if not os.path.exists(path):
        return None, f'{program} is missing'
    words = [path, str(calls), '200']
    if 'static' in program:
        words = [f'{build}/e2e/inject', *words]
    env = {**os.environ, **env, 'LD_PRELOAD': f'{build}/liblastcall.so', 'STRESS_WAIT': '1'}
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline()
        if not line:
            _, err = child.communicate()
            return False, f'it ended with {child.returncode}: {err[-2000:]}'
        used, deepest = stacks_of(child.pid)
        child.communicate()
    if child.returncode != 0:
        return False, f'it ended with {child.returncode}'
    if used >= STACKS or deepest > EACH * 3 // 4:
        return False, f'{used} stacks were used, the deepest with {deepest} bytes'
    return True, f'{line.strip()}, {used} of {STACKS} stacks, at most {deepest} bytes'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('build')
    p.add_argument('--calls', type=int, default=400_000)
    p.add_argument('--only', default='')
    o = p.parse_args()
    variants = [v for v in VARIANTS if not o.only or v[0] in o.only.split(',')]
    bad = False
    for name, program, env in variants:
        good, text = run(os.path.abspath(o.build), name, program, env, o.calls // len(variants))
        word = 'SKIP' if good is None else 'ok' if good else 'FAIL'
        bad |= word == 'FAIL'
        print(f'{word} go-stress/{name}: {text}', flush=True)
    sys.exit(bad)


if __name__ == '__main__':
    main()
