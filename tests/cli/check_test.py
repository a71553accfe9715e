#!/usr/bin/python3
"""lastcall check: what it says of real programs, each time beside what others say of them: readelf, the dynamic linker
itself, `go version -m`, getcap, and running them."""
import errno
import json
import os
import re
import shutil
import stat
import subprocess

import cases
from cases import ROOT, case, check, directory, lastcall, says

GO_PROGRAM = 'package main\n\nfunc main() { println("here") }\n'
C_PROGRAM = '''#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) { puts("here"); return accept(-1, 0, 0) + (int)read(-1, 0, 0) + 2; }
'''
PATH = '/usr/bin:/bin:/usr/sbin:/sbin'
# Machine code for nobody here: only its header and its sections matter.
FOREIGN = '.globl _start\n_start: .long 0\n'


def tool(*words, **how):
    """What a witness says."""
    env = {**os.environ, 'LC_ALL': 'C', 'PATH': f'{os.environ["PATH"]}:{PATH}'} | how.pop('env', {})
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, env=env, **how)


def inspect(*files, **how):
    """(exit status, an object for each file)"""
    run = lastcall('check', '--json', *files, **how)
    check(run.returncode in (0, 1, 2) and not run.stderr, f'{run.returncode}: {run.stderr}')
    return run.returncode, json.loads(run.stdout)


def inspect_one(file, **how):
    status, (found,) = inspect(file, **how)
    check(status == {'full': 0, 'partial': 1, 'external': 1, 'unexamined': 1, 'none': 2}[found['verdict']], f'status {status}: {found}')
    check(found['reasons'] and all(found['reasons']), f'no reason: {found}')
    return found


def equal(found, expected, what):
    check(found == expected, f'{what}: {found!r}, where others say {expected!r}')


# ---- the witnesses ----------------------------------------------------------------------------------------

def hooks():
    with open(f'{ROOT}/shim/hook/hooks.def') as f:
        return set(re.findall(r'^HOOK[A-Z_]*\([^,]*, *(\w+) *,', f.read(), re.M))


def readelf(path):
    """What readelf says, by the names of our JSON."""
    header = tool('readelf', '-hW', path).stdout
    segments = tool('readelf', '-lW', path).stdout
    dynamic = tool('readelf', '-dW', path).stdout
    relocations = tool('readelf', '-rW', path).stdout
    interpreter = re.search(r'program interpreter: (.*)\]', segments)
    asked = re.findall(r'Name: GLIBC_([\d.]+)', tool('readelf', '-VW', path).stdout)
    # Not what is undefined in the symbol table: linkers leave names there that nothing asks for any more.
    asked_for = set(re.findall(r' (\w+)(?:@\S+)? \+ 0$', relocations, re.M))
    return {
        'bits': int(re.search(r'Class: +ELF(\d+)', header)[1]),
        'byte_order': re.search(r'(little|big) endian', header)[1],
        'pie': bool(re.search(r'Type: +DYN', header)),
        'link': 'dynamic' if interpreter else 'static-pie' if re.search(r'Type: +DYN', header) else 'static',
        'interpreter': interpreter and interpreter[1],
        'libc_asked': max(asked, key=lambda v: [int(n) for n in v.split('.')], default=None),
        'needed': re.findall(r'\(NEEDED\).*\[(.*)\]', dynamic),
        'hooks': asked_for & hooks(),
        'dlopen': 'dlopen' in asked_for,
    }


def compare_with_readelf(found):
    said = readelf(found['program'])
    for key in ('bits', 'byte_order', 'pie', 'link', 'interpreter', 'libc_asked'):
        equal(found[key], said[key], key)
    equal([l['name'] for l in found['libraries'] if l['direct']], said['needed'], 'libraries')
    own = {name for name, importer in found['hooks'].items() if importer == 'itself'}
    equal(own if found['link'] == 'dynamic' else said['hooks'], said['hooks'], 'hooks')
    if found['link'] == 'dynamic':
        equal(found['dlopen'] == 'itself', said['dlopen'], 'dlopen')
    equal(found['machine'] == 'x86_64', 'X86-64' in tool('readelf', '-hW', found['program']).stdout, 'machine')


