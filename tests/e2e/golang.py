"""What is asked of servers in Go alone: the story that this began with, and programs whose system calls we cannot have."""
import ctypes
import dataclasses
import shutil
import sys

import procfs
import servers
from harness import Missing
from scenarios import EXACT, scenario

ROUTINE = bytes.fromhex('4989f24889fa4889ce4889df0f05483d01f0ffff')  # how Syscall6 begins (shim/core/gocode.c)
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
STRACE = ['strace', '-D', '-f', '-qq', '-o', '/dev/null']  # as somebody who traces the program already
NOT_DRAINED = 'this Go program is not drained'


def upstream(t):
    """One keep-alive connection that never stops to send, TERM in the middle. What the client saw, and how long the end took."""
    load = t.load(f'GET / {EXACT}', clients=1, until_refused=True, ready_ok=50, duration=20000)
    load.wait_ready()
    t.term()
    took = t.exits(within=1.0)
    return load.finish(), took


@scenario(only=('go-fasthttp',), alone=True)
def upstream_story(t):
    """It ends within a second, every request is answered, none is left in the kernel's buffer. fasthttp's own Shutdown, for
    comparison, on the same machine."""
    t.start()
    result, took = upstream(t)
    t.check(t.bare or not result['lost'], f"{result['lost']} requests were not answered: {result['losses'][:1]}")
    t.drained(unread_bytes=0)
    if t.bare:
        return
    tail = t.report()['tail_us']
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
    t.exits(within=1)
    if not t.bare:
        t.check(t.read('log').count('lastcall: ') == 1 and why in t.read('log'), f"it says: {t.read('log')!r}")
        t.check(not t.exists('report'), 'it was drained all the same')


def changed_copy(t, change):
    """The server's program with its routine as `change` makes it."""
    name = f'{t.options.build}/e2e/{t.server.name}'
    with open(name, 'rb') as f:
        program = f.read()
    t.check(program.count(ROUTINE) == 1, f'the routine is there {program.count(ROUTINE)} times')
    copy = t.path('program')
    with open(copy, 'wb') as f:
        f.write(program.replace(ROUTINE, change(ROUTINE)))
    shutil.copymode(name, copy)
    command = t.server.command
    t.server = dataclasses.replace(t.server, command=lambda *where: [copy if a == name else a for a in command(*where)])


@scenario(only=('go-nethttp-pie', 'go-nethttp-static'))
def go_unknown(t):
    """A routine that differs in one byte (a nop in another form, as another version might have it) is not touched."""
    changed_copy(t, lambda r: b'\x49\x89\xf2\x48\x89\xfa\x48\x8b\xf1' + r[9:])  # movq cx, si the other way round
    t.start()
    serves_and_dies(t, NOT_DRAINED)


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


@scenario(only=('go-nethttp', 'go-fasthttp-pie'))
def go_traced(t):
    """Under strace, which looks at each call, all is as ever."""
    t.prefix = STRACE
    t.start()
    load = t.load(f'GET / {EXACT}', clients=4, until_refused=True, ready_ok=20, duration=20000)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(within=4)
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
    """No new privileges; no address randomisation; another environment for Go's runtime: drained as ever."""
    PR_SET_NO_NEW_PRIVS = 38
    for prefix, env in (
            (in_child(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), {}),
            (['setarch', '--addr-no-randomize'], {}),
            ([], {'GODEBUG': 'asyncpreemptoff=1,madvdontneed=1,gctrace=0'}),
            ([], {'GODEBUG': 'cgocheck=2,invalidptr=1', 'GOGC': '1', 'GOMAXPROCS': '64'})):
        t.prefix = prefix
        t.start(**env)
        t.check(not procfs.descendants(t.process.pid), 'somebody has stayed with it')
        load = t.load(f'GET / {EXACT}', clients=8, until_refused=True, ready_ok=50, duration=20000)
        load.wait_ready()
        t.term()
        t.no_loss(load)
        t.exits(within=2)
        t.drained()
        t.again()


def under_launcher(t, *prefix):
    """Start the server by `lastcall run`, which puts the object into it and stays as its parent."""
    t.prefix = [*prefix, f'{t.options.build}/lastcall', 'run', '--preload', f'{t.options.build}/liblastcall.so', '--']
    command = t.server.command
    t.server = dataclasses.replace(t.server, exit=143, command=lambda *where: command(*where)[1:])
    t.start()


@scenario(only=('go-nethttp-static', 'go-fasthttp-stripped'))
def go_by_launcher(t):
    """`lastcall run`."""
    under_launcher(t)
    load = t.load(f'GET / {EXACT}', clients=8, until_refused=True, ready_ok=100, duration=20000)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(within=2)
    t.drained()


@scenario(only=('go-nethttp-static',))
def go_denied_to_launcher(t):
    """`lastcall run` where ptrace is denied: it says so, and drains from outside."""
    under_launcher(t, *STRACE)
    load = t.load(f'GET /sleep?ms=800 {EXACT}', clients=4, limit=1, ready_sent=4)
    load.wait_ready()
    t.term()
    t.no_loss(load)
    t.exits(within=4)
    t.drained(how='outside')
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
    t.exits(within=2)
    t.drained()
