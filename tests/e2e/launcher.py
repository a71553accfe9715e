"""The server under `lastcall run`, with and without a shell that stays as its parent, and both as PID 1 of a container.
The signal goes to the launcher, and its exit status is the one that counts."""
import json
import os
from dataclasses import dataclass, field, replace

import container
import harness
import netns
import activation
import external as _  # noqa: F401  (fills the table)
import scenarios
import servers

# As images have them whose entrypoint does not exec: the shell, not the server, is the child of the launcher.
PARENT = '"$@" & wait $!'


def command(launcher, argv, parent=False, options=()):
    if parent:
        argv = ['/bin/sh', '-c', PARENT, 'sh', *argv]
    return [launcher, 'run', *options, '--', *argv]


def without_preload(env):
    return {name: value for name, value in env.items() if name != 'LD_PRELOAD'}


class Test(harness.Test):
    def __init__(self, server, options, parent=False, words=()):
        self.parent, self.words = parent, words
        # What signal n has ended is 128+n to whoever has started the launcher.
        super().__init__(replace(server, exit=server.exit if server.exit >= 0 else 128 - server.exit), options)

    def launch(self, argv, env):
        launcher = os.path.join(self.options.build, 'lastcall')
        return super().launch(command(launcher, argv, self.parent, self.words), without_preload(env))


class Contained(container.Test):
    def __init__(self, server, options, parent=False, **how):
        self.parent = parent
        super().__init__(server, options, **how)

    def mounts(self):
        launcher = container.bind(f'{self.options.build}/lastcall', container.LAUNCHER, 'ro')
        return [*super().mounts(), launcher]

    def container_environment(self, env):
        return without_preload(super().container_environment(env))

    def configure(self, argv, env):
        super().configure(command(container.LAUNCHER, argv, self.parent), env)


@dataclass
class Scenario(scenarios.Scenario):
    make_test: type = Test
    how: dict = field(default_factory=dict)

    def make(self, server, options):
        return self.make_test(server, options, **self.how)


def contained(variant, names, only=container.SERVERS, long=(), **how):
    for name in [*names, *long]:
        full = f'container-{variant}-{name}'
        scenarios.SCENARIOS[full] = Scenario(full, netns.witnessed(scenarios.SCENARIOS[name].run), only=only, long=name in long,
                                             long_on=scenarios.long_on(name),
                                             heavy=scenarios.SCENARIOS[name].heavy, make_test=Contained, how=how)


def launched(variant, names, only=container.SERVERS, long=(), **how):
    for name in [*names, *long]:
        full = f'{variant}-{name}'
        scenarios.SCENARIOS[full] = Scenario(full, scenarios.SCENARIOS[name].run, only=only, heavy=scenarios.SCENARIOS[name].heavy,
                                             long=name in long, long_on=scenarios.long_on(name), make_test=Test, how=how)
    contained(variant, names, only, long, **how)


launched('run', container.SHORT, long=container.REST)
contained('strict-run', ('hammer',), ('nginx', 'nginx-2', 'epoll', 'python', 'static-go'), container.STRICT_LONG, **container.STRICT)
launched('run-parent', container.SHORT, only=('nginx-2', 'epoll'), parent=True)


class Activated(activation.Activated):
    """systemd-socket-activate becomes the launcher, and the listener is for the launcher's command."""

    def __init__(self, server, options):
        super().__init__(replace(server, exit=server.exit if server.exit >= 0 else 128 - server.exit), options)

    def launch(self, argv, env):
        return super().launch(command(os.path.join(self.options.build, 'lastcall'), argv), without_preload(env))


for _name in ('inflight', 'churn'):
    _full = f'run-activated-{_name}'
    scenarios.SCENARIOS[_full] = Scenario(_full, scenarios.SCENARIOS[_name].run, only=('gunicorn-gthread', 'epoll'),
                                          heavy=scenarios.SCENARIOS[_name].heavy, long_on=scenarios.long_on(_name), make_test=Activated)


# ---- external drains: servers in which nothing of ours can live ------------------------------------------------------------

ALLOWED = [name for name in container.REFUSED if name not in ('pidfd_getfd', 'ptrace')]


class External(Contained):
    """With `refused`, the seccomp filter of docker's default profile: sockets cannot be taken over."""

    def __init__(self, server, options, refused=False, **how):
        self.refused = refused
        super().__init__(server, options, **how)

    def configure(self, argv, env):
        super().configure(argv, env)
        if self.refused:
            return
        with open(self.path('config.json'), encoding='utf-8') as f:
            config = json.load(f)
        config['linux']['seccomp']['syscalls'][0]['names'] = ALLOWED
        with open(self.path('config.json'), 'w', encoding='utf-8') as f:
            json.dump(config, f)


def external(names, variant='', **how):
    for name in names:
        full = f'container-external-{variant}{name.removeprefix("external-")}'
        run = netns.witnessed(scenarios.SCENARIOS[name].run)
        scenarios.SCENARIOS[full] = Scenario(full, run, only=('static-epoll', 'static-go'),
                                             heavy=scenarios.SCENARIOS[name].heavy, make_test=External, how=how)


external(('inflight', 'churn', 'idle', 'external-think'))
external(('inflight', 'churn', 'external-think'), 'user-', uid=1000)
external(('inflight',), 'refused-', refused=True)
