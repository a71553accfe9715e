"""The server as PID 1 of a container (runc), stopped as a runtime stops it: `runc kill ID TERM`. The container is what
careful users have: a root filesystem of its own, read-only, few capabilities, a limit of processes, a seccomp
filter like docker's, the report in /dev/termination-log. Its network is netns.Test's server side; the clients are in the
other namespace, and outside of the container's PID namespace."""
import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace

import harness
import netns
import scenarios
from bound import BOUND

UNPACK = os.path.join(harness.HERE, '..', 'package.sh')
DOCKER, DOCKER_PROFILE = 'golang-github-docker-docker-dev', 'usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json'
OBJECT, LAUNCHER, REPORT = '/lastcall/lib/liblastcall.so', '/lastcall/bin/lastcall', '/dev/termination-log'
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
PIDS, STRICT_PIDS, STRICT_MEMORY = 32, 100, 64 << 20

# For a master that is root and workers that are not. CAP_KILL is not among them: root may not signal them.
ROOT_CAPABILITIES = ['CAP_CHOWN', 'CAP_NET_BIND_SERVICE', 'CAP_SETGID', 'CAP_SETUID']

# What docker's default profile refuses and we might have thought of, or libc would.
REFUSED = ['bpf', 'io_uring_enter', 'io_uring_register', 'io_uring_setup', 'kcmp', 'keyctl', 'mount', 'name_to_handle_at',
           'open_by_handle_at', 'perf_event_open', 'pidfd_getfd', 'process_vm_readv', 'process_vm_writev', 'ptrace', 'setns',
           'umount2', 'unshare', 'userfaultfd']
UNKNOWN = ['clone3']
ENOSYS = 38

# An entrypoint as images have them: some work with children, then the server in its own place.
ENTRYPOINT = 'ls / | while read -r name; do test -n "$name" || echo "$(basename "$name")"; done; exec "$@"'

# Of this machine's root filesystem, what a container sees of it. (/run, /tmp, /dev, ... are its own, or not there.)
SYSTEM = ('bin', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'sbin', 'usr', 'var')

_docker_lock = threading.Lock()


def root(build):
    """The root filesystem, and what is mounted there before all else: this machine's programs, which need not be
    unpacked for it. CONTAINER_ROOT (of `make matrix`) is another one, which is whole."""
    for need in ('runc', 'ip'):
        if not shutil.which(need):
            raise harness.Missing(need)
    if whole := os.environ.get('CONTAINER_ROOT'):
        return whole, []
    where = os.path.join(build, 'roots', 'system')
    os.makedirs(f'{where}/tmp', exist_ok=True)
    os.chmod(f'{where}/tmp', 0o1777)  # runc gives a tmpfs the mode of what it hides
    links = [name for name in SYSTEM if os.path.islink(f'/{name}')]
    for name in links:
        with contextlib.suppress(FileExistsError):
            os.symlink(os.readlink(f'/{name}'), f'{where}/{name}')
    own = [name for name in SYSTEM if os.path.isdir(f'/{name}') and name not in links]
    return where, [bind(f'/{name}', None, 'ro') for name in own]


def docker(build):
    """docker's default seccomp profile, of its source, as docker has it."""
    where = os.path.join(build, 'roots', 'docker')
    with _docker_lock:
        if subprocess.run([UNPACK, DOCKER, where], capture_output=True, check=False).returncode:
            raise harness.Missing(f'Debian package {DOCKER}')
    with open(os.path.join(where, DOCKER_PROFILE), encoding='utf-8') as f:
        return json.load(f)


# ---- what runc is told (the runtime specification's config.json) --------------------------------------

def bind(source, destination=None, *options):
    return {'destination': destination or source, 'type': 'bind', 'source': source, 'options': ['bind', *options]}


def mounts(build, directory, system):
    kernel = [{'destination': where, 'type': kind, 'source': kind, 'options': options} for where, kind, options in (
        ('/proc', 'proc', []),
        ('/dev', 'tmpfs', ['nosuid', 'mode=755']),
        ('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777']),
        ('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
        ('/tmp', 'tmpfs', ['nosuid', 'nodev', 'mode=1777']))]
    return system + kernel + [
        bind(f'{build}/liblastcall.so', OBJECT, 'ro'), bind(f'{build}/e2e', None, 'ro'),
        bind(f'{harness.HERE}/servers', None, 'ro'), bind(directory), bind(f'{directory}/report', REPORT)]