def compare_with_linker(found):
    """Which libraries are loaded, and from where, the dynamic linker itself says; and that lastcall's library is among them."""
    preload = os.path.realpath(f'{cases.build}/liblastcall.so')
    listed = tool(found['interpreter'], '--list', found['program'], env={'LD_PRELOAD': preload}).stdout
    loaded = dict(re.findall(r'^\t(\S+) => (\S+) \(', listed, re.M))
    linker = os.path.basename(found['interpreter'])
    equal({l['name']: l['path'] for l in found['libraries'] if l['name'] != linker},
          {name: path for name, path in loaded.items() if name != linker}, 'libraries')
    check(re.search(rf'^\t{re.escape(preload)} \(', listed, re.M), f'the library is not loaded: {listed}')


def compare_with_go(found):
    said = tool('go', 'version', '-m', found['program'])
    version = re.search(r': (go\S+|devel \S+)', said.stdout)
    equal(found['go_version'], version and version[1], 'Go version')
    equal(found['go'], said.returncode == 0 and bool(version), 'Go')
    equal(found['go_cgo'], 'CGO_ENABLED=1' in said.stdout, 'cgo')


def compare_privileges(found):
    mode = os.stat(found['program']).st_mode
    equal((found['setuid'], found['setgid']), (bool(mode & stat.S_ISUID), bool(mode & stat.S_ISGID)), 'mode')
    equal(found['capabilities'], bool(tool('getcap', found['program']).stdout), 'capabilities')


def libc_version():
    return re.search(r'(\S+)$', tool('ldd', '--version').stdout.splitlines()[0])[1]


def compare(found):
    compare_with_readelf(found)
    compare_with_go(found)
    compare_privileges(found)
    if found['libc'] == 'glibc' and found['machine'] == 'x86_64':
        equal(found['libc_found'], libc_version(), 'version of libc')
        compare_with_linker(found)
    return f'{found["verdict"]}: {found["reasons"][0]}'


# ---- programs of Debian -----------------------------------------------------------------------------------

FULL = ('nginx apache2 node python3 java javac ruby perl php haproxy h2o lighttpd gunicorn uvicorn puma wrk curl openssl '
        'h2load bash dash env systemd-socket-activate gcc strace ip debootstrap '
        'caddy runc go gofmt').split()
# by whom connections are taken, where it is told
ACCEPTS = {'nginx': 'itself', 'apache2': 'libapr-1.so.0', 'node': 'itself', 'python3': 'itself', 'haproxy': 'itself',
           'h2o': 'itself', 'lighttpd': 'itself', 'bash': None, 'perl': 'itself', 'php': 'itself'}
OUTSIDE = 'busybox ldconfig su passwd mount'.split()


def of_debian(name, verdict):
    found = inspect_one(name, env={**os.environ, 'PATH': PATH})
    equal(found['verdict'], verdict, 'verdict')
    equal(found['script'], shutil.which(name, path=PATH) if found['scripts'] else None, 'script')
    if not found['scripts']:
        equal(found['program'], os.path.realpath(shutil.which(name, path=PATH)), 'program')
    if name in ACCEPTS:
        # node is built with libuv inside (NodeSource) or with the one of the system (Debian)
        library = 'libuv.so.1' if 'libuv.so.1' in tool('ldd', found['program']).stdout else ACCEPTS[name]
        equal(found['hooks'].get('accept4', found['hooks'].get('accept')), library, 'who accepts')
    symbols = tool('nm', '-D', found['program']).stdout  # readelf takes 7 s for node's
    equal(found['libssl'] == 'built in', bool(re.search(r' [TWi] SSL_read\b', symbols)), 'libssl within')
    equal(found['libssl'] == 'itself', bool(re.search(r' U SSL_(read|write)', symbols)), 'libssl')
    return compare(found)


