#!/usr/bin/python3
"""lastcall run as a parent: signals, orphans, job control on a terminal."""
import ctypes
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import cases
import procfs
from cases import case, check, clean, until

# Not to be caught by anybody, or libc's own.
NOT_FORWARDED = (signal.SIGKILL, signal.SIGSTOP, 32, 33)
EVERY = [n for n in range(1, 65) if n not in NOT_FORWARDED]

# Says each signal that it gets, and its value; ends with 9 at the last.
WITNESS = f'''
import signal
every = set({EVERY})
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print('ready', flush=True)
while True:
    got = signal.sigwaitinfo(every)
    print(got.si_signo, flush=True)
    if got.si_signo == 64:
        raise SystemExit(9)
'''


class Run:
    """`lastcall run`, running."""

    def __init__(self, *words, **how):
        self.child = subprocess.Popen([f'{cases.build}/lastcall', 'run', '--log', 'off', '--', *words], stdout=subprocess.PIPE,
                                      bufsize=0, env=clean(), start_new_session=True, **how)  # select does not see a buffer
        self.pid = self.child.pid

    def line(self):
        check(select.select([self.child.stdout], [], [], cases.BOUND)[0], 'nothing comes')
        return self.child.stdout.readline().decode().strip()

    def status(self):
        return self.child.wait(cases.BOUND)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for pid in [*procfs.descendants(self.pid), self.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()
        self.child.stdout.close()


@case
def every_signal_is_forwarded():
    with Run(sys.executable, '-c', WITNESS) as run:
        check(run.line() == 'ready', 'it does not start')
        for number in EVERY:
            os.kill(run.pid, number)
            got = run.line()
            check(got == str(number), f'{number} was forwarded as {got!r}')
        check(run.status() == 9, 'the status')
    return f'{len(EVERY)} signals'


@case
def a_signal_keeps_its_value():
    program = ('import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {10})\nprint("ready", flush=True)\n'
               'import ctypes\nb = (ctypes.c_char * 128)()\nm = ctypes.c_uint64(1 << 9)\n'
               'ctypes.CDLL(None).sigwaitinfo(ctypes.byref((ctypes.c_uint64 * 16)(1 << 9)), b)\n'
               'print(int.from_bytes(b[8:12], "little", signed=True), int.from_bytes(b[24:32], "little"), flush=True)\n')
    with Run(sys.executable, '-c', program) as run:
        check(run.line() == 'ready', 'it does not start')
        libc = ctypes.CDLL(None)
        libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        check(libc.sigqueue(run.pid, 10, 4711) == 0, 'sigqueue')
        got = run.line()
        check(got == '-1 4711', f'si_code and value: {got}')


@case
def signals_come_to_the_command_alone():
    """Not to its children: as without us."""
    with Run('sh', '-c', f'{sys.executable} -c "{WITNESS}" & trap "echo mine" USR1; echo started; wait; wait; wait') as run:
        check(sorted([run.line(), run.line()]) == ['ready', 'started'], 'it does not start')
        os.kill(run.pid, signal.SIGUSR1)
        check(run.line() == 'mine', 'the shell got nothing')
        for pid in procfs.children(procfs.children(run.pid)[0]):
            os.kill(pid, signal.SIGUSR2)  # of several it takes the lowest number first
        check(run.line() == str(int(signal.SIGUSR2)), 'its child got it too')


@case
def orphans_are_reaped():
    """Also where it is not PID 1: it is their subreaper."""
    orphan = '(sh -c "sleep 0.02 & exec true" & ); '
    with Run('sh', '-c', orphan * 20 + 'sleep 0.3; echo done; exec sleep 20') as run:
        check(run.line() == 'done', 'it does not run')

        def zombies():
            return [pid for pid in procfs.children(run.pid) if not procfs.lives(pid)]
        until('no zombies', lambda: not zombies())
        until('nobody but the command', lambda: len(procfs.children(run.pid)) == 1)
        os.kill(run.pid, signal.SIGTERM)
        check(run.status() == 143, 'the status')


@case
def it_ends_with_its_command():
    """Not before it, and not when another child of its ends."""
    with Run('sh', '-c', '(sh -c "sleep 0.05; exit 5" &); sleep 0.3; exit 6') as run:
        began = time.monotonic()
        check(run.status() == 6 and time.monotonic() - began >= 0.29, f'{run.child.returncode}')


@case
def a_command_that_ignores_the_signal_goes_on():
    with Run('sh', '-c', 'trap "" TERM; echo ready; sleep 0.5; exit 4') as run:
        run.line()
        os.kill(run.pid, signal.SIGTERM)
        check(run.status() == 4, f'{run.child.returncode}')


# ---- on a terminal ------------------------------------------------------------------------------------------

# What an interactive shell does for one job: its process group is in the foreground, and when it stops, the shell is.
SHELL = '''
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def foreground(group):
    os.tcsetpgrp(0, group)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    foreground(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    pid, status = os.waitpid(job, os.WUNTRACED)
    foreground(os.getpgrp())
    if not os.WIFSTOPPED(status):
        break
    print('stopped', flush=True)
    for line in sys.stdin:
        if line.strip() == 'bg':
            os.killpg(job, signal.SIGCONT)
            print('gone on', flush=True)
        elif line.strip() == 'fg':
            foreground(job)
            os.killpg(job, signal.SIGCONT)
            break
print('ended', os.waitstatus_to_exitcode(status), flush=True)
'''


class Terminal:
    """A shell on a terminal of its own, that runs `lastcall run` as a job."""

    def __init__(self, *words):
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            program = [f'{cases.build}/lastcall', 'run', '--log', 'off', '--', *words]
            os.execve(sys.executable, [sys.executable, '-c', SHELL, *program], clean())
        mode = termios.tcgetattr(self.fd)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSANOW, mode)
        self.seen = ''

    def says(self, pattern):
        def found():
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode()
                except OSError:  # the last one on the terminal is gone
                    pass
            return re.search(pattern, self.seen)
        try:
            match = until(f'the terminal shows {pattern!r}', found)
        except cases.Failure as e:
            raise cases.Failure(f'{e}; it shows {self.seen!r}') from e
        self.seen = self.seen[match.end():]
        return match

    def type(self, text):
        os.write(self.fd, text.encode())

    def states(self):
        """Of the processes of the job."""
        return {(procfs.stat(pid) or 'X')[0] for pid in procfs.descendants(self.shell)}

    def goes_on(self):
        until('the job goes on', lambda: 'T' not in self.states())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for pid in [*procfs.descendants(self.shell), self.shell]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.close(self.fd)
        os.waitpid(self.shell, 0)


