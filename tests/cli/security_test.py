#!/usr/bin/python3
"""lastcall run writes to paths that others may have prepared: its log, and the report of an external drain. As with the library
(tests/integration/security.c), no file of anybody else comes to harm, and the server drains all the same."""
import os
import signal
import subprocess

import cases
import harness
from cases import case, check, clean, directory

NOBODY = 65534
SERVER = '''
import signal, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print("ready", flush=True)
signal.pause()
'''


def drained(*options):
    """(standard error, status) of a server that is drained externally."""
    run = subprocess.Popen([f'{cases.build}/lastcall', 'run', '--external', '--idle', '100ms', *options, '--', '/usr/bin/python3', '-c', SERVER],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean())
    check(run.stdout.readline() == 'ready\n', 'it does not serve')
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=cases.BOUND)[1]
    check(run.returncode == 128 + signal.SIGTERM, f'{run.returncode}: {said}')
    return said


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def prepare(d, kind):
    """(path to write to, file that must not be written to), as another user would prepare them where all may write."""
    os.chmod(d, 0o777)  # not sticky: there the kernel itself may refuse (fs.protected_symlinks)
    path, victim = f'{d}/path', f'{d}/victim'
    if kind != 'link to nothing':
        with open(victim, 'w', encoding='utf-8') as f:
            f.write('precious\n')
    if kind == 'second name':
        os.link(victim, path)
    else:
        os.symlink(victim, path)
        os.lchown(path, NOBODY, NOBODY)
    return path, victim


def unharmed(kind, victim):
    if kind == 'link to nothing':
        check(not os.path.exists(victim), 'it was made')
    else:
        check(read(victim) == 'precious\n', f'{kind}: {read(victim)}')


@case
def files_of_others():
    for kind in ('link', 'link to nothing', 'second name'):
        for option, said in (('--report', 'the report file cannot be opened'), ('--log-file', 'the log file cannot be opened')):
            with directory() as d:
                path, victim = prepare(d, kind)
                errors = drained(option, path)
                check(said in errors and 'lastcall: drained' in errors, f'{kind}: {errors}')
                unharmed(kind, victim)


@case
def links_of_ones_own():
    with directory() as d:
        for name in ('report', 'log'):
            os.symlink(f'{d}/real-{name}', f'{d}/{name}')
        check(drained('--report', f'{d}/report', '--log-file', f'{d}/log') == '', 'it writes elsewhere')
        check('"end":"drained"' in read(f'{d}/real-report') and 'lastcall: drained' in read(f'{d}/real-log'), 'nothing was written')


@case
def a_fifo_that_nobody_reads():
    """It is not waited for."""
    with directory() as d:
        os.mkfifo(f'{d}/fifo')
        errors = drained('--report', f'{d}/fifo', '--log-file', f'{d}/fifo')
        check('the report file cannot be opened' in errors and 'the log file cannot be opened' in errors, errors)


@case
def a_device_that_is_full():
    check('lastcall: drained' in drained('--report', '/dev/full'), 'the drain is not in the log')


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main()