def register(name, verdict):
    def program():
        return of_debian(name, verdict)
    program.__name__ = f'debian_{name}'
    case(program)


for name in FULL:
    register(name, 'full')
for name in OUTSIDE:
    register(name, 'external')


@case
def privileges_in_words():
    check('set-user-ID' in inspect_one('/bin/su')['reasons'][0], 'su')
    check('static' in inspect_one('/bin/busybox')['reasons'][0], 'busybox')
    check('Go program' in inspect_one('/usr/bin/caddy')['reasons'][0], 'caddy')


# ---- programs made here -----------------------------------------------------------------------------------

def write(path, text, mode=0o755):
    with open(path, 'w' if isinstance(text, str) else 'wb') as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def made(*words, **how):
    run = tool(*words, **how)
    check(run.returncode == 0, f'{words}: {run.stderr}')


def go_build(at, *flags, cgo='0', arch='amd64', source=GO_PROGRAM):
    write(f'{at}/main.go', source)
    cache = os.path.abspath(f'{cases.build}/e2e/go-cache')
    made('go', 'build', '-o', f'{at}/program', *flags, f'{at}/main.go', cwd=at,
         env={'CGO_ENABLED': cgo, 'GOARCH': arch, 'GOCACHE': cache, 'GOGC': 'off', 'GOMEMLIMIT': '1GiB', 'GOFLAGS': '', 'GO111MODULE': 'off'})
    return f'{at}/program'


def go_case(name, verdict, link, libc, *flags, way='', **how):
    def program():
        with directory() as at:
            path = go_build(at, *flags, **how)
            found = inspect_one(path)
            equal((found['link'], found['libc'], found['go']), (link, libc, True), 'kind')
            check(found['go_version'], 'no Go version')
            equal((found['verdict'], found['way']), (verdict, way or ('preload' if link == 'dynamic' else 'launcher')), 'verdict')
            runs_as_said(found)
            return compare(found)
    program.__name__ = f'go_{name}'
    case(program)


def runs_as_said(found):
    """With the library, which complains if it cannot do what the verdict promises."""
    run = lastcall('run', '--exec', '--preload', f'{cases.build}/liblastcall.so', found['program'])
    check(run.stderr.endswith('here\n'), f'it does not run: {run.stderr}')
    equal('not drained' in run.stderr or 'cannot be' in run.stderr, found['verdict'] != 'full', f'what the library says: {run.stderr}')


CGO = 'package main\n\n// #include <stdio.h>\nimport "C"\n\nfunc main() { println("here") }\n'
go_case('static', 'full', 'static', 'none')
go_case('stripped', 'full', 'static', 'none', '-ldflags', '-s -w -buildid=')
go_case('dynamic', 'full', 'dynamic', 'glibc', source=CGO, cgo='1')
go_case('dynamic_stripped', 'full', 'dynamic', 'glibc', '-ldflags', '-s -w', source=CGO, cgo='1')
go_case('pie', 'full', 'dynamic', 'none', '-buildmode=pie')
go_case('pie_of_musl', 'full', 'dynamic', 'none', '-buildmode=pie', '-ldflags', '-I /lib/ld-musl-x86_64.so.1', way='launcher')
go_case('pie_stripped', 'full', 'dynamic', 'none', '-buildmode=pie', '-ldflags', '-s -w -buildid=')


@case
def go_changed_by_somebody():
    """One byte of the routine is another; the library leaves it alone, and so do we say."""
    routine = bytes.fromhex('4989f24889fa4889ce4889df0f05483d01f0ffff')
    with directory() as at:
        path = go_build(at, '-buildmode=pie')
        with open(path, 'rb') as f:
            program = f.read()
        check(program.count(routine) == 1, f'the routine is there {program.count(routine)} times')
        write(path, program.replace(routine, routine[:-1] + b'\xfe'))
        found = inspect_one(path)
        equal((found['verdict'], found['go_routine']), ('external', False), 'kind')
        runs_as_said(found)
        return compare(found)