READER = 'echo ready; while read -r line; do echo "read $line"; done; exit 3'


@case
def the_command_reads_the_terminal():
    with Terminal('sh', '-c', READER) as t:
        t.says('ready')
        t.type('hello\n')
        t.says('read hello')
        t.type('\x04')
        t.says('ended 3')


@case
def control_c_comes_once():
    with Terminal('sh', '-c', 'trap "echo got INT" INT; echo ready; while :; do sleep 0.1; echo tick; done') as t:
        t.says('ready')
        t.type('\x03')
        t.says('got INT')
        t.says('(?s)tick.*tick')
        t.type('\x1c')  # QUIT ends it
        t.says('ended 131')
        check('got INT' not in t.seen, 'twice')


@case
def control_z_stops_the_job():
    with Terminal('sh', '-c', READER) as t:
        t.says('ready')
        for word in ('one', 'two'):
            t.type('\x1a')
            t.says('stopped')
            check(t.states() == {'T'} and len(procfs.descendants(t.shell)) >= 2, f'{t.states()}')
            t.type('fg\n')
            t.goes_on()
            t.type(f'{word}\n')
            t.says(f'read {word}')
        t.type('\x04')
        t.says('ended 3')


@case
def in_the_background_it_stops_when_it_reads():
    with Terminal('sh', '-c', READER) as t:
        t.says('ready')
        t.type('\x1a')
        t.says('stopped')
        t.type('bg\n')
        t.says('gone on')
        until('it has stopped again', lambda: t.states() == {'T'})
        t.type('fg\n')
        t.goes_on()
        t.type('three\n')
        t.says('read three')
        t.type('\x04')
        t.says('ended 3')


@case
def the_terminal_is_given_back():
    """A script has no job control: what follows the launcher reads the terminal too."""
    with Terminal('sh', '-c', f'{cases.build}/lastcall run --log off sh -c "echo ready; read -r a; echo first \\$a"; read -r b; echo "second $b"') as t:
        t.says('ready')
        t.type('x\n')
        t.says('first x')
        t.type('y\n')
        t.says('second y')
        t.says('ended 0')


if __name__ == '__main__':
    cases.main()
