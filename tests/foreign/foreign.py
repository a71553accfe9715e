#!/usr/bin/python3
"""Other people's tests (CPython's, libuv's), without us and with us: the same result. One process for each suite and side, in a directory of its
own; a test whose results differ is run again by itself, both ways, and differs only if it does so AGAIN times of AGAIN.

  foreign.py --build build [SUITE...]"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

AGAIN = 3
LIBUV = ''  # where it was built
SECONDS = 900
PYTHON = '/usr/bin/python3'
CPYTHON = ('test_selectors', 'test_signal', 'test_socketserver', 'test_http_cookies', 'test_httplib', 'test_httpservers', 'test_ssl',
           'test_subprocess', 'test_socket', 'test_asyncio', 'test_multiprocessing_fork', 'test_multiprocessing_forkserver',
           'test_multiprocessing_spawn')
# unittest -v: "test_x (test.test_y.Class.test_x) ... ok", with whatever the test itself prints in between.
STARTED = re.compile(r'^(test\w*) \(([\w.]+)\)(?: \.\.\. )?(.*)$')
TAP = re.compile(r'^(ok|not ok) \d+ - (\w+)(.*)$', re.M)
ENDED = re.compile(r"(ok|FAIL|ERROR|expected failure|unexpected success|skipped .*)$")


def environment(build):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('LASTCALL_', '_LASTCALL', 'LD_PRELOAD'))}
    if build:
        clean['LD_PRELOAD'] = os.path.join(build, 'liblastcall.so')
    return clean


def say(argv, directory, build):
    """What it says, both outputs."""
    try:
        done = subprocess.run(argv, cwd=directory, env=environment(build), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, check=False, start_new_session=True)
        return done.stdout.decode(errors='replace')
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace') + '\nTIMEOUT'


def run_cpython(suite, build, tests):
    directory = tempfile.mkdtemp(prefix='lastcall-foreign-')
    # The tests of vsock wait for ever on a virtual machine whose host does not let them talk to themselves.
    text = say([PYTHON, '-m', 'test', '-v', '-u', 'network', '-i', '*VSOCK*', '--tempdir', directory, suite, *(w for test in tests for w in ('-m', test))],
               directory, build)
    shutil.rmtree(directory, ignore_errors=True)
    return results(text), text


def run_libuv(_, build, tests):
    """Where nobody may write and look: its program and, if need be, our object."""
    directory = tempfile.mkdtemp(prefix='lastcall-foreign-')
    for name in ('source/test', 'uv_run_tests'):
        source = os.path.join(LIBUV, name)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, os.path.join(directory, os.path.basename(name)))
    if build:
        shutil.copy(os.path.join(build, 'liblastcall.so'), directory)
    drop = []
    if os.geteuid() == 0:
        drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        for path, _, files in os.walk(directory):
            for name in ('', *files):
                os.chown(os.path.join(path, name), 65534, 65534)
    text = ''.join(say([*drop, './uv_run_tests', *one], directory, build and directory) for one in [(t,) for t in tests] or [()])
    shutil.rmtree(directory, ignore_errors=True)
    return {name: 'skipped' if 'SKIP' in rest else result for result, name, rest in TAP.findall(text)}, text


def run(suite, build, tests=()):
    """{test: result}, and what it said."""
    return (run_libuv if suite == 'libuv' else run_cpython)(suite, build, tests)


def results(text):
    found, current = {}, None
    for line in text.splitlines():
        started = STARTED.match(line)
        if started:
            name, place, line = started.groups()
            current = place if place.endswith('.' + name) else f'{place}.{name}'
            found[current] = 'no result'
        ended = ENDED.search(line)
        if current and ended:
            found[current] = ended.group(1).split(' ')[0]
            current = None
    return found


def differing(bare, ours):
    return sorted(name for name in bare.keys() | ours.keys() if bare.get(name) != ours.get(name))


def really_differ(suite, build, names):
    """Of these, the ones that differ each time when they are run by themselves."""
    for _ in range(AGAIN):
        if not names:
            break
        patterns = [name.rsplit('.', 1)[-1] for name in names]
        bare, _ = run(suite, None, patterns)
        ours, _ = run(suite, build, patterns)
        names = [name for name in differing(bare, ours) if name in names]
    return names


def compare(suite, build, verbose):
    start = time.monotonic()
    bare, text = run(suite, None)
    ours, our_text = run(suite, build)
    if not bare:
        print(f'FAIL foreign {suite}: there are no results: {text[-300:]}', flush=True)
        return False
    first = differing(bare, ours)
    names = really_differ(suite, build, first)
    good = sum(result == 'ok' for result in ours.values())
    counts = f'{len(bare)} tests, {good} passed with us, {sum(r == "ok" for r in bare.values())} without'
    took = f'{time.monotonic() - start:.0f} s'
    if first:
        counts += f', {len(first)} differed once'
    if not names:
        print(f'ok foreign {suite}: {counts}, 0 differences, {took}', flush=True)
        if verbose and first:
            print('\n'.join(f'    once: {name}: {bare.get(name)} without us, {ours.get(name)} with us' for name in first))
        return True
    print(f'FAIL foreign {suite}: {counts}, {len(names)} DIFFERENCES, {took}')
    for name in names:
        print(f'    {name}: {bare.get(name)} without us, {ours.get(name)} with us')
    with open(os.path.join(build, f'foreign-{suite}.log'), 'w', encoding='utf-8') as f:
        f.write(our_text)
    return False


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build')
    p.add_argument('-v', action='store_true', dest='verbose')
    p.add_argument('suites', nargs='*', default=(*CPYTHON, 'libuv'))
    o = p.parse_args()
    build = os.path.abspath(o.build)
    global LIBUV
    LIBUV = os.path.join(build, 'foreign')
    if 'libuv' in o.suites:
        subprocess.run([f'{os.path.dirname(os.path.abspath(__file__))}/libuv.sh', LIBUV], check=True)
    version = subprocess.run([PYTHON, '--version'], capture_output=True, text=True, check=False).stdout.strip()
    print(f'{version}, {" ".join(o.suites)}', flush=True)
    sys.exit(0 if all([compare(suite, build, o.verbose) for suite in o.suites]) else 1)


if __name__ == '__main__':
    main()
