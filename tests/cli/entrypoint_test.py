#!/usr/bin/python3
"""scripts/entrypoint.sh under three shells, and the bash completion."""
import os
import re
import shutil
import signal
import subprocess

import cases
import harness
import servers
from cases import ROOT, case, check, clean, directory
from serving import SLOW, Closing, options

SHELLS = (['dash'], ['bash'], ['bash', '--posix'], ['busybox', 'ash'])
ENTRYPOINT = f'{ROOT}/scripts/entrypoint.sh'


def the_object():
    return os.path.realpath(f'{cases.build}/liblastcall.so')


def entrypoint(shell, *words, script=ENTRYPOINT, **env):
    return subprocess.run([*shell, script, *words], capture_output=True, text=True, env=clean(**env), timeout=cases.BOUND, check=False)


def everywhere(status, said, *words, **env):
    for shell in SHELLS:
        done = entrypoint(shell, *words, **env)
        check(done.returncode == status and said in done.stderr, f'{shell} {words}: {done}')


@case
def what_is_wrong_is_said():
    everywhere(2, 'there is no command to run')
    everywhere(2, 'there is no command to run', '--')
    everywhere(2, "wants a value", '--preload')
    everywhere(2, "no option '--timeout'", '--timeout', '1s', 'true')
    everywhere(2, "'/none.so' cannot be read", '--preload', '/none.so', 'true')
    everywhere(2, "'/usr' cannot be read", '--preload=/usr', 'true')
    everywhere(127, 'not found', '--preload', the_object(), '--', 'no-such-command')
    everywhere(126, 'ermission denied', '--preload', the_object(), '/etc/passwd')
    with directory() as d:
        everywhere(2, 'cannot name it', '--preload', shutil.copy(the_object(), f'{d}/a b.so'), 'true')
        script = shutil.copy(ENTRYPOINT, d)
        for shell in SHELLS:
            done = entrypoint(shell, 'true', script=script)
            if not os.path.exists('/usr/lib/liblastcall.so'):
                check(done.returncode == 2 and 'is neither beside this script' in done.stderr, f'{done}')


@case
def what_is_preloaded_stays():
    ours, other = the_object(), '/lib/x86_64-linux-gnu/libz.so.1'
    for shell in SHELLS:
        for old, expected in (('', ours), (other, f'{ours}:{other}'), (f' {other}:{ours}  {other}', f'{ours}:{other}:{other}'),
                              (f'/usr/lib64/{os.path.basename(ours)}:{other}', f'{ours}:{other}')):
            # The shell itself must not need what is preloaded.
            done = entrypoint(['env', f'LD_PRELOAD={old}', *shell], '--preload', ours, '--', 'sh', '-c', 'echo "$LD_PRELOAD|$#|$1|$2"',
                              'sh', 'a b', '*')
            check(done.stdout == f'{expected}|2|a b|*\n', f'{shell} {old!r}: {done}')


@case
def where_the_object_is():
    with directory() as d:
        for place in ('share/lastcall', 'share/lib', 'lib'):
            root = os.path.join(d, place.replace('/', '-'))
            for name in ('share/lastcall', 'share/lib', 'lib'):
                os.makedirs(os.path.join(root, name))
            script = shutil.copy(ENTRYPOINT, f'{root}/share/lastcall')
            shutil.copy(the_object(), f'{root}/{place}')
            for shell in SHELLS:
                for where, how in ((d, script), (f'{root}/share/lastcall', 'entrypoint.sh')):
                    done = subprocess.run([*shell, how, 'sh', '-c', 'cd /; cat "$LD_PRELOAD" | wc -c'], capture_output=True, text=True,
                                          env=clean(), cwd=where, check=False)
                    check(done.stdout.strip() == str(os.path.getsize(the_object())), f'{place} {shell} {how}: {done}')


class Test(harness.Test):
    """The server, started by the script."""

    def __init__(self, shell):
        self.shell = shell
        super().__init__(servers.SERVERS['epoll'], options())

    def launch(self, argv, env):
        env = {name: value for name, value in env.items() if name != 'LD_PRELOAD'}
        return super().launch([*self.shell, ENTRYPOINT, '--preload', the_object(), '--', *argv], env)


@case
def a_server_drains():
    """The signal goes to the process that was started: it has become the server."""
    for shell in SHELLS:
        with Closing(Test(shell)) as t:
            t.term_in_flight(SLOW, 8)
            t.exits(status=-signal.SIGTERM)
            t.drained(in_flight=8)


# ---- completion ---------------------------------------------------------------------------------------------

COMPLETE = '''
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_lastcall
printf '%s\\n' "${COMPREPLY[@]}"
'''


def complete(*words):
    """What is offered for the last word."""
    done = subprocess.run(['bash', '-c', COMPLETE, 'bash', f'{ROOT}/scripts/lastcall.bash', f'{cases.build}/lastcall', *words],
                          capture_output=True, text=True, env=clean(), timeout=cases.BOUND, check=False)
    check(done.returncode == 0 and not done.stderr, f'{words}: {done}')
    return set(done.stdout.split())


@case
def commands_are_completed():
    """Every command of the table, and every option that a command's help has."""
    help_text = subprocess.run([f'{cases.build}/lastcall', '--help'], capture_output=True, text=True, check=True).stdout
    commands = {line.split()[0] for line in help_text.splitlines() if line.startswith('  ')}
    check({'run', 'check', 'version'} <= commands, help_text)
    check(complete('') == commands | {'--help', '--version'}, f'{complete("")}')
    check(complete('ru') == {'run'}, f'{complete("ru")}')
    for command in commands:
        text = subprocess.run([f'{cases.build}/lastcall', command, '--help'], capture_output=True, text=True, check=True).stdout
        rows = re.findall(r'^  (?:(-[a-z]), )?(--[a-z-]+)', text, re.M)
        listed = {name for row in rows for name in row if name} | {'--help'}
        check(complete(command, '-') == listed, f'{command}: {listed ^ complete(command, "-")}')
    return f'{len(commands)} commands'


@case
def options_are_completed():
    check(complete('run', '--log') == {'--log', '--log-format', '--log-file'}, f'{complete("run", "--log")}')
    check(complete('run', '--timeout', '1s', '--exe') == {'--exec'}, 'behind an option')
    check(complete('run', '--exec', '--external', '--exe') == {'--exec'}, 'behind switches')
    check(complete('rehearse', '--json', '--clients', '3', '--sl') == {'--slow'}, 'behind both')
    check('busybox' in complete('run', 'busyb') and 'busybox' in complete('run', '--timeout', '1s', '--', 'busyb'), 'the command')
    check(complete('run', 'nginx', '-') == set(), "the command's own options are not ours")
    check(complete('no-such', '-') == {'--help'}, 'an unknown command')


if __name__ == '__main__':
    harness.adopt_orphans()
    cases.main()