@case
def musl():
    with directory() as at:
        write(f'{at}/main.c', C_PROGRAM)
        made('musl-gcc', '-o', f'{at}/program', f'{at}/main.c')
        found = inspect_one(f'{at}/program')
        linker = found['interpreter']
        equal((found['libc'], found['verdict']), ('musl', 'full'), 'kind')
        equal(found['libc_found'], re.search(r'^Version (\S+)', tool(linker).stderr, re.M)[1], 'version of musl')
        equal(set(found['hooks']), {'accept', 'read'}, 'hooks')
        listed = re.findall(r'^\t(\S+)(?: => (\S+))? \(', tool(linker, '--list', f'{at}/program').stdout, re.M)
        equal({os.path.realpath(l['path']) for l in found['libraries']},
              {os.path.realpath(path or name) for name, path in listed}, 'libraries')
        return compare(found)


@case
def musl_static():
    with directory() as at:
        write(f'{at}/main.c', C_PROGRAM)
        made('musl-gcc', '-static', '-o', f'{at}/program', f'{at}/main.c')
        return external(f'{at}/program', 'static')


def external(path, link):
    found = inspect_one(path)
    equal((found['verdict'], found['link']), ('external', link), 'kind')
    return compare(found)


@case
def glibc_static():
    with directory() as at:
        write(f'{at}/main.c', C_PROGRAM)
        made('gcc', '-static', '-o', f'{at}/program', f'{at}/main.c')
        made('gcc', '-static-pie', '-o', f'{at}/pie', f'{at}/main.c')
        external(f'{at}/pie', 'static-pie')
        return external(f'{at}/program', 'static')


def foreign(prefix, flags, emulation, machine, bits):
    with directory() as at:
        write(f'{at}/start.s', FOREIGN)
        made(f'{prefix}as', *flags, '-o', f'{at}/start.o', f'{at}/start.s')
        made(f'{prefix}ld', *emulation, '-o', f'{at}/program', f'{at}/start.o')
        found = inspect_one(f'{at}/program')
        equal((found['verdict'], found['machine'], found['bits']), ('none', machine, bits), 'kind')
        check(machine in found['reasons'][0], found['reasons'])
        return compare(found)


@case
def aarch64():
    return foreign('aarch64-linux-gnu-', [], [], 'aarch64', 64)


@case
def aarch64_of_go():
    with directory() as at:
        found = inspect_one(go_build(at, arch='arm64'))
        equal((found['verdict'], found['machine'], found['go']), ('none', 'aarch64', True), 'kind')
        return compare(found)


@case
def i386():
    return foreign('', ['--32'], ['-m', 'elf_i386'], 'i386', 32)


@case
def x32():
    return foreign('', ['--x32'], ['-m', 'elf32_x86_64'], 'x86_64', 32)


@case
def capabilities():
    with directory() as at:
        path = shutil.copy('/usr/bin/true', f'{at}/program')
        equal(inspect_one(path)['verdict'], 'full', 'before')
        made('setcap', 'cap_net_bind_service+ep', path)
        found = inspect_one(path)
        equal((found['verdict'], found['capabilities']), ('external', True), 'kind')
        return compare(found)


@case
def set_group_id():
    with directory() as at:
        path = shutil.copy('/usr/bin/true', f'{at}/program')
        os.chmod(path, 0o2755)
        found = inspect_one(path)
        equal((found['verdict'], found['setgid']), ('external', True), 'kind')
        return compare(found)


