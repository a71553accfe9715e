"""What is asked of servers in Go alone: the story that this began with, and programs whose system calls we cannot have."""
import ctypes
import dataclasses
import shutil
import signal
import subprocess
import sys
import time

import harness
import launcher
import netns
import procfs
import scenarios
import servers
from bound import BOUND, NEVER
from harness import Missing
from scenarios import EXACT, scenario

ROUTINE = bytes.fromhex('4989f24889fa4889ce4889df0f05483d01f0ffff')  # how Syscall6 begins (shim/core/go_signature.c)
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
PR_SET_THP_DISABLE = 41
STRACE = ['strace', '-D', '-f', '-qq', '-o', '/dev/null']  # as somebody who traces the program already
NOT_DRAINED = 'this Go program is not drained'


def upstream(t):
    """One keep-alive connection that never stops to send, TERM in the middle. What the client saw, and how long the end took."""
    load = t.load(f'GET / {EXACT}', clients=1, until_refused=True, ready_ok=50)
    load.wait_ready()
    t.term()
    took = t.exits()
    return load.finish(), took


@scenario(only=('go-fasthttp',), measured=True)
def upstream_story(t):
    """It ends though nobody falls silent, every request is answered, none is left in the kernel's buffer. fasthttp's own Shutdown,
    for comparison, on the same machine."""
    t.start(LASTCALL_IDLE=NEVER)
    result, took = upstream(t)
    t.check(t.bare or not result['lost'], f"{result['lost']} requests were not answered: {result['losses'][:1]}")
    t.drained(unread_bytes=0)
    if t.bare:
        return
    tail = t.report()['exit_delay_us']
    t.again()
    t.server = servers.SERVERS['go-fasthttp-shutdown']
    t.start(bare=True)
    own, own_took = upstream(t)
    t.note = (f"ours: {result['lost']} lost, ended after {took * 1000:.1f} ms, tail {tail} us; "
              f"fasthttp's own Shutdown: {own['lost']} lost, ended after {own_took * 1000:.1f} ms")


# ---- programs that are left alone ---------------------------------------------------------------------

def serves_and_dies(t, why):
    """It says once why it is not drained, serves, and TERM does what it does without us."""
    t.check(t.get().status == 200, 'it does not serve')
    t.term()
    t.exits()
    if not t.bare:
        t.check(t.read('log').count('lastcall: ') == 1 and why in t.read('log'), f"it says: {t.read('log')!r}")
        t.check(not t.exists('report'), 'it was drained all the same')


def changed_copy(t, change):
    """The server's program as `change` makes it."""
    name = f'{t.options.build}/e2e/{t.server.name}'
    with open(name, 'rb') as f:
        program = f.read()
    t.check(program.count(ROUTINE) == 1, f'the routine is there {program.count(ROUTINE)} times')
    copy = t.path('program')
    with open(copy, 'wb') as f:
        f.write(change(program))
    shutil.copymode(name, copy)
    command = t.server.command
    t.server = dataclasses.replace(t.server, command=lambda *where: [copy if a == name else a for a in command(*where)])


@scenario(only=('go-nethttp-pie', 'go-nethttp-static'))
def go_unknown(t):
    """A routine that differs in one byte (a nop in another form, as another version might have it) is not touched."""
    other = b'\x49\x89\xf2\x48\x89\xfa\x48\x8b\xf1' + ROUTINE[9:]  # movq cx, si the other way round
    changed_copy(t, lambda program: program.replace(ROUTINE, other))
    t.start()
    serves_and_dies(t, NOT_DRAINED)


def jump(source, target):
    return b'\xe9' + (target - source - 5).to_bytes(4, 'little', signed=True)


def hooked(program):
    """As somebody else's tool leaves it: a jump to a place where the six bytes stand that it covers, and back."""
    moved, here = ROUTINE[:6], program.index(ROUTINE)
    there = program.index(b'\xcc' * 16, here) + 1  # between two routines
    away, back = jump(here, there) + b'\x90', moved + jump(there + len(moved), here + len(moved))
    program = program[:here] + away + program[here + len(away):]
    return program[:there] + back + program[there + len(back):]


