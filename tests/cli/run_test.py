#!/usr/bin/python3
"""lastcall run: its options and variables, what it says of the command, the library in it, and exit statuses."""
import os
import re
import shutil
import signal
import socket
import subprocess

import cases
from cases import case, check, clean, directory, lastcall, says

NOBODY = 65534
AARCH64 = 183  # EM_AARCH64
E_MACHINE = 18  # where an ELF header has it


PAUSE_FOR_EVER = 'void _start(void) { for (;;) __asm__ volatile("syscall" : : "a"(34) : "rcx", "r11", "memory"); }\n'


def run(*words, env=None, **how):
    return lastcall('run', *words, env=env or clean(), **how)


def environment_of(*words, **how):
    """What the command is given."""
    done = run(*words, '--', 'env', **how)
    check(done.returncode == 0, f'{words}: {done}')
    return dict(line.split('=', 1) for line in done.stdout.splitlines() if '=' in line)


def the_object():
    return os.path.realpath(f'{cases.build}/liblastcall.so')


def executable(path, text):
    with open(path, 'wb') as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, 0o755)
    return path


# ---- options ------------------------------------------------------------------------------------------------

def mirrored():
    """(option, default) of each variable, as the help has them."""
    found = re.findall(r'^  (--[a-z-]+) VALUE +.*\(([^()]+)\)$', lastcall('run', '--help').stdout, re.M)
    check(len(found) > 10, f'the help names {found}')
    return found


def variable(option):
    return 'LASTCALL_' + option[2:].upper().replace('-', '_')


@case
def an_option_for_each_variable():
    with open(f'{cases.ROOT}/shim/core/options.c') as f:
        table = set(re.findall(r'^    \{"(LASTCALL_\w+)"', f.read(), re.M))
    options = mirrored()
    check({variable(o) for o, _ in options} == table, f'{options} and {table}')
    for option, default in options:
        if option == '--disable':
            continue
        for words in ([option, default], [f'{option}={default}']):
            got = environment_of('--log-file', '/dev/null', *words).get(variable(option))
            check(got == default, f'{words}: {got}')
    return f'{len(options)} of them'


@case
def bad_values():
    for option, _ in mirrored():
        bad = 'x' * 2000 if option in ('--log-file', '--report') else '\x01?'
        says(run(option, bad, 'true'), 2, rf'{option} ".*cannot be read, so the command is not started; by default it is ')
        says(run('true', env=clean(**{variable(option): bad})), 2, rf'{variable(option)}=".*cannot be read')
    says(run('--timeout', '25', 'true', env=clean(LASTCALL_TIMEOUT='soon')), 0, 'starting')  # the option is what counts


@case
def bad_options():
    says(run(), 2, 'there is no command to run\nusage: lastcall run')
    says(run('--timeout', '1s', '--'), 2, 'there is no command')
    says(run('--tiemout', '1s', 'true'), 2, "there is no option '--tiemout'")
    says(run('--timeout'), 2, "'--timeout' wants a value")
    says(run('--timeout=', 'true'), 2, "wants a value")
    says(run('--timeout', '--', 'true'), 2, "wants a value")


@case
def unknown_variables_do_not_matter():
    """Kubernetes sets such ones where a service has this name."""
    check(run('true', env=clean(LASTCALL_SERVICE_HOST='10.0.0.1')).returncode == 0, 'it does not start')


# ---- the library ---------------------------------------------------------------------------------------------

@case
def what_is_preloaded_stays():
    other, ours = shutil.which('true') and '/lib/x86_64-linux-gnu/libz.so.1', the_object()
    for old, expected in (('', ours), (other, f'{ours}:{other}'), (f'{other} {ours}', f'{ours}:{other}'),
                          (f':{ours}:{other}: ', f'{ours}:{other}')):
        got = environment_of(env=clean(LD_PRELOAD=old))['LD_PRELOAD']
        check(got == expected, f'{old!r} became {got!r}')