@case
def io_uring():
    """As it would be with liburing, which may be there or not."""
    with directory() as at:
        write(f'{at}/uring.c', 'int io_uring_queue_init(void) { return 0; }')
        write(f'{at}/main.c', C_PROGRAM.replace('return', 'extern int io_uring_queue_init(void); io_uring_queue_init(); return'))
        os.mkdir(f'{at}/lib')
        made('gcc', '-shared', '-o', f'{at}/lib/libring-of-tests.so.2', '-Wl,-soname,libring-of-tests.so.2', f'{at}/uring.c')
        made('gcc', '-o', f'{at}/program', f'{at}/main.c', f'{at}/lib/libring-of-tests.so.2', '-Wl,-rpath,$ORIGIN/lib')
        found = inspect_one(f'{at}/program')
        equal((found['verdict'], found['io_uring']), ('partial', 'itself'), 'kind')
        compare(found)
        os.remove(f'{at}/lib/libring-of-tests.so.2')
        found = inspect_one(f'{at}/program')
        equal([l['path'] for l in found['libraries'] if 'ring-of-tests' in l['name']], [None], 'where')
        check(any('was not found' in r for r in found['reasons']), found['reasons'])
        check(tool(f'{at}/program').returncode == 127, 'the dynamic linker does find it')


@case
def library_of_the_cache():
    """One that only /etc/ld.so.cache knows: another cache, in a mount namespace."""
    with directory() as at:
        write(f'{at}/lib.c', 'int here(void) { return 0; }')
        write(f'{at}/main.c', C_PROGRAM.replace('return', 'extern int here(void); here(); return'))
        os.mkdir(f'{at}/lib')
        made('gcc', '-shared', '-o', f'{at}/lib/libhere.so.1', '-Wl,-soname,libhere.so.1', f'{at}/lib.c')
        made('gcc', '-o', f'{at}/program', f'{at}/main.c', f'{at}/lib/libhere.so.1')
        write(f'{at}/conf', f'{at}/lib\n')
        made('ldconfig', '-X', '-C', f'{at}/cache', '-f', f'{at}/conf')
        inside = f'mount --bind {at}/cache /etc/ld.so.cache && {at}/program; {cases.build}/lastcall check --json {at}/program'
        run = tool('unshare', '-m', 'sh', '-c', inside)
        check(run.stdout.startswith('here\n'), f'it does not start: {run}')
        libraries = json.loads(run.stdout.removeprefix('here\n'))[0]['libraries']
        equal([l['path'] for l in libraries if l['name'] == 'libhere.so.1'], [f'{at}/lib/libhere.so.1'], 'where')


@case
def without_sections():
    """Stripped of its section headers, it says the same."""
    with directory() as at:
        path = shutil.copy(os.path.realpath(shutil.which('nginx', path=PATH)), f'{at}/program')
        before = inspect_one(path)
        with open(path, 'r+b') as f:
            f.seek(0x28)
            f.write(bytes(8))  # e_shoff
            f.seek(0x3a)
            f.write(bytes(6))  # e_shentsize, e_shnum, e_shstrndx
        check('There are no sections' in tool('readelf', '-SW', path).stdout, 'it has sections')
        equal(inspect_one(path), before, 'all')
        go = go_build(at)
        before = inspect_one(go)
        with open(go, 'r+b') as f:
            f.seek(0x28)
            f.write(bytes(8))
            f.seek(0x3a)
            f.write(bytes(6))
        equal(inspect_one(go), before, 'all of Go')


# ---- scripts and env --------------------------------------------------------------------------------------

def script(at, name, first_line, mode=0o755):
    return write(f'{at}/{name}', first_line + '\n', mode)


