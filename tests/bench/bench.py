"""bench.py: what lastcall costs a server while no signal has come. Run by `make bench`.

Instructions are exact and the same on every machine with the same programs; times are not, so they are taken
in pairs, bare and with us in turn, and what counts is the ratio. Exit 0 unless something could not be run.
"""
import argparse
import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BOUND = 120  # seconds: nothing here waits longer for anything
BODY = b'x' * 1024

# As Debian's nginx.conf has it, but for the log, and so that one connection may ask for ever.
CONF = '''
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 768; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {dir}/files;
        location = /answer {{ return 200 "{body}"; }}
    }}
}}
'''

SHORT = 'Host: 127.0.0.1:8080\r\n'  # what wrk sends
BROWSER = (
    'Host: www.example.org\r\n'
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n'
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n'
    'Accept-Language: en-US,en;q=0.5\r\n'
    'Accept-Encoding: gzip, deflate, br\r\n'
    'Connection: keep-alive\r\n'
    'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n'
    'Upgrade-Insecure-Requests: 1\r\n'
    'Sec-Fetch-Dest: document\r\n')
REQUESTS = {
    'short request, file': f'GET /small HTTP/1.1\r\n{SHORT}\r\n',
    'short request, no file': f'GET /answer HTTP/1.1\r\n{SHORT}\r\n',
    'request of a browser, file': f'GET /small HTTP/1.1\r\n{BROWSER}\r\n',
}
MOST_PER_REQUEST, MOST_PER_CALL, MOST_PER_EXEC = 1000, 15, 6


class CannotRun(Exception):
    pass


def run(argv, **kwargs):
    done = subprocess.run(argv, timeout=BOUND, stderr=subprocess.PIPE, text=True, **kwargs)
    if done.returncode != 0:
        raise CannotRun(f'{" ".join(argv)}: status {done.returncode}\n{done.stderr}')
    return done


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def environment(preload):
    env = {k: v for k, v in os.environ.items() if not k.startswith('LASTCALL_') and k != 'LD_PRELOAD'}
    env['PATH'] += ':/usr/sbin:/sbin'
    if preload:
        env['LD_PRELOAD'] = preload
    return env


def connect(port, child, log):
    give_up = time.monotonic() + BOUND
    while child.poll() is None and time.monotonic() < give_up:
        try:
            return socket.create_connection(('127.0.0.1', port), timeout=BOUND)
        except ConnectionRefusedError:
            time.sleep(0.02)
    with open(log) as f:
        raise CannotRun(f'{child.args[0]} does not serve: {f.read()}')


def end(child):
    """Again and again: an INT between nginx's look at its flags and its epoll_wait is not noticed."""
    give_up = time.monotonic() + BOUND
    while time.monotonic() < give_up:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.2)
            return
    raise CannotRun('nginx does not end')


@contextlib.contextmanager
def nginx(directory, preload, prefix=()):
    """A fresh nginx of one process, ended by INT, which lastcall leaves alone. Yields its port and pid."""
    port = free_port()
    conf, log = os.path.join(directory, 'nginx.conf'), os.path.join(directory, 'stderr')
    with open(conf, 'w') as f:
        f.write(CONF.format(dir=directory, port=port, body=BODY.decode()))
    with open(log, 'w') as f:
        child = subprocess.Popen([*prefix, 'nginx', '-c', conf, '-p', directory, '-e', f'{directory}/error.log'],
                                 env=environment(preload), stdout=f, stderr=f)
    try:
        connect(port, child, log).close()
        yield port, child.pid
        end(child)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


# ---- time ----------------------------------------------------------------------------------------------


def cpu_seconds(pid):
    """User and system time of a process, whose threads all live; the scheduler's own count if the kernel keeps it."""
    try:
        nanoseconds = 0
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/schedstat') as f:
                nanoseconds += int(f.read().split()[0])
        return nanoseconds / 1e9
    except FileNotFoundError:
        with open(f'/proc/{pid}/stat') as f:
            user, system = f.read().rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


def under_load(server, path, seconds):
    """CPU microseconds per request, and requests per second, of a server under wrk."""
    with server as (port, pid):
        before = cpu_seconds(pid)
        out = run(['wrk', '-t1', '-c16', f'-d{seconds}s', f'http://127.0.0.1:{port}{path}'],
                  stdout=subprocess.PIPE).stdout
        used = cpu_seconds(pid) - before
    requests = int(re.search(r'(\d+) requests in', out)[1])
    if 'Socket errors' in out or 'Non-2xx' in out or not requests:
        raise CannotRun(f'wrk: {out}')
    return used / requests * 1e6, float(re.search(r'Requests/sec: *([\d.]+)', out)[1])


def bench_in_turn(args, what, server, path, lib):
    print(f'{f"{what} under wrk, {args.pairs} pairs of {args.seconds} s in turn":<52}'
          f'{"bare":>9}{"ours":>9}   ours/bare (median, least, most)')
    bare, ours = [], []
    for _ in range(args.pairs):
        bare.append(under_load(server(None), path, args.seconds))
        ours.append(under_load(server(lib), path, args.seconds))
    for i, (what, digits) in enumerate((('CPU time per request, microseconds', 2), ('requests per second', 0))):
        ratios = sorted(o[i] / b[i] for b, o in zip(bare, ours))
        a, b = (statistics.median(x[i] for x in runs) for runs in (bare, ours))
        print(f'  {what:<50}{a:9.{digits}f}{b:9.{digits}f}   '
              f'{statistics.median(ratios):.3f}  {ratios[0]:.3f}  {ratios[-1]:.3f}')


