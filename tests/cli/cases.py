"""Cases of one command: `@case` registers a function; main() runs all, or those named, and prints a verdict for each."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))  # procfs, wire, harness: what the other suite has already
import harness  # noqa: E402
from bound import BOUND  # noqa: E402

_cases = []
build = ''


class Failure(Exception):
    pass


def check(truth, otherwise):
    if not truth:
        raise Failure(otherwise)


def case(function):
    _cases.append(function)
    return function


def forget():
    """What an imported file has registered."""
    _cases.clear()


def until(what, question):
    """The first true answer. what: the condition in words, or a function that tells it when the time is over."""
    deadline = time.monotonic() + BOUND
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise Failure(f'not within {BOUND:.0f} s: {what() if callable(what) else what}')
        time.sleep(0.01)
    return answer


def clean(**more):
    """The environment, without what is ours in it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(('LASTCALL_', 'LD_PRELOAD', '_LASTCALL_'))}
    return {**env, **more}


def lastcall(*words, stdin=None, env=None, seconds=BOUND, **how):
    """Run it to its end: returncode, stdout, stderr."""
    return subprocess.run([f'{build}/lastcall', *map(str, words)], input=stdin, env=env, timeout=seconds, text=True,
                          capture_output=True, check=False, **how)


def says(run, status, pattern):
    """It ended with this status, and said this (a regular expression) on standard error."""
    check(run.returncode == status, f'exit status {run.returncode}, not {status}: {run.stderr}')
    check(re.search(pattern, run.stderr), f'it said {run.stderr!r}, not {pattern!r}')


def directory():
    """For `with`: removed afterwards."""
    return tempfile.TemporaryDirectory(prefix='lastcall-cli-')


def verdict(name, function):
    """Run it. The line that says how it went, and how long it took; whether it passed."""
    begun = time.monotonic()
    try:
        note = function()
        return f'ok {name} ({time.monotonic() - begun:.1f} s)' + (f': {note}' if note else ''), True
    except (Failure, harness.Failure, subprocess.TimeoutExpired) as e:
        return f'FAIL {name}: {e}', False
    except Exception:  # the suite's own fault is a failure too
        return f'FAIL {name}: {traceback.format_exc()}', False


def main(jobs=1):
    """jobs: so many cases at a time, where they mostly wait."""
    global build
    harness.own_signals()
    p = argparse.ArgumentParser()
    p.add_argument('--build', default='build')
    p.add_argument('names', nargs='*', help='of cases, as they are printed')
    o = p.parse_args()
    build = os.path.abspath(o.build)
    of = os.path.basename(sys.argv[0]).removesuffix('.py').removesuffix('_test')
    named = [(f'{of}/{f.__name__.replace("_", "-")}', f) for f in _cases]
    if unknown := set(o.names) - {name for name, _ in named}:
        p.error(f'no such case: {", ".join(sorted(unknown))}')
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for line, passed in pool.map(lambda case: verdict(*case), [n for n in named if not o.names or n[0] in o.names]):
            print(line, flush=True)
            failed += not passed
    sys.exit(failed > 0)