LINES = [
    '#!/usr/bin/readlink /proc/self/exe',
    '#! \t /usr/bin/readlink \t /proc/self/exe  ',
    '#!/usr/bin/env -S readlink /proc/self/exe',
    '#!/usr/bin/env -S A=b readlink \t /proc/self/exe ',
    '#!/usr/bin/env -S -u PATH readlink /proc/self/exe',
    '#!/usr/bin/env -S PATH=/nowhere:/usr/bin readlink /proc/self/exe',
    '#!/usr/bin/env -vS -- readlink /proc/self/exe',
    '#!/usr/bin/env -S /usr/bin/env -S readlink /proc/self/exe',
    '#!/usr/bin/env -S -C / usr/bin/readlink /proc/self/exe',
]


@case
def scripts_lead_where_the_kernel_goes():
    """Each of them prints which program it became."""
    with directory() as at:
        for line in LINES:
            path = script(at, 'script', line)
            found = inspect_one(path)
            equal(found['program'], tool(path).stdout.splitlines()[0], line)
            equal((found['script'], found['verdict']), (path, 'full'), line)
        path = script(at, 'script', '#!/usr/bin/env true \t ')
        equal((inspect_one(path)['program'], kernel_says(path)), (os.path.realpath('/usr/bin/true'), 0), 'blanks at the end')
    return f'{len(LINES)} lines'


@case
def more_than_words_is_not_examined():
    """env -S has quotes, escapes, variables and comments: what it would run is left open, and it is started all the same."""
    with directory() as at:
        for words in ('A="b c" readlink', "'readlink'", r'read\_link', '-- ${READLINK}', 'readlink /proc/self/exe #'):
            path = script(at, 'script', f'#!/usr/bin/env -S {words} /proc/self/exe')
            found = inspect_one(path)
            equal((found['verdict'], found['way']), ('unexamined', 'preload'), words)
            check('quotes, escapes or variables' in found['reasons'][0], found['reasons'])
        path = script(at, 'script', '#!/usr/bin/env -S "readlink" /proc/self/exe')
        run = tool(f'{cases.build}/lastcall', 'run', path)
        equal((run.stdout, 'unexamined' in run.stderr), (tool(path).stdout, True), f'{run}')


@case
def script_named_by_env():
    """env looks the name up in PATH, and finds a script again."""
    with directory() as at:
        script(at, 'inner', '#!/usr/bin/readlink /proc/self/exe')
        outer = script(at, 'outer', '#!/usr/bin/env inner')
        env = {**os.environ, 'PATH': f'{at}:{PATH}'}
        found = inspect_one('outer', env=env)
        equal((found['script'], found['scripts']), (outer, 2), 'script')
        equal(found['program'], tool(outer, env=env).stdout.splitlines()[0], 'program')