def seccomp(but=()):
    return {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'], 'syscalls': [
        {'names': [name for name in REFUSED if name not in but], 'action': 'SCMP_ACT_ERRNO'},
        {'names': UNKNOWN, 'action': 'SCMP_ACT_ERRNO', 'errnoRet': ENOSYS}]}


def applies(rule, capabilities):
    """Of docker's profile, on this architecture and on any kernel since 4.8."""
    needs, but = rule.get('includes') or {}, rule.get('excludes') or {}
    if 'amd64' in but.get('arches', ()) or set(but.get('caps', ())) & set(capabilities):
        return False
    return 'amd64' in needs.get('arches', ['amd64']) and set(needs.get('caps', ())) <= set(capabilities)


def docker_seccomp(build, capabilities=()):
    profile = docker(build)
    rules = [rule for rule in profile['syscalls'] if applies(rule, capabilities)]
    return {'defaultAction': profile['defaultAction'], 'defaultErrnoRet': 1,
            'architectures': ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
            'syscalls': [{name: rule[name] for name in ('names', 'action', 'args', 'errnoRet') if rule.get(name)} for rule in rules]}


def process(argv, env, uid):
    capabilities = [] if uid else ROOT_CAPABILITIES
    return {'user': {'uid': uid, 'gid': uid}, 'args': argv, 'cwd': '/', 'noNewPrivileges': True,
            'env': [f'{name}={value}' for name, value in env.items()],
            'capabilities': {kind: capabilities for kind in ('bounding', 'effective', 'permitted')},
            'rlimits': [{'type': 'RLIMIT_NOFILE', 'hard': 1024, 'soft': 1024}]}


def linux(name, network, filter_, resources):
    own = [{'type': kind} for kind in ('pid', 'ipc', 'uts', 'mount')]
    return {'namespaces': [*own, {'type': 'network', 'path': network}], 'cgroupsPath': f'/{name}', 'seccomp': filter_,
            'resources': {'devices': [{'allow': False, 'access': 'rwm'}], **resources},
            'maskedPaths': ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
            'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']}


# ---- the test -----------------------------------------------------------------------------------------