@scenario(only=('go-nethttp-pie', 'go-nethttp-static'))
def go_hooked(t):
    """A routine that somebody else has patched already is left to them."""
    changed_copy(t, hooked)
    t.start()
    serves_and_dies(t, NOT_DRAINED)


@scenario(only=('go-nethttp-pie', 'go-nethttp-static'))
def go_truncated(t):
    """A program that is cut short fails as it does without us; if only what is never loaded is missing, it is drained."""
    whole, command = 0, t.server.command
    for parts in (64, 8, 2):
        changed_copy(t, lambda program, parts=parts: program[:len(program) // parts])
        argv, ends = t.server.command(t.options.build, t.dir, t.host, t.port, 0), []
        for bare in (True, False):
            words = argv[-3:] if bare else argv
            ended = subprocess.run(words, env=t.environment(bare, {}), stdin=subprocess.DEVNULL, capture_output=True,
                                   timeout=BOUND, check=False)
            ends.append(ended.returncode)
        t.check(ends[0] < 0 and ends[0] == ends[1], f'1/{parts} of it: ended with {ends[1]}, and {ends[0]} without us')
        t.server = dataclasses.replace(t.server, command=command)
    changed_copy(t, lambda program: program[:len(program) - 65536])
    t.start()
    serves_until_term(t)


def serves_until_term(t, **ends):
    """A load without a pause, TERM in the middle: nobody is lost."""
    load = t.load(f'GET / {EXACT}', clients=8, until_refused=True, ready_ok=50)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(**ends)
    t.drained()


def in_child(*prctl):
    """A prefix that makes a prctl, and then executes what follows."""
    return [sys.executable, '-c', f'import ctypes, os, sys; ctypes.CDLL(None).prctl({", ".join(map(str, prctl))}); '
            'os.execv(sys.argv[1], sys.argv[1:])']


@scenario(only=('go-nethttp-pie', 'go-nethttp-static'))
def go_no_writable_code(t):
    """MemoryDenyWriteExecute (systemd; here the kernel's own form of it): the code stays as it is."""
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE
        raise Missing('PR_SET_MDWE (kernel 6.3)')
    t.prefix = in_child(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    t.start()
    serves_and_dies(t, 'its code may not be changed')


@scenario(only=('go-nethttp', 'go-nethttp-pie'))
def go_traced(t):
    """Under strace, which looks at each call, all is as ever."""
    t.prefix = STRACE
    t.start()
    serves_until_term(t)


def debugger(name, *words):
    if not shutil.which(name):
        raise Missing(name)
    return [name, *words]


GDB = ('-q', '-nx', '-batch', *(word for number in ('TERM', 'URG', 'PIPE') for word in ('-ex', f'handle SIG{number} nostop noprint pass')))


def delve(t, how, *commands):
    """Delve with these commands, and no terminal. Each knows the versions of Go that were there before it."""
    program = f'{t.options.build}/e2e/{t.server.name}'
    version = subprocess.run(['go', 'version', program], capture_output=True, text=True, check=True).stdout.split()[-1]
    if version.split('.')[:2] > ['go1', '20']:
        raise Missing(f'a delve for {version}')
    with open(t.path('commands'), 'w') as f:
        f.write('\n'.join([*commands, 'exit', '']))
    return debugger('dlv', how, '--allow-non-terminal-interactive=true', '--init', t.path('commands'))


def under_debugger(t, prefix):
    """The debugger starts it, and is told how it ends. TERM goes to the server."""
    t.prefix = prefix
    t.start()
    holds = procfs.listeners(t.process.pid, t.port)
    t.inner = harness.Target(next(pid for pid in procfs.descendants(t.process.pid) if procfs.sockets(pid) & holds))
    serves_until_term(t, status=0)


@scenario(only=('go-nethttp', 'go-nethttp-pie'))
def go_gdb(t):
    """Under gdb, which stops it at each thread that is made."""
    under_debugger(t, debugger('gdb', *GDB, '-ex', 'run', '--args'))


@scenario(only=('go-nethttp',))
def go_gdb_breakpoint(t):
    """With a breakpoint of gdb's in the routine before we come: it is left alone."""
    with open(f'{t.options.build}/e2e/{t.server.name}', 'rb') as f:
        at = 0x400000 + f.read().index(ROUTINE)  # where Go's linker puts the beginning of the file
    t.prefix = debugger('gdb', *GDB, '-ex', f'break *{at:#x}', '-ex', 'run', '-ex', 'delete', '-ex', 'continue', '--args')
    t.start()
    t.check(t.get().status == 200 and NOT_DRAINED in t.read('log'), f"it says: {t.read('log')!r}")


@scenario(only=('go-nethttp', 'go-nethttp-pie'))
def go_delve(t):
    """Under `dlv exec`."""
    command = t.server.command
    t.server = dataclasses.replace(t.server, command=lambda *where: [command(*where)[0], '--', *command(*where)[1:]])
    under_debugger(t, delve(t, 'exec', 'continue'))


@scenario(only=('go-nethttp', 'go-nethttp-static'))
def go_attached(t):
    """Debuggers that come while it serves, look at every stack, and go."""
    t.start()
    load = t.load(f'GET / {EXACT}', clients=8, until_refused=True, ready_ok=50)
    load.wait_ready()
    pid = str(t.process.pid)
    for words, answer in ((debugger('gdb', *GDB, '-p', pid, '-ex', 'thread apply all bt'), ''),
                          ([*delve(t, 'attach', 'goroutines -t', 'threads'), pid], 'n\n')):
        looked = subprocess.run(words, input=answer, capture_output=True, text=True, timeout=BOUND, check=False)
        t.check(looked.returncode == 0 and 'runtime.' in looked.stdout, f'{words[0]}: {looked.stdout[-500:]}{looked.stderr[-500:]}')
    t.term()
    t.no_loss(load)
    t.exits()
    t.drained()


@scenario(only=('go-nethttp-static',))
def go_denied(t):
    """ptrace is denied (somebody else traces it already): it starts without us, and that is said."""
    t.prefix = STRACE
    t.start()
    serves_and_dies(t, 'Operation not permitted')


@scenario(only=('go-nethttp-static',))
def go_object_broken(t):
    """An object that is cut short is not put in."""
    broken = t.path('broken.so')
    with open(f'{t.options.build}/liblastcall.so', 'rb') as f:
        whole = f.read()
    with open(broken, 'wb') as f:
        f.write(whole[:len(whole) // 8])
    t.start(LD_PRELOAD=broken)
    serves_and_dies(t, 'cannot be put into')


@scenario(only=('go-nethttp-static', 'go-nethttp-pie', 'go-fasthttp-stripped'))
def go_places(t):
    """No new privileges; no huge pages; no address randomisation; another environment for Go's runtime: drained as ever."""
    PR_SET_NO_NEW_PRIVS = 38
    for prefix, env in (
            (in_child(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), {}),
            (in_child(PR_SET_THP_DISABLE, 1, 0, 0, 0), {}),
            (['setarch', '--addr-no-randomize'], {}),
            ([], {'GODEBUG': 'asyncpreemptoff=1,madvdontneed=1,gctrace=0'}),
            ([], {'GODEBUG': 'cgocheck=1,invalidptr=1', 'GOGC': '1', 'GOMAXPROCS': '64'})):
        t.prefix = prefix
        t.start(**env)
        t.check(not procfs.descendants(t.process.pid), 'somebody has stayed with it')
        serves_until_term(t)
        t.again()


def under_launcher(t, *prefix, behind=()):
    """Start the server by `lastcall run`, which puts the object into it and stays as its parent; or behind a shell."""
    t.prefix = [*prefix, f'{t.options.build}/lastcall', 'run', '--preload', f'{t.options.build}/liblastcall.so', '--', *behind]
    command = t.server.command
    t.server = dataclasses.replace(t.server, exit=143, command=lambda *where: command(*where)[1:])
    t.start()


@scenario(only=('go-nethttp-static', 'go-fasthttp-stripped', 'go-nethttp-musl'))
def go_by_launcher(t):
    """`lastcall run`."""
    under_launcher(t)
    serves_until_term(t)


def drains_from_outside(t):
    load = t.load(f'GET /sleep?ms=800 {EXACT}', clients=4, limit=1, ready_sent=4)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits()
    t.drained(mode='external')


@scenario(only=('go-nethttp-static', 'go-fasthttp-stripped'))
def go_behind_shell(t):
    """`lastcall run` and a shell that stays as parent: what that starts is drained externally."""
    under_launcher(t, behind=('/bin/sh', '-c', launcher.PARENT, 'sh'))
    drains_from_outside(t)


@scenario(only=('go-nethttp-static',))
def go_denied_to_launcher(t):
    """`lastcall run` where ptrace is denied: it says so, and drains externally."""
    under_launcher(t, *STRACE)
    drains_from_outside(t)
    t.check('ptrace: Operation not permitted' in t.read('log'), 'it does not say that ptrace is denied')


@scenario(only=('go-nethttp-shutdown', 'go-nethttp-static'))
def go_late_disposition(t):
    """What Go's runtime sets once the program serves, by system calls that are not seen, stands after the release."""
    command = t.server.command
    t.server = dataclasses.replace(t.server, exit=0, command=lambda *where: [
        *(word for word in command(*where) if word != 'shutdown'), 'shutdown', 'ignore'])
    t.start(LASTCALL_SIGNALS='TERM,INT')
    t.get()
    t.term()
    t.exits()
    t.drained()


# ---- programs that it starts --------------------------------------------------------------------------

def preforked(t):
    """fasthttp's prefork: two processes, each of them this program once more."""
    command = t.server.command
    t.server = dataclasses.replace(t.server, command=lambda *where: [*command(*where), 'prefork'], env={'GOMAXPROCS': '2'})
    t.start()
    t.until('two workers', lambda: len(procfs.descendants(t.process.pid)) == 2)
    load = t.load(f'GET / {EXACT}', clients=16, fresh=True, until_refused=True, ready_ok=200)
    held = t.load(f'GET /sleep?ms=1000 {EXACT}', clients=4, limit=1, ready_sent=4)
    load.wait_ready()
    held.wait_ready()
    return load, held


@scenario(only=('go-fasthttp',))
def go_prefork(t):
    """Where the object is preloaded, those that have accepted a connection drain with the master. (fasthttp starts another one
    for each that ends, and leaves it behind when TERM ends the master.)"""
    for everyone in (True, False):
        load, held = preforked(t)
        t.termed = time.monotonic()
        t.kill(t.everyone() if everyone else [t.process.pid], signal.SIGTERM)
        t.no_loss(load)
        t.no_loss(held)
        t.exits(outlived=True)
        if not t.bare:
            report = next(r for r in t.reports() if r['pid'] == t.process.pid)
            t.check(report['aborted'] == 0 and len(report['processes']) >= 2, f'it was no group: {report}')
        t.again()


@scenario(only=('go-fasthttp-static', 'go-fasthttp-stripped'))
def go_prefork_static(t):
    """A static one's workers are not under us: the master leaves them the listener, and they serve on as without us."""
    load, held = preforked(t)
    workers = procfs.descendants(t.process.pid)
    t.term()
    t.exits(outlived=True)
    t.no_loss(held)
    load.stop()
    t.no_loss(load)
    t.check(t.bare or t.report()['accept_stop'] == 'left_to_others', f'it has closed the door of others: {t.report()}')
    t.check(t.get().status == 200 and all(map(procfs.lives, workers)), 'a worker has ended')


# ---- containers ---------------------------------------------------------------------------------------

class Contained(launcher.Contained):
    """`lastcall run` and a static program in a container whose seccomp filter is docker's, but for the calls in `but`."""

    def __init__(self, server, options, says, how, **container):
        self.says, self.how = says, how
        super().__init__(server, options, uid=65534, **container)

    def drained(self, **expected):
        super().drained(mode=self.how, **expected)
        self.check(self.bare or self.says in self.read('log'), f"it does not say {self.says!r}: {self.read('log')}")


def contained(variant, names, **how):
    for name in names:
        full = f'container-go-{variant}-{name}'
        scenarios.SCENARIOS[full] = launcher.Scenario(full, netns.witnessed(scenarios.SCENARIOS[name].run), only=('static-go',),
                                                      make_test=Contained, how=how)


DENIED = 'ptrace: Operation not permitted'
contained('traced', ('churn',), says='starting with', how=None, but=('ptrace',))
contained('untraced', ('inflight', 'churn', 'idle'), says=DENIED, how='external', but=('pidfd_getfd',))
contained('refused', ('inflight',), says=DENIED, how='external')
