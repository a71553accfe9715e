"""The log and the report of a server that starts as root, binds its port, and goes on as another user, in another
directory: both are written, to files where that user may not write. The paths are relative."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

BUILD = os.environ['BUILD']
LIB = os.path.realpath(f'{BUILD}/liblastcall.so')
BOUND = 60  # against hanging only
NOBODY = 65534

# Its words: how it leaves. It says its port, serves one request, and ends by TERM.
SERVER = r'''
import ctypes, mmap, os, socket, sys, time
NOBODY = 65534
SETRESUID = {'x86_64': 117, 'aarch64': 147}[os.uname().machine]
DUP3 = {'x86_64': 292, 'aarch64': 24}[os.uname().machine]
UNSEEN = {'x86_64': '4889f84889f74889d64889ca0f05c3', 'aarch64': 'e80300aae00301aae10302aae20303aa010000d4c0035fd6'}
libc = ctypes.CDLL(None)
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex(UNSEEN[os.uname().machine]))
def unseen():
    at = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)(at)
server = socket.create_server(('127.0.0.1', 0))
for how in sys.argv[1:]:
    if how == 'setuid': os.setuid(NOBODY)
    if how == 'seteuid': os.seteuid(NOBODY)
    if how == 'setreuid': os.setreuid(NOBODY, NOBODY)
    if how == 'setresuid': os.setresuid(NOBODY, NOBODY, NOBODY)
    if how == 'syscall': assert libc.syscall(SETRESUID, NOBODY, NOBODY, NOBODY) == 0
    if how == 'chroot': os.chroot('empty')
    if how == 'chdir': os.chdir('/')
    if how == 'close':
        for fd in {*range(3, 1024)} - {server.fileno()}: libc.close(fd)
    if how == 'unseen':  # by calls that no hook sees: the numbers of lastcall's files are the program's from now on
        own = os.open('own', os.O_RDWR)
        for fd in os.listdir('/proc/self/fd'):
            if os.path.realpath(f'/proc/self/fd/{fd}').endswith(('/log', '/report')):
                assert unseen()(DUP3, own, int(fd), 0) == int(fd)
    if how == 'lowest': assert os.dup(0) == server.fileno() + 1, 'the lowest free number is not the program\'s'
    if how == 'daemon' and os.fork() > 0: os._exit(0)
print(os.getpid(), server.getsockname()[1], flush=True)
client, _ = server.accept()
client.recv(999)
print('busy', flush=True)
sys.stdin.readline()
client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
while True:
    time.sleep(600)
'''


def serve(directory, words, between):
    env = {**os.environ, 'LD_PRELOAD': LIB, 'LASTCALL_TIMEOUT': '20s', 'LASTCALL_LOG_FILE': 'log',
           'LASTCALL_REPORT': 'report'}
    with subprocess.Popen(['/usr/bin/python3', '-c', SERVER, *words], cwd=directory, env=env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        pid, port = map(int, server.stdout.readline().split())
        between(directory)
        with socket.create_connection(('127.0.0.1', port), timeout=BOUND) as client:
            client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            assert server.stdout.readline() == 'busy\n'
            os.kill(pid, signal.SIGTERM)
            server.stdin.write('go on\n')
            server.stdin.flush()
            assert client.recv(999).startswith(b'HTTP/1.1 200'), 'the request was lost'
        assert not server.stdout.read()  # its end


def is_written(directory):
    with open(f'{directory}/report', encoding='ascii') as report:
        events = [json.loads(line)['event'] for line in report]
    assert events == ['draining', 'drain'], f'the report has {events}'
    with open(f'{directory}/log', encoding='ascii') as log:
        assert 'lastcall: drained' in log.read(), 'the log'


def goes(*words, between=lambda directory: None):
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f'{directory}/empty')
        serve(directory, words, between)
        is_written(directory)


def remove(directory):
    """While the server serves. A file of that name is made anew, where that is allowed."""
    os.chmod(directory, 0o777)
    for name in os.listdir(directory):
        if name != 'empty':
            os.unlink(f'{directory}/{name}')


def goes_unseen():
    """The program's file gets no line of lastcall's."""
    with tempfile.TemporaryDirectory() as directory:
        with open(f'{directory}/own', 'w', encoding='ascii') as own:
            os.chmod(own.name, 0o666)
        os.chmod(directory, 0o755)
        serve(directory, ['seteuid', 'unseen'], lambda directory: None)
        with open(f'{directory}/own', encoding='ascii') as own:
            assert own.read() == '', 'lines of lastcall are in a file of the program'


# A worker of a master that stays root.
MASTER = r'''
import os, socket, sys
server = socket.create_server(('127.0.0.1', 0))
if os.fork() == 0:
    os.setuid(65534)
    at = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')]
    print([path for path in at if path.endswith(('/log', '/report'))], flush=True)
    os._exit(0)
os.wait()
'''


def a_worker_has_none():
    """What it could write there by itself would be root's words."""
    with tempfile.TemporaryDirectory() as directory:
        env = {**os.environ, 'LD_PRELOAD': LIB, 'LASTCALL_LOG_FILE': 'log', 'LASTCALL_REPORT': 'report'}
        said = subprocess.run(['/usr/bin/python3', '-c', MASTER], cwd=directory, env=env, text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        assert said == '[]\n', f'the worker holds {said}'
        assert not os.listdir(directory), 'it has made files'


CASES = {
    'setuid': lambda: goes('setuid', 'chdir'),
    'seteuid': lambda: goes('seteuid', 'chdir'),
    'setreuid': lambda: goes('setreuid', 'chdir'),
    'setresuid': lambda: goes('setresuid', 'chdir'),
    'by-number': lambda: goes('syscall', 'chdir'),
    'chroot': lambda: goes('chroot', 'chdir', 'setuid'),
    'then-a-daemon': lambda: goes('setuid', 'chdir', 'daemon'),
    'then-closes-all': lambda: goes('setuid', 'chdir', 'close'),
    'lowest-numbers-are-the-programs': lambda: goes('setuid', 'lowest'),
    'numbers-taken-unseen': goes_unseen,
    'not-in-a-worker': a_worker_has_none,
    'removed-meanwhile': lambda: goes('setuid', between=remove),
}


def main():
    if os.geteuid() != 0:
        print('SKIP leaves-root: only root can leave')
        sys.exit(os.environ.get('CI') == 'true')
    failed = False
    for name, case in CASES.items():
        try:
            case()
            print(f'ok leaves-root/{name}', flush=True)
        except (AssertionError, OSError, ValueError) as error:
            print(f'FAIL leaves-root/{name}: {error!r}', flush=True)
            failed = True
    sys.exit(failed)


main()