def kernel_says(path):
    try:
        subprocess.run([path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except OSError as e:
        return e.errno
    return 0


@case
def long_lines():
    """The kernel reads 256 bytes; a name that does not end in them is none, an argument is cut."""
    refused = 0
    with directory() as at:
        for tail in ('\n', ' \n', ' x\n', '', ' '):
            for length in range(250, 262):
                line = '#!' + 'usr/bin/true'.rjust(length - 2, '/')
                path = write(f'{at}/script', line + tail)
                starts = kernel_says(path) == 0
                equal(inspect_one(path)['verdict'], 'full' if starts else 'none', f'{length} and {tail!r}')
                refused += not starts
    check(0 < refused < 60, f'{refused} refused')
    return f'60 lines, of which the kernel refuses {refused}'


@case
def chains_of_scripts():
    """As many as the kernel follows, and not one more."""
    with directory() as at:
        below = '/usr/bin/true'
        for depth in range(1, 8):
            path = script(at, f'script{depth}', f'#!{below}')
            found = inspect_one(path)
            refused = kernel_says(path) == errno.ELOOP
            equal(found['verdict'], 'none' if refused else 'full', f'{depth} scripts')
            check(not refused or 'further than the kernel goes' in found['reasons'][0], found['reasons'])
            below = path
        check(refused, 'the kernel refuses no chain')


@case
def loops():
    with directory() as at:
        for line in (f'#!{at}/loop', f'#!/usr/bin/env {at}/loop', '#!/usr/bin/env'):
            found = inspect_one(script(at, 'loop', line))
            equal(found['verdict'], 'none', line)
            check('script to script' in found['reasons'][0] or 'without end' in found['reasons'][0], found['reasons'])


BAD_LINES = [
    ('#!', 'names no whole interpreter'),
    ('#!   ', 'names no whole interpreter'),
    ('#!/' + 'a' * 300, 'names no whole interpreter'),
    ('#!/usr/bin/nosuch', 'the interpreter "/usr/bin/nosuch", which the script asks for, does not exist'),
    ('#!/usr/bin/true\r', r'the interpreter "/usr/bin/true\x0d", which'),
    ('#!/usr/bin/env nosuch', '"nosuch" is not in PATH'),
    ('#!/usr/bin/env -Z true', 'env does not know'),
]


@case
def bad_scripts():
    """Which the kernel, or env, does not start either."""
    with directory() as at:
        for line, words in BAD_LINES:
            path = script(at, 'script', line)
            found = inspect_one(path)
            equal(found['verdict'], 'none', line)
            check(words in found['reasons'][0], f'{line}: {found["reasons"]}')
            error = kernel_says(path) or tool(path).returncode
            check(error in (errno.ENOENT, errno.ENOEXEC, 125, 127), f'{line}: it runs, {error}')


@case
def env_that_clears():
    with directory() as at:
        for flag in ('-i', '-u LD_PRELOAD', 'LD_PRELOAD=/lib/other.so'):
            found = inspect_one(script(at, 'script', f'#!/usr/bin/env -S {flag} /usr/bin/python3'))
            equal(found['verdict'], 'external', flag)
            check('env takes LD_PRELOAD' in found['reasons'][0], found['reasons'])


# ---- bad input --------------------------------------------------------------------------------------------

def none(path, words):
    found = inspect_one(path)
    equal(found['verdict'], 'none', path)
    check(words in found['reasons'][0], f'{path}: {found["reasons"]}')


@case
def not_a_program():
    with directory() as at:
        none('', 'has no name')
        none('no-such-command', 'is not in PATH')
        none(f'{at}/missing', 'does not exist')
        none('/etc/passwd/x', 'cannot be reached')
        none('README.md', 'is not in PATH; for the file here, write ./ before it')
        none(at, 'is a directory')
        none(write(f'{at}/empty', ''), 'is empty')
        none(write(f'{at}/text', 'exit 0\n'), 'neither an ELF file nor a script')
        none(write(f'{at}/archive', '!<arch>\n'), 'archive')
        for n in (4, 20, 63, 80):
            with open('/usr/bin/true', 'rb') as f:
                none(write(f'{at}/cut', f.read(n)), 'truncated')
        none(f'{cases.build}/liblastcall.so', 'shared library')
        none('/dev/null', 'is a device')
        os.mkfifo(f'{at}/fifo', 0o777)
        none(f'{at}/fifo', 'is a FIFO')
        none(write(f'{at}/script', '#!/bin/sh\n', 0o644), 'may not be executed')
        none(shutil.copy(shutil.which('true'), f'{at}/odd\n\x1b[31m') and os.chmod(f'{at}/odd\n\x1b[31m', 0o644)
             or f'{at}/odd\n\x1b[31m', r'odd\x0a\x1b[31m" may not be executed')


@case
def object_file():
    with directory() as at:
        write(f'{at}/start.s', FOREIGN)
        made('as', '-o', f'{at}/start.o', f'{at}/start.s')
        os.chmod(f'{at}/start.o', 0o755)
        none(f'{at}/start.o', 'no program')


@case
def unreadable():
    """By somebody who is not root: it may be started, and not read."""
    with directory() as at:
        os.chmod(at, 0o755)
        shutil.copy(shutil.which('true'), f'{at}/program')
        os.chmod(f'{at}/program', 0o111)
        copy = shutil.copy(f'{cases.build}/lastcall', f'{at}/lastcall')
        as_user = {'user': 65534, 'group': 65534} if os.getuid() == 0 else {}
        run = tool(copy, 'check', f'{at}/program', **as_user)
        check(run.returncode == 1 and 'may not be read' in run.stdout, f'{run.returncode}: {run.stdout}')
        check(tool(f'{at}/program', **as_user).returncode == 0, 'it cannot be started either')


@case
def missing_linker():
    with directory() as at:
        write(f'{at}/main.c', C_PROGRAM)
        made('gcc', '-o', f'{at}/program', f'{at}/main.c', '-Wl,--dynamic-linker,/lib/no-such-linker.so')
        none(f'{at}/program', 'its dynamic linker "/lib/no-such-linker.so" does not exist')
        equal(kernel_says(f'{at}/program'), errno.ENOENT, 'the kernel')


@case
def newer_glibc():
    with directory() as at:
        path = shutil.copy(shutil.which('true'), f'{at}/program')
        with open(path, 'rb') as f:
            program = f.read()
        asked = inspect_one(path)['libc_asked']
        check(program.count(f'GLIBC_{asked}\0'.encode()) == 1, 'the version is there more than once')
        write(path, program.replace(f'GLIBC_{asked}\0'.encode(), b'GLIBC_9.9'.ljust(7 + len(asked), b'\0')[:7 + len(asked)]))
        none(path, 'newer glibc')
        check('GLIBC_9.9' in tool(path).stderr, 'the dynamic linker finds it')


# ---- the command ------------------------------------------------------------------------------------------

@case
def table():
    run = lastcall('check', 'nginx', '/bin/busybox')
    check(run.returncode == 1, f'exit status {run.returncode}')
    for words in (r'^nginx: full$', r'^/bin/busybox: external$', r'^  program +/usr/sbin/nginx$', r'^  format +x86_64, 64-bit',
                  r'^  libc +glibc \d', r'^  hooks +.*\baccept4\b', r'^  not known +what is spoken',
                  r'^ +whether it has a handler of its own', r'^  because +it is linked statically'):
        check(re.search(words, run.stdout, re.M), f'no {words} in {run.stdout}')


@case
def nothing_odd_reaches_a_terminal():
    with directory() as at:
        path = shutil.copy(shutil.which('true'), f'{at}/\x1b[31m\x9b')
        run = lastcall('check', path)
        check(run.returncode == 0 and '\x1b' not in run.stdout and r'\x1b[31m\xc2\x9b' in run.stdout, run.stdout)


@case
def the_worst_of_several():
    equal(len(inspect('nginx')[1][0]['not_known']), 2, 'what is not known of nginx')
    for files, status in ((['nginx'], 0), (['nginx', '/bin/busybox'], 1), (['/no', '/bin/busybox', 'nginx'], 2)):
        equal(lastcall('check', *files).returncode, status, files)
        equal(inspect(*files)[0], status, files)


@case
def usage():
    says(lastcall('check'), 2, 'check needs a FILE')
    says(lastcall('check', '--jsn', 'nginx'), 2, "no option '--jsn'")
    equal(lastcall('check', '--', '-x').returncode, 2, 'a file that looks like an option')
    with open('/dev/full', 'w') as full:
        run = subprocess.run([f'{cases.build}/lastcall', 'check', 'nginx'], stdout=full, stderr=subprocess.PIPE, text=True,
                             check=False)
    check(run.returncode == 2 and 'cannot be written' in run.stderr, f'{run.returncode}: {run.stderr}')


@case
def without_standard_input():
    run = subprocess.run(['sh', '-c', f'exec "{cases.build}/lastcall" check nginx <&-'], capture_output=True, text=True,
                         check=False)
    check(run.returncode == 0 and 'nginx: full' in run.stdout, f'{run}')


if __name__ == '__main__':
    cases.main()
