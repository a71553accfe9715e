#!/usr/bin/python3
"""lastcall run: drains through it: a server as the command, behind a shell that stays, two of them, one that ignores TERM;
also as PID 1 of a container. The strict load client counts what is lost."""
import os
import shutil
import signal
import subprocess
import sys
import time

import cases
import harness
import launcher
import procfs
import wire
from cases import case, check, directory, until
from scenarios import term_again
from serving import SLOW, Closing, busy, started

ENDLESS = 'GET /sleep?ms=600000'


def drains(test, status=None, number=signal.SIGTERM, **expected):
    """8 requests in flight and TERM, to the launcher: they are served, it ends with this status, if not the server's, and the report
    says so. What the clients saw."""
    result = test.term_in_flight(SLOW, 8, number=number)
    drained(test, status, **expected)
    return result


def drained(test, status=None, **expected):
    test.note = f'{test.exits(status=status):.2f} s'
    test.drained(**{'in_flight': 8, **expected})
    check(not procfs.lives(test.process.pid), 'the launcher lives')


def behind(body, name='epoll', env=None, make=launcher.Test, **how):
    """A launcher whose command is a shell with this script; "$@" is the server."""
    class Shell(make):
        def launch(self, argv, env):
            return super().launch(['/bin/sh', '-c', body, 'sh', *argv], env)
    return started(name, Shell, env, **how)


@case
def the_server_is_the_command():
    with Closing(started()) as t:
        drains(t)
        return t.note


class Static(launcher.Test):
    """A static Go server, without the suite's own program that puts the library into it."""
    def launch(self, argv, env):
        check(argv[0].endswith('/inject'), f'{argv}')
        return super().launch(argv[1:], env)


@case
def a_static_go_server():
    """No dynamic linker, no symbols: the library comes in as the launcher executes it."""
    with Closing(started('go-nethttp-stripped', Static)) as t:
        drains(t)
        check('verdict=full' in t.evidence(), t.evidence())
        return t.note


@case
def a_sanitized_server():
    """gcc's AddressSanitizer must be the first library: it is put before ours, and the server drains like any."""
    with directory() as d:
        os.chmod(d, 0o755)
        binary = f'{d}/epoll'
        subprocess.run(['gcc', '-g', '-fsanitize=address', '-D_GNU_SOURCE', '-pthread', '-iquote', 'shim', '-o', binary,
                        f'{cases.ROOT}/tests/e2e/servers/epoll.c', f'{cases.ROOT}/tests/e2e/servers/http.c'], cwd=cases.ROOT, check=True)

        class Sanitized(launcher.Test):
            def launch(self, argv, env):
                return super().launch([binary, *argv[1:]], {**env, 'ASAN_OPTIONS': 'detect_leaks=0'})

        with Closing(started('epoll', Sanitized)) as t:
            note = drains(t)
            check('verdict=partial' in t.evidence() and 'must be the first library' in t.evidence(), t.evidence())
            return note


@case
def a_shell_that_stays_as_parent():
    """Its own signal is held back, and it ends as it would when the server has ended: what it does then is done."""
    with Closing(behind('"$@" & wait $!; echo "status $?" >>"$LASTCALL_REPORT.shell"; exit 12')) as t:
        served = drains(t, 12)['ok']
        check(t.read('report.shell') == 'status 143\n' and served == 8, t.read('report.shell'))


@case
def a_shell_that_waits_for_something_else():
    """It does not notice the server's end: then it has its signal."""
    with Closing(behind('"$@" & exec sleep 60')) as t:
        drains(t, 143)


@case
def a_shell_with_its_own_trap():
    """One that forwards the signal itself: the server hears it from us before, and once."""
    with Closing(behind('trap "kill -TERM \\$pid" TERM; "$@" & pid=$!; wait $pid; wait $pid')) as t:
        drains(t, 143)


@case
def a_parent_that_closes_descriptors():
    """And that of the group's memory with them: the server finds it at the launcher."""
    parent = 'import subprocess, sys; sys.exit(subprocess.Popen(sys.argv[1:]).wait() + 20)'
    with Closing(behind(f'exec {sys.executable} -c "{parent}" "$@"')) as t:
        drains(t, 5)  # -15 + 20: its own words, not the signal's


