#!/usr/bin/python3
"""lastcall run as the process of a service: what the service manager means for it is meant for the command."""
import os
import re
import signal
import socket
import struct
import subprocess

import cases
import harness
from cases import case, check, clean, directory

VARIABLES = ('LISTEN_PID', 'WATCHDOG_PID', 'SYSTEMD_EXEC_PID')


def started(*words, env, before='', **how):
    """lastcall run, by a shell that has become it: the variables in `before` name it."""
    exports = ''.join(f'export {name}=$$; ' for name in before.split())
    return subprocess.Popen(['sh', '-c', f'{exports}exec "$@"', 'sh', f'{cases.build}/lastcall', 'run', '--log', 'warn', *words], env=env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


@case
def variables_name_the_command():
    script = '; '.join(f'[ "${name}" = $$ ] && echo {name}' for name in VARIABLES) + '; echo "${LISTEN_PIDFDID-none}"'
    run = started('sh', '-c', script, env=clean(WATCHDOG_USEC='3000000', LISTEN_PIDFDID='17'), before=' '.join(VARIABLES))
    said = run.communicate(timeout=cases.BOUND)
    check(said[0].split() == [*VARIABLES, 'none'], f'{said}')


@case
def variables_that_name_others_stay():
    run = started('sh', '-c', 'echo $LISTEN_PID $WATCHDOG_PID $LISTEN_PIDFDID ${SYSTEMD_EXEC_PID-none}',
                  env=clean(LISTEN_PID='4711', WATCHDOG_PID='odd', LISTEN_PIDFDID='17'))
    check(run.communicate(timeout=cases.BOUND)[0] == '4711 odd 17 none\n', 'it has changed them')


class Manager:
    """Takes what services say to it, and from whom."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(path)
        self.socket.settimeout(cases.BOUND)

    def hears(self):
        """(process, words)"""
        words, rights, *_ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
        return struct.unpack('3i', rights[0][2])[0], words.decode()

    def close(self):
        self.socket.close()


READY = '''
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1")
%s
'''


def service(d, ends, *options, before='SYSTEMD_EXEC_PID'):
    """(manager, run): a service of Type=notify."""
    manager = Manager(f'{d}/notify')
    run = started(*options, '--', '/usr/bin/python3', '-c', READY % ends, env=clean(NOTIFY_SOCKET=manager.path), before=before)
    return manager, run


@case
def the_command_is_the_main_process():
    """It is named before it says a word, and its status comes to the service manager: a failure stays one."""
    for ends, status in (('raise SystemExit(7)', 7), ('os.kill(os.getpid(), 9)', -9), ('pass', 0)):
        with directory() as d:
            manager, run = service(d, ends)
            who, words = manager.hears()
            command = re.fullmatch(r'MAINPID=(\d+)', words)
            check(who == run.pid and command, f'{who} says {words}')
            check(manager.hears() == (int(command[1]), 'READY=1'), 'the command is not heard next')
            check(run.communicate(timeout=cases.BOUND)[1] == '', 'it says something')
            check(run.returncode == (status if status >= 0 else 128 - status), f'the launcher ends with {run.returncode}')
            got = os.waitstatus_to_exitcode(os.waitpid(int(command[1]), 0)[1])  # orphans come to us
            check(got == status, f'the command ended with {got}, not {status}')
            manager.close()


@case
def a_signal_to_the_main_process_ends_both():
    with directory() as d:
        manager, run = service(d, 'time.sleep(600)')
        command = int(manager.hears()[1].split('=')[1])
        manager.hears()
        os.kill(command, signal.SIGTERM)
        check(run.wait(cases.BOUND) == 128 + signal.SIGTERM, f'{run.returncode}')
        run.communicate()
        check(os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]) == -signal.SIGTERM, 'not by the signal')
        manager.close()


@case
def who_is_not_the_main_process_does_not_say_so():
    """A worker that a service starts by lastcall run; and a command that is drained from outside: there the signal is for us."""
    with directory() as d:
        manager, run = service(d, 'pass', before='')
        check(manager.hears()[1] == 'READY=1' and run.wait(cases.BOUND) == 0, 'of a worker')
        run.communicate()
        manager.close()
    with directory() as d:
        manager, run = service(d, 'pass', '--external')
        check(manager.hears()[1] == 'READY=1', 'externally')
        check('NotifyAccess=all' in run.communicate(timeout=cases.BOUND)[1], 'it does not say what to do')
        manager.close()


@case
def nobody_hears_it():
    """The service manager's socket is gone: the command starts all the same."""
    run = started('sh', '-c', 'exit 5', env=clean(NOTIFY_SOCKET='/nowhere/notify'), before='SYSTEMD_EXEC_PID')
    said = run.communicate(timeout=cases.BOUND)
    check(run.returncode == 5 and 'MAINPID cannot be said' in said[1], f'{run.returncode}: {said}')


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main()
