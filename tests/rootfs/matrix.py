#!/usr/bin/python3
"""Every place that lastcall must work in: for each a run of the suite on the servers that are found there, and one row of a table
at the end. The roots are made once and kept in BUILD/roots.

  matrix.py --build build [--place bullseye,musl] [what run.py understands...]"""
import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, '..', 'e2e', 'run.py')
COUNTS = ('passed', 'failed', 'skipped', 'served')


@dataclass
class Place:
    name: str
    what: str       # for the reader
    make: tuple     # the script that makes its root, and what it is told first; empty: this machine
    libc: tuple     # a command there that says which libc it has


# What the containers of tests/e2e/container.py run in: Debian's smallest root filesystem.
CONTAINER = ('bookworm', 'nginx-light,gunicorn')

GLIBC = ('getconf', 'GNU_LIBC_VERSION')
PLACES = (
    Place('here', 'this machine', (), GLIBC),
    Place('bullseye', 'Debian 11', ('glibc.sh', 'bullseye'), GLIBC),
    Place('trixie', 'Debian 13', ('glibc.sh', 'trixie'), GLIBC),
    Place('musl', "no glibc; nginx and lighttpd from Debian's sources", ('musl.sh',), ('/lib/ld-musl-x86_64.so.1',)),
)


def root_of(place, build):
    return os.path.join(build, 'roots', f'place-{place.name}') if place.make else ''


def made(place, build):
    if not place.make:
        return True
    script, *arguments = place.make
    return not subprocess.run([f'{HERE}/{script}', *arguments, root_of(place, build), build], check=False).returncode


def container_root(build):
    suite, packages = CONTAINER
    root = os.path.join(build, 'roots', suite)
    if not os.path.exists(root):
        subprocess.run([f'{HERE}/../debootstrap.sh', suite, root, packages], check=True)
    return root


def libc(place, build):
    chroot = ['/usr/sbin/chroot', root_of(place, build)] if place.make else []
    said = subprocess.run([*chroot, *place.libc], capture_output=True, text=True, check=False)
    lines = (said.stdout or said.stderr).split('\n')  # musl says `musl libc (x86_64)`, `Version 1.2.3`, and how it is used
    return lines[0] if len(lines) < 3 else f"musl {lines[1].split()[-1]}"


def run(place, build, rest):
    """The suite there: its counts. One that breaks off has failed."""
    summary = os.path.join(build, f'matrix-{place.name}.json')
    if os.path.exists(summary):
        os.unlink(summary)
    suite, env = [sys.executable, RUN, '--build', build, '--all', '--summary', summary, *rest], dict(os.environ)
    if place.make:
        root = root_of(place, build)
        suite = [f'{HERE}/enter.sh', root, build, *suite, '--root', root]
    else:
        env['CONTAINER_ROOT'] = container_root(build)
    subprocess.run(suite, env=env, check=False)
    try:
        with open(summary, encoding='utf-8') as f:
            return json.load(f)
    except OSError:
        print(f'FAIL matrix/{place.name}: the suite broke off', flush=True)
        return {**dict.fromkeys(COUNTS, 0), 'failed': 1, 'servers': []}


def table(rows):
    print(f'\n{"place":<10}{"libc":<14}{"servers":>8}' + ''.join(f'{name:>9}' for name in COUNTS))
    for place, which, counts in rows:
        print(f'{place.name:<10}{which:<14}{len(counts["servers"]):>8}' + ''.join(f'{counts[name]:>9}' for name in COUNTS) +
              f'  {place.what}')
    for place, _, counts in rows:
        print(f'{place.name}: {" ".join(counts["servers"])}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build')
    p.add_argument('--place', default='', help='comma list')
    o, rest = p.parse_known_args()
    build, names = os.path.abspath(o.build), [name for name in o.place.split(',') if name]
    if unknown := set(names) - {place.name for place in PLACES}:
        sys.exit(f'matrix.py: no place {" ".join(unknown)}; there are: {" ".join(place.name for place in PLACES)}')
    rows, unmade = [], 0
    for place in PLACES:
        if names and place.name not in names:
            continue
        print(f'== {place.name}', flush=True)
        if made(place, build):
            rows.append((place, libc(place, build), run(place, build, rest)))
        else:
            print(f'FAIL matrix/{place.name}: its root cannot be made', flush=True)
            unmade += 1
    table(rows)
    passed, failed = (sum(counts[name] for _, _, counts in rows) for name in ('passed', 'failed'))
    print(f'{passed} passed, {failed + unmade} failed')
    sys.exit(bool(failed + unmade or not passed))


if __name__ == '__main__':
    main()