def bench_nginx(args, lib, directory):
    bench_in_turn(args, 'nginx', lambda preload: nginx(directory, preload), '/small', lib)


@contextlib.contextmanager
def go_server(program, directory, preload):
    port, log = free_port(), os.path.join(directory, 'stderr')
    with open(log, 'w') as f:
        child = subprocess.Popen([program, str(port), '127.0.0.1'], env={**environment(preload), 'GOGC': '100'}, stdout=f, stderr=f)
    try:
        connect(port, child, log).close()
        yield port, child.pid
    finally:
        child.kill()
        child.wait()


def bench_go(args, lib, directory):
    for library in ('nethttp', 'fasthttp'):
        program = f'{args.build}/e2e/go-{library}'
        bench_in_turn(args, f'go {library}', lambda preload, p=program: go_server(p, directory, preload), '/', lib)


# ---- instructions --------------------------------------------------------------------------------------


def callgrind(out):
    return ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}']


def counted(out, preload):
    """Instructions of a run under callgrind. Were we there exactly when we should be?"""
    with open(out) as f:
        profile = f.read()
    if ('liblastcall.so' in profile) != bool(preload):
        raise CannotRun(f'liblastcall.so is {"not " if preload else ""}in the profile {out}')
    return int(re.search(r'^(?:summary|totals): (\d+)', profile, re.M)[1])


def per_round(measure, preload, few, many):
    return (measure(preload, many) - measure(preload, few)) / (many - few)


def figure(what, bare, ours, most):
    added = ours - bare
    verdict = '' if most is None else f'{most:9}   {"ok" if added <= most else "OVER"}'
    print(f'  {what:<50}{bare:9.1f}{ours:9.1f}{added:9.1f}{verdict}')


def title(text):
    print(f'{text:<52}{"bare":>9}{"ours":>9}{"added":>9}{"at most":>9}')


def ask(port, request, count):
    """Requests on one connection, each after the last response: with one client, a deterministic load."""
    with socket.create_connection(('127.0.0.1', port), timeout=BOUND) as s:
        for _ in range(count):
            s.sendall(request)
            answer = b''
            while not answer.endswith(BODY):
                got = s.recv(65536)
                if not got:
                    raise CannotRun(f'nginx closed after {answer!r}')
                answer += got


def bench_instructions(_args, lib, directory):
    title('nginx, instructions per keep-alive request')
    out = os.path.join(directory, 'callgrind.out')

    for what, request in REQUESTS.items():
        def measure(preload, count, request=request.encode()):
            with nginx(directory, preload, callgrind(out)) as (port, _):
                ask(port, request, count)
            return counted(out, preload)

        bare, ours = (per_round(measure, preload, 200, 1200) for preload in (None, lib))
        figure(what, bare, ours, MOST_PER_REQUEST)


def bench_calls(args, lib, directory):
    title('a server\'s calls on a file that is not ours')
    out = os.path.join(directory, 'callgrind.out')

    for what, calls in (('read', 1), ('write', 1), ('readv', 1), ('writev', 1), ('send+recv', 2)):
        def measure(preload, count, what=what):
            with open('/dev/zero', 'rb') as zero, open('/dev/null', 'wb') as null:
                run([*callgrind(out), f'{args.build}/bench/calls', what, str(count)], env=environment(preload),
                    stdin=zero, stdout=null)
            return counted(out, preload)

        bare, ours = (per_round(measure, preload, 1000, 11000) for preload in (None, lib))
        figure(f'{what}, instructions', bare, ours, calls * MOST_PER_CALL)


# ---- system calls --------------------------------------------------------------------------------------


def bench_exec(_args, lib, directory):
    title('a program that never serves')
    out = os.path.join(directory, 'strace.out')

    def measure(preload):
        set_it = ['-E', f'LD_PRELOAD={preload}'] if preload else []  # for the program, not for strace
        run(['strace', '-f', '-qq', '-e', 'signal=none', '-o', out, *set_it, '/bin/true'], env=environment(None))
        with open(out) as f:
            calls = f.readlines()
        if any(re.search(r'liblastcall\.so".*= [0-9]', call) for call in calls) != bool(preload):
            raise CannotRun(f'liblastcall.so is {"not " if preload else ""}loaded')
        return len(calls)

    figure('/bin/true, system calls', measure(None), measure(lib), MOST_PER_EXEC)


BENCHES = {'nginx': bench_nginx, 'go': bench_go, 'instructions': bench_instructions, 'calls': bench_calls, 'exec': bench_exec}


def main():
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default='build')
    parser.add_argument('--only', choices=BENCHES, action='append')
    parser.add_argument('--pairs', type=int, default=7, help='of nginx under load, bare and with us')
    parser.add_argument('--seconds', type=int, default=2, help='of each run under load')
    args = parser.parse_args()
    lib = os.path.abspath(f'{args.build}/liblastcall.so')
    with tempfile.TemporaryDirectory(prefix='lastcall-bench-') as directory:
        os.mkdir(f'{directory}/files')
        os.chmod(directory, 0o755)
        with open(f'{directory}/files/small', 'wb') as f:
            f.write(BODY)
        for name in args.only or BENCHES:
            BENCHES[name](args, lib, directory)
            sys.stdout.flush()


if __name__ == '__main__':
    try:
        main()
    except (CannotRun, OSError, subprocess.TimeoutExpired) as why:
        sys.exit(f'bench: cannot run: {why}')