@case
def where_the_object_is():
    with directory() as d:
        for lib in ('bin', 'lib', 'lib/x86_64-linux-gnu'):
            root = os.path.join(d, lib.replace('/', '-'))
            os.makedirs(os.path.join(root, 'bin'))
            os.makedirs(os.path.join(root, lib), exist_ok=True)
            shutil.copy(f'{cases.build}/lastcall', os.path.join(root, 'bin'))
            expected = shutil.copy(the_object(), os.path.join(root, lib))
            done = subprocess.run([f'{root}/bin/lastcall', 'run', 'env'], capture_output=True, text=True, env=clean(), check=True)
            check(f'LD_PRELOAD={os.path.realpath(expected)}\n' in done.stdout, f'{lib}: {done}')
            os.unlink(expected)
        done = subprocess.run([f'{root}/bin/lastcall', 'run', 'true'], capture_output=True, text=True, env=clean(), check=False)
        says(done, 2, r'is neither beside this program nor in .*--preload PATH says')


@case
def bad_objects():
    with directory() as d:
        says(run('--preload', f'{d}/none.so', 'true'), 2, r"--preload '.*none.so': No such file")
        says(run('--preload', '/etc/passwd', 'true'), 2, r'is no ELF shared object')
        says(run('--preload', shutil.which('env'), 'true'), 2, r'is no ELF shared object')
        says(run('--preload', shutil.copy(the_object(), f'{d}/a b.so'), 'true'), 2, 'LD_PRELOAD cannot name it')
        with open(the_object(), 'rb') as f:
            text = bytearray(f.read())
        text[E_MACHINE:E_MACHINE + 2] = AARCH64.to_bytes(2, 'little')
        foreign = executable(f'{d}/foreign.so', bytes(text))
        done = run('--preload', foreign, '--', 'env')
        says(done, 0, 'without liblastcall.so, which is for another machine .*machine=x86_64 library=aarch64')
        check('LD_PRELOAD' not in done.stdout, f'it is preloaded all the same: {done.stdout}')


@case
def it_says_that_the_object_is_loaded():
    says(run('--log', 'debug', 'sleep', '0.3'), 0, r'starting with liblastcall.so program=\S*sleep verdict=.*\n.*debug: loaded program=')


@case
def also_under_musl():
    with directory() as d:
        subprocess.run(['musl-gcc', '-x', 'c', '-', '-o', f'{d}/musl'], text=True, check=True,
                       input='#include <unistd.h>\n#include <sys/socket.h>\nint main(void) { usleep(300000); return accept(-1, 0, 0) + 5; }\n')
        says(run('--log', 'debug', f'{d}/musl'), 4, r'starting with liblastcall.so .*\n.*debug: loaded program=')


@case
def it_says_that_the_object_was_not_loaded():
    """By a dynamic linker that is none: it is asked for, so nobody could know before."""
    with directory() as d:
        source = f'{d}/stay.c'
        executable(source, 'int main(void) { return 0; }\n')
        loader = f'{d}/loader'
        subprocess.run(['gcc', '-nostdlib', '-static-pie', '-x', 'c', '-', '-o', loader], text=True, check=True, input=PAUSE_FOR_EVER)
        subprocess.run(['gcc', f'-Wl,--dynamic-linker={loader}', source, '-o', f'{d}/stay'], check=True)
        child = subprocess.Popen([f'{cases.build}/lastcall', 'run', f'{d}/stay'], stderr=subprocess.PIPE, text=True, env=clean())
        lines = [child.stderr.readline(), child.stderr.readline()]
        child.terminate()
        check(child.wait(cases.BOUND) == 128 + signal.SIGTERM, f'status {child.returncode}')
        child.stderr.close()
        check('warn: liblastcall.so was not loaded' in lines[1], f'it said {lines}')


@case
def static_and_setuid():
    says(run('busybox', 'true'), 0, 'liblastcall.so cannot be loaded program=.*verdict=external because="it is linked statically')
    with directory() as d:
        os.chmod(d, 0o755)
        su = shutil.copy(shutil.which('env'), f'{d}/setuid')
        os.chmod(su, 0o4755)
        done = as_nobody(d, [su, 'true'])
        says(done, 0, 'liblastcall.so cannot be loaded program=.*because="it is set-user-ID')