@case
def a_server_of_another_user():
    """The launcher is root, and what it starts is not, nor may it read this tree."""
    with directory() as d:
        os.chmod(d, 0o755)
        server, theobject = (shutil.copy(f'{cases.build}/{name}', d) for name in ('e2e/epoll', 'liblastcall.so'))
        body = f'shift; setpriv --reuid 65534 --clear-groups {server} "$@" & wait $!'
        with Closing(behind(body, words=['--preload', theobject])) as t:
            load = busy(t)
            t.term()
            t.no_loss(load)
            t.exits(status=143)
            check('drained pid=' in t.read('log') and 'in_flight=8' in t.read('log'), t.read('log'))


@case
def workers_behind_a_shell():
    """One report: the master's."""
    with Closing(behind('"$@" & wait $!', 'nginx-2')) as t:
        drains(t, 0, signal='TERM')
        check(t.report()['processes'] and len(t.report()['processes']) == 3, f'{t.report()}')


@case
def two_servers_behind_a_shell():
    other = harness.free_port()
    with Closing(behind(f'"$@" & {cases.build}/e2e/thread {other} 127.0.0.1 & wait')) as t:
        t.until('the other serves', lambda: answers(other))
        load = busy(t)
        target, t.address = t.address, f'127.0.0.1:{other}'
        second = busy(t, clients=4)
        t.address = target
        t.term()
        t.no_loss(load)
        t.no_loss(second)
        t.exits(status=0)
        # How many were in flight depends on the machine: the loads begin one after the other.
        ends = [(r['end'], r['aborted']) for r in t.reports()]
        check(ends == [('drained', 0)] * 2, f'{ends}')


def answers(port):
    try:
        return wire.get(('127.0.0.1', port)).status == 200
    except (OSError, wire.WireError):
        return False


@case
def a_shell_that_starts_it_again():
    """The new one may begin to serve before its shell is stopped: it drains too, or serves nobody."""
    with Closing(behind('while :; do "$@"; done')) as t:
        load = busy(t)
        t.term()
        t.no_loss(load)
        t.exits(status=143)
        check(all(r['aborted'] == 0 for r in t.reports()), t.read('report'))
        t.nobody_left()


@case
def the_shell_alone_is_stopped():
    """The signal reaches only the shell, which dies of it: the server drains all the same, and the launcher waits."""
    with Closing(behind('"$@" & wait $!')) as t:
        load = busy(t)
        shell = next(pid for pid in procfs.children(t.process.pid))
        t.termed = time.monotonic()
        os.kill(shell, signal.SIGTERM)
        t.no_loss(load)
        drained(t, 143)


@case
def a_server_that_has_left_its_shell():
    """A daemon: an orphan that the launcher has adopted."""
    with Closing(behind('("$@" &); exec sleep 60')) as t:
        drains(t, 143)


@case
def a_second_signal_ends_it():
    for parent in (False, True):
        with Closing(started(parent=parent)) as t:
            t.load(ENDLESS, clients=2, limit=1, ready_sent=2).wait_ready()
            t.let_read()
            t.term()
            t.wait_door()  # so that it knows of the first one
            check(t.process.wait(1.2) is None, 'it does not wait')
            t.target_process.kill(signal.SIGTERM)
            t.exits()
            report = t.report()
            check((report['end'], report['aborted']) == ('second_signal', 2), f'{report}')


@case
def a_repeated_signal_is_the_same():
    for parent in (False, True):
        with Closing(started(parent=parent)) as t:
            load = busy(t)
            t.term()
            if not all(term_again(t) for _ in range(3)):
                raise harness.Failure('it was not run for a second')
            t.no_loss(load)
            drained(t)


@case
def after_its_release_a_server_has_every_signal():
    """It is not ours to hold back any more."""
    with Closing(started('nginx', words=['--signals', 'USR1'])) as t:
        t.term(signal.SIGUSR1)
        t.until('its release', lambda: t.read('error.log').count('received from') == 1)
        t.target_process.kill(signal.SIGUSR1)
        t.until('another one', lambda: t.read('error.log').count('received from') == 2)
        t.target_process.kill(signal.SIGTERM)
        t.exits(status=0)