class Cleaner:
    """What must not stay is removed when this closes, or when the harness has ended in whatever way."""

    def __init__(self, script, *arguments):
        self.child = subprocess.Popen(['/bin/sh', '-c', f'cat; {script}', 'cleaner', *arguments], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def close(self):
        self.child.stdin.close()
        self.child.wait(BOUND)


LEAVE_NOTHING = '''
runc --root "$1/runc" delete --force "$2"
for ns in "$3" "$4"; do
    for pid in $(ip netns pids "$ns"); do kill -9 "$pid"; done
    ip netns delete "$ns"
done
rm -rf "$1"
'''


class Test(netns.Test):
    def __init__(self, server, options, uid=0, shell=False, full=False, but=(), strict=False):
        """but: system calls that are allowed all the same. strict: docker's own filter, and little memory."""
        self.uid, self.shell, self.full, self.but, self.strict, self.cleaner = uid, shell, full, but, strict, None
        self.root, self.system = root(options.build)
        # As PID 1 a server is not ended by a signal: it exits with what a shell would have said of it.
        if server.exit < 0:
            server = replace(server, exit=server.exit_first or 128 - server.exit, exit_also=(*server.exit_also, 128 - server.exit))
        super().__init__(server, options)

    def _make(self):
        self.name = f'lastcall-{self.number}'
        self.cleaner = Cleaner(LEAVE_NOTHING, self.dir, self.name, self.server_ns, self.client_ns)
        super()._make()
        os.chmod(self.dir, 0o755)
        if self.uid:
            os.chown(self.dir, self.uid, self.uid)

    def runc(self, *command):
        return ['runc', '--root', self.path('runc'), *command]

    def command(self, *words):
        subprocess.run(self.runc(*words), check=True, timeout=BOUND, capture_output=True)

    def container_environment(self, env):
        """Of the harness's environment, what the test itself put there."""
        ours = {k: v for k, v in env.items() if k.startswith('LASTCALL_') or k in self.server.env}
        if 'LD_PRELOAD' in env:
            ours.update(LD_PRELOAD=OBJECT, LASTCALL_REPORT=REPORT)
        return {'PATH': PATH, **ours}

    def mounts(self):
        return mounts(self.options.build, self.dir, self.system)

    def linux(self):
        network = f'/run/netns/{self.server_ns}'
        if not self.strict:
            return linux(self.name, network, seccomp(self.but), {'pids': {'limit': PIDS}})
        return linux(self.name, network, docker_seccomp(self.options.build),
                     {'pids': {'limit': STRICT_PIDS}, 'memory': {'limit': STRICT_MEMORY, 'swap': STRICT_MEMORY}})

    def configure(self, argv, env):
        with open(self.path('report'), 'wb') as f:
            os.fchmod(f.fileno(), 0o666)  # as the kubelet makes it
        if self.shell:
            argv = ['/bin/sh', '-c', ENTRYPOINT, 'sh', *argv]
        config = {'ociVersion': '1.0.2', 'root': {'path': self.root, 'readonly': True}, 'hostname': 'lastcall',
                  'process': process(argv, self.container_environment(env), self.uid),
                  'mounts': self.mounts(),
                  'linux': self.linux()}
        with open(self.path('config.json'), 'w') as f:
            json.dump(config, f)

    def launch(self, argv, env):
        self.configure(argv, env)
        run = self.runc('run', '--bundle', self.dir, '--pid-file', self.path('pid'), self.name)
        return harness.Process(run, {'PATH': PATH}, self.path('log'))

    @property
    def target_process(self):
        if not self.inner and self.exists('pid'):
            self.inner = harness.Target(int(self.read('pid')))
        return super().target_process

    def term(self, number=15):
        if self.full:
            self.command('update', '--pids-limit', '1', self.name)
        self.termed = time.monotonic()
        self.command('kill', self.name, str(number))
        self.sent = time.monotonic()

    def again(self):
        super().again()
        subprocess.run(self.runc('delete', '--force', self.name), check=False, timeout=BOUND, capture_output=True)
        if self.exists('pid'):
            os.unlink(self.path('pid'))

    def close(self):
        if self.cleaner:
            self.cleaner.close()
        super().close()


@dataclass
class Scenario(scenarios.Scenario):
    how: dict = field(default_factory=dict)

    def make(self, server, options):
        return Test(server, options, **self.how)


SERVERS = ('nginx-2', 'gunicorn-gthread', 'epoll')


def contained(variant, names, only=SERVERS, long=(), **how):
    for name in [*names, *long]:
        full = '-'.join(['container', *variant.split(), name])
        scenarios.SCENARIOS[full] = Scenario(full, netns.witnessed(scenarios.SCENARIOS[name].run), only=only, long=name in long,
                                             long_on=scenarios.long_on(name),
                                             heavy=scenarios.SCENARIOS[name].heavy, how=how)


LOADS = ('inflight', 'hammer', 'think', 'churn')
contained('', LOADS)
# Elsewhere a plain run has two loads: one of few long requests and one of many short ones.
SHORT, REST = ('inflight', 'churn'), ('hammer', 'think')
contained('shell', SHORT, long=REST, only=('nginx-2', 'epoll'), shell=True)
# At its limit of processes when TERM comes: no thread can be made.
contained('full', ('inflight', 'hammer'), only=('nginx-2', 'epoll'), full=True)
contained('user', SHORT, long=REST, only=('gunicorn-gthread', 'nginx-2'), uid=1000)
# ptrace, as docker's profile has it since kernel 4.8: so the object comes into a static Go program, which is PID 1 itself.
contained('go', ('inflight', 'hammer'), only=('go-nethttp',), uid=65534)
contained('go-static', ('inflight', 'hammer', 'churn'), only=('go-nethttp-static', 'go-fasthttp-stripped'), uid=65534, but=('ptrace',))
# As a careful deployment has it: nobody, no capability, docker's own filter, 64 MiB.
STRICT = {'uid': 65534, 'strict': True}
STRICT_LONG = ('inflight', 'think', 'churn', 'reuse', 'idle', 'upload', 'big', 'pipeline', 'stream')
contained('strict', ('hammer',), only=('nginx', 'nginx-2', 'epoll', 'python', 'go-nethttp-static', 'go-fasthttp-stripped'), long=STRICT_LONG, **STRICT)