def as_nobody(d, command):
    """What another user is told, who cannot read this tree."""
    for name in ('lastcall', 'liblastcall.so'):
        shutil.copy(f'{cases.build}/{name}', d)
    return subprocess.run([f'{d}/lastcall', 'run', '--log', 'debug', '--', *command], user=NOBODY, group=NOBODY, extra_groups=[],
                          capture_output=True, text=True, env=clean(), cwd='/', check=False, timeout=cases.BOUND)


@case
def a_program_that_cannot_be_read():
    with directory() as d:
        os.chmod(d, 0o755)
        sleep = shutil.copy(shutil.which('sleep'), f'{d}/unreadable')
        os.chmod(sleep, 0o711)
        says(as_nobody(d, [sleep, '0.1']), 0, 'starting with liblastcall.so, unexamined .*may not be read')


@case
def disabled():
    for done in (run('--disable', '1', 'env'), run('env', env=clean(LASTCALL_DISABLE='1'))):
        says(done, 0, 'everything passes through')
        check('LD_PRELOAD' not in done.stdout and '_LASTCALL_GROUP' not in done.stdout, done.stdout)


# ---- what it says, and where --------------------------------------------------------------------------------

@case
def lines_go_where_the_object_writes():
    with directory() as d:
        done = run('--log-file', f'{d}/log', '--log-format', 'json', '--', 'true')
        check((done.returncode, done.stderr) == (0, ''), f'{done}')
        with open(f'{d}/log') as f:
            check(re.match(r'\{"time_ms":\d+,"level":"info","pid":\d+,"msg":"starting with liblastcall.so",', f.read()), 'no JSON')
        says(run('--log-file', f'{d}/none/log', 'true'), 0, 'the log file cannot be opened .*instead="standard error"')
        check(run('--log', 'warn', 'true').stderr == '', 'it speaks')


@case
def nobody_reads_what_it_says():
    """A pipe that is closed ends nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run([f'{cases.build}/lastcall', 'run', 'sh', '-c', 'exit 7'], stderr=writer, env=clean(), check=False)
    os.close(writer)
    check(child.returncode == 7, f'{child.returncode}')


# ---- exit statuses ------------------------------------------------------------------------------------------

@case
def the_exit_status_is_the_commands():
    for status in (0, 1, 2, 7, 126, 255):
        check(run('sh', '-c', f'exit {status}').returncode == status, f'exit {status}')
    killers = [n for n in range(1, 65) if n not in (17, 18, 19, 20, 21, 22, 23, 28, 32, 33)]  # those that end nothing by default
    for number in killers:
        got = run('sh', '-c', f'ulimit -c 0; kill -{number} $$').returncode
        check(got == 128 + number, f'killed by {number}: {got}')
    return f'{len(killers)} signals'


@case
def what_cannot_be_started():
    with directory() as d:
        says(run('no-such-command'), 127, '"no-such-command" is not in PATH')
        says(run(f'{d}/none'), 127, 'does not exist')
        says(run(''), 127, '')
        says(run('/etc/passwd'), 126, '/etc/passwd: Permission denied')
        says(run(d), 126, 'is a directory')
        says(run('/etc/passwd/none'), 127, '')
        says(run(executable(f'{d}/bad-interpreter', '#!/no/such/thing\n')), 127, 'the interpreter "/no/such/thing"')
        says(run(executable(f'{d}/garbage', b'\x7fELF\0\0\0')), 126, '')
        says(run(executable(f'{d}/binary', b'\x01\x02\0\n')), 126, '')
        executable(f'{d}/not-this-one', 'exit 3')
        os.chmod(f'{d}/not-this-one', 0o644)
        says(run('not-this-one', env=clean(PATH=f'{d}:/nowhere')), 126, 'not-this-one')


@case
def a_script_without_an_interpreter():
    """As shells do: /bin/sh runs it."""
    with directory() as d:
        script = executable(f'{d}/script', 'echo "$0 $1"; exit 9\n')
        for words in ([script, 'a'], ['--exec', script, 'a']):
            done = run(*words)
            check((done.returncode, done.stdout) == (9, f'{script} a\n'), f'{done}')
        check(run(executable(f'{d}/empty', '')).returncode == 0, 'an empty one')


@case
def exec_keeps_the_process():
    child = subprocess.Popen([f'{cases.build}/lastcall', 'run', '--exec', '--', 'sh', '-c', 'echo $$ $LD_PRELOAD $_LASTCALL_GROUP'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean(_LASTCALL_GROUP='500:0123456789abcdef'))
    said = child.communicate()[0]
    check(said == f'{child.pid} {the_object()}\n', f'{child.pid}: {said}')


@case
def a_port_in_use():
    """The server ends early: its status is passed on."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        words = [f'{cases.build}/e2e/epoll', str(s.getsockname()[1]), '127.0.0.1']
        bare = subprocess.run(words, capture_output=True, check=False).returncode
        check(bare != 0 and run('--', *words).returncode == bare, f'bare it is {bare}')