@case
def the_deadline_holds():
    for parent in (False, True):
        with Closing(started(parent=parent, words=['--timeout', '500ms'])) as t:
            t.load(ENDLESS, clients=2, limit=1, ready_sent=2).wait_ready()
            t.let_read()
            t.term()
            took = t.exits()
            check(took >= 0.5, f'after {took}')
            report = t.report()
            check((report['end'], report['aborted']) == ('deadline', 2), f'{report}')


@case
def a_server_that_ignores_the_signal():
    """It goes on, as without us; a shell in front of it is not kept waiting."""
    ignoring = 'trap "" TERM; '
    with Closing(behind(ignoring + 'exec "$@"')) as t:
        t.term()
        check(t.get().status == 200, 'it does not serve on')
        t.target_process.kill(signal.SIGQUIT)
        t.exits(status=131)  # and not with 143: it comes after TERM
    with Closing(behind(f'sh -c \'{ignoring} exec "$0" "$@"\' "$@" & wait $!')) as t:
        t.term()
        t.exits(status=143, outlived=True)


@case
def other_signals_pass():
    with Closing(started(words=['--signals', 'TERM'])) as t:
        t.term(signal.SIGINT)
        t.exits(status=130)


@case
def int_begins_it_without_a_terminal():
    """The suite's servers have none: each leads a session of its own."""
    with Closing(started()) as t:
        drains(t, 130, signal.SIGINT, signal='INT')


@case
def another_signal_begins_it():
    with Closing(started(words=['--signals', 'TERM,QUIT'])) as t:
        drains(t, 131, signal.SIGQUIT, signal='QUIT')


@case
def a_signal_that_the_shell_made_it_ignore():
    """INT and QUIT, of what it starts in the background: nobody is waited for."""
    with Closing(started(parent=True, words=['--signals', 'TERM,QUIT'])) as t:
        t.term(signal.SIGQUIT)
        t.exits(status=131, outlived=True)


@case
def a_number_that_was_used_before():
    """The memory is of processes that may have died without a word: nobody else is sent their signal."""
    with Closing(behind('"$@" & wait $!; "$@" & wait $!')) as t:
        first = procfs.descendants(t.process.pid)[-1]
        os.kill(first, signal.SIGKILL)
        until('the second one', lambda: set(procfs.descendants(t.process.pid)[1:]) - {first})
        t.wait_serving()
        drains(t)


# ---- as PID 1 of a container --------------------------------------------------------------------------------

class Contained(launcher.Contained):
    """Its command is a shell with this script."""

    def __init__(self, server, options, body, **how):
        self.body = body
        super().__init__(server, options, **how)

    def configure(self, argv, env):
        super().configure(['/bin/sh', '-c', self.body, 'sh', *argv], env)


ZOMBIES = 'for i in 1 2 3 4 5 6 7 8; do (sh -c "sleep 0.0$i & exec true" &); done; '


def contained(body, name='epoll', **how):
    return started(name, Contained, body=body, **how)


@case
def pid_1_with_a_zombie_making_entrypoint():
    with Closing(contained(ZOMBIES + '"$@" & wait $!')) as t:
        init = t.target_process.pid
        until('the zombies are gone', lambda: all(procfs.lives(p) for p in procfs.children(init)) and
              len(procfs.children(init)) == 1)
        drains(t)
        return t.note


@case
def pid_1_with_workers_behind_a_shell():
    with Closing(contained(ZOMBIES + '"$@" & wait $!; exit 17', 'gunicorn-gthread')) as t:
        drains(t, 17)


@case
def pid_1_with_a_server_that_ignores_the_signal():
    with Closing(contained('trap "" TERM; exec "$@"')) as t:
        t.term()
        until('TERM is taken', lambda: not procfs.pending(t.target_process.pid, signal.SIGTERM))
        check(t.get().status == 200, 'it does not serve on')
        t.term(signal.SIGKILL)
        t.exits(status=137)


@case
def pid_1_of_another_user():
    with Closing(contained('"$@" & wait $!', uid=1000)) as t:
        drains(t)
        return t.note


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main(jobs=6)
