"""Other people's suites: each is run without us or with us, whole or only some tests of it, and says what came of each test.

A suite is `prepare(build)`, which fetches and builds what it needs, and `run(build, tests)`, which returns {test: result} and what
was said; build is None for a run without us."""
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 900
PYTHON = '/usr/bin/python3'
CPYTHON = ('test_selectors', 'test_select', 'test_poll', 'test_epoll', 'test_signal', 'test_threadsignals', 'test_socketserver',
           'test_http_cookies', 'test_http_cookiejar', 'test_httplib', 'test_httpservers', 'test_ssl', 'test_subprocess', 'test_socket',
           'test_asyncio', 'test_multiprocessing_main_handling', 'test_multiprocessing_fork', 'test_multiprocessing_forkserver',
           'test_multiprocessing_spawn')
# Directories of perl's source, and patterns of their tests.
PERL = {'t/io': 'io/*.t', 'IO': 't/*.t', 'Socket': 't/*.t', 'IO-Socket-IP': 't/*.t', 'libnet': 't/*.t', 'HTTP-Tiny': 't/*.t',
        'IPC-Open3': 't/*.t'}
PERL_PLACE = {'t/io': 't', 'IO': 'dist/IO', 'IPC-Open3': 'ext/IPC-Open3'}  # the others are below cpan
RUBY = {'io': ['test/ruby/test_io.rb', 'test/ruby/test_io_buffer.rb', 'test/ruby/test_io_m17n.rb', 'test/io'], 'socket': ['test/socket'],
        'net-http': ['test/net/http', 'test/net/protocol'], 'process': ['test/ruby/test_process.rb', 'test/ruby/test_signal.rb']}


@dataclass
class Suite:
    prepare: Callable
    run: Callable


def environment(build, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('LASTCALL_', '_LASTCALL', 'LD_PRELOAD'))}
    if build:
        clean['LD_PRELOAD'] = os.path.join(build, 'liblastcall.so')
    return {**clean, **more}


def say(argv, directory, build, seconds=SECONDS, **env):
    """What it says, both outputs, and how it ended."""
    try:
        done = subprocess.run(argv, cwd=directory, env=environment(build, **env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False, start_new_session=True)
        return done.stdout.decode(errors='replace'), done.returncode
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b'').decode(errors='replace') + '\nTIMEOUT', 'timeout'


def fetched(script, name, *more):
    """A preparation: scripts fetch into a directory of the build, once."""
    def prepare(build):
        subprocess.run([os.path.join(HERE, script), *more, os.path.join(build, 'foreign', name)], check=True)
    return prepare


def source(name):
    return os.path.join(where, 'foreign', name, 'source')


# ---- CPython: unittest -v, "test_x (test.test_y.Class.test_x) ... ok", with whatever the test itself prints in between -------------

STARTED = re.compile(r'^(test\w*) \(([\w.]+)\)(?: \.\.\. )?(.*)$')
ENDED = re.compile(r'(ok|FAIL|ERROR|expected failure|unexpected success|skipped .*)$')


def unittest_results(text):
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


def cpython(suite):
    def run(build, tests):
        directory = tempfile.mkdtemp(prefix='lastcall-foreign-')
        only = [word for test in tests for word in ('-m', test.rsplit('.', 1)[-1])]
        # The tests of vsock wait for ever on a virtual machine whose host does not let them talk to themselves.
        text, _ = say([PYTHON, '-m', 'test', '-v', '-u', 'network', '-i', '*VSOCK*', '--tempdir', directory, suite, *only], directory, build)
        shutil.rmtree(directory, ignore_errors=True)
        return unittest_results(text), text
    return Suite(lambda build: None, run)


# ---- libuv: one program, TAP ---------------------------------------------------------------------------------------------

TAP = re.compile(r'^(ok|not ok) \d+ - (\w+)(.*)$', re.M)


def run_libuv(build, tests):
    """Where nobody may write and look: its program and, if need be, our object."""
    directory = tempfile.mkdtemp(prefix='lastcall-foreign-')
    for path in (os.path.join(source('libuv'), 'test'), os.path.join(os.path.dirname(source('libuv')), 'uv_run_tests')):
        (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(directory, os.path.basename(path)))
    if build:
        shutil.copy(os.path.join(build, 'liblastcall.so'), directory)
    drop = []
    if os.geteuid() == 0:
        drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
        for path, _, files in os.walk(directory):
            for name in ('', *files):
                os.chown(os.path.join(path, name), 65534, 65534)
    text = ''.join(say([*drop, './uv_run_tests', *one], directory, build and directory)[0] for one in [(t,) for t in tests] or [()])
    shutil.rmtree(directory, ignore_errors=True)
    return {name: 'skipped' if 'SKIP' in rest else result for result, name, rest in TAP.findall(text)}, text


# ---- perl: a program for each file, TAP; a test is FILE:NUMBER, and the file's end is one too ----------------------------------------

NUMBERED = re.compile(r'^(ok|not ok) (\d+)\b(.*)$', re.M)


def perl(name):
    def run(build, tests):
        place = os.path.join(source('perl'), PERL_PLACE.get(name, f'cpan/{name}'))
        directory, pattern = os.path.split(PERL[name])
        files = sorted({t.partition(':')[0] for t in tests} or
                       {os.path.join(directory, f) for f in os.listdir(os.path.join(place, directory)) if f.endswith(pattern[1:])})
        found, all_text = {}, ''
        for file in files:
            text, status = say(['perl', file], place, build, 180, NO_NETWORK_TESTING='1')
            found[f'{file}:end'] = 'ok' if status == 0 else f'status {status}'
            for result, number, rest in NUMBERED.findall(text):
                found[f'{file}:{number}'] = 'skipped' if '# skip' in rest.lower() else result
            all_text += text
        return found, all_text
    return Suite(fetched('perl.sh', 'perl'), run)


# ---- ruby: its own test-unit -----------------------------------------------------------------------------------------------

RAN = re.compile(r'^\[ *\d+/\d+\] (\S+) = ', re.M)
COMPLAINED = re.compile(r'^ +\d+\) (Failure|Error|Skipped):\n(\S+?)(?: \[.*|:)?$', re.M)


def ruby(name):
    def run(build, tests):
        only = ['-n', '/^(' + '|'.join(re.escape(t) for t in tests) + ')$/'] if tests else []
        text, _ = say(['ruby', 'test/runner.rb', '-v', '--seed=1', *RUBY[name], *only], source('ruby'), build)
        found = dict.fromkeys(RAN.findall(text), 'ok')
        for result, test in COMPLAINED.findall(text):
            found[test] = result
        return found, text
    return Suite(fetched('../source.sh', 'ruby/source', 'ruby3.1'), run)


where = ''  # the build folder, in which sources are kept

SUITES = {**{name: cpython(name) for name in CPYTHON}, 'libuv': Suite(fetched('libuv.sh', 'libuv'), run_libuv),
          **{f'perl/{name}': perl(name) for name in PERL}, **{f'ruby/{name}': ruby(name) for name in RUBY}}