def bare_and_under(shell):
    """(what `shell` prints as nobody, the same where $@ stands before its command)"""
    def words(*launcher):
        done = subprocess.run(['sh', '-c', shell, 'sh', *launcher], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True,
                              env=clean(), check=False, timeout=cases.BOUND, cwd='/')
        return done.returncode, done.stdout, done.stderr
    with directory() as d:
        os.chmod(d, 0o755)
        for name in ('lastcall', 'liblastcall.so'):
            shutil.copy(f'{cases.build}/{name}', d)
        return words(), words(f'{d}/lastcall', 'run', '--')


@case
def it_needs_no_more_than_the_command():
    """Where the command can be started, it can be started by lastcall run: without another process, or descriptors for two."""
    for limit in ('--nproc=0', '--nofile=5', '--nofile=4'):
        bare, under = bare_and_under(f'exec prlimit {limit} -- "$@" echo started')
        check(bare[:2] == (0, 'started\n'), f'{limit}: bare it does not start: {bare}')
        check(under[:2] == bare[:2] and 'started in its place' in under[2], f'{limit}: {under}')


@case
def without_proc():
    """As in a plain chroot. The library is looked for beside the path that was executed."""
    for launcher in (f'{cases.build}/lastcall', './lastcall'):
        done = subprocess.run(['unshare', '-m', 'sh', '-c', 'umount -l /proc; exec "$1" run -- sh -c "echo $LD_PRELOAD"', 'sh', launcher],
                              capture_output=True, text=True, cwd=cases.build, env=clean(), check=False, timeout=cases.BOUND)
        says(done, 0, 'starting with liblastcall.so')


@case
def descriptors():
    """The command has those it was given, and the group's memory."""
    done = run('sh', '-c', 'ls /proc/$$/fd; true', stdin='')
    numbers = [int(n) for n in done.stdout.split()]
    check([n for n in numbers if n > 2 and n < 100] in ([], [10]), f'{numbers}')  # 10: a shell's own


@case
def dispositions_and_mask():
    """As they were: also SIGCHLD that was ignored, under which no status would be kept."""
    script = f'import signal, os; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, [10]); ' \
             f'os.execv("{cases.build}/lastcall", ["lastcall", "run", "sh", "-c", "grep -E ^Sig[BI] /proc/self/status; exit 5"])'
    def lines(text):
        return re.findall(r'^(Sig\w+):\s+(\w+)$', text, re.M)
    bare = subprocess.run(['/usr/bin/python3', '-c', script.replace(f'{cases.build}/lastcall', '/bin/sh').replace('"run", "sh", ', '')],
                          capture_output=True, text=True, env=clean(), check=False)
    done = subprocess.run(['/usr/bin/python3', '-c', script], capture_output=True, text=True, env=clean(), check=False)
    check(done.returncode == bare.returncode == 5, f'{done} {bare}')
    check(lines(done.stdout) == lines(bare.stdout) and lines(bare.stdout), f'{done.stdout} {bare.stdout}')


if __name__ == '__main__':
    cases.main(jobs=3)
