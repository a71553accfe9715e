#!/usr/bin/python3
"""lastcall without a command: usage, help, version."""
import re
import subprocess

import cases
from cases import ROOT, case, check, lastcall, says


@case
def no_command():
    says(lastcall(), 2, r'usage: lastcall COMMAND')


@case
def unknown_command():
    says(lastcall('drian'), 2, r"no command 'drian'")


@case
def version():
    with open(f'{ROOT}/shim/base.h') as f:
        number = re.search(r'LASTCALL_VERSION "(.*)"', f.read())[1]
    for word in ('version', '--version'):
        run = lastcall(word)
        check((run.returncode, run.stdout) == (0, f'lastcall {number}\n'), f'{word}: {run}')
    says(lastcall('version', 'now'), 2, "not 'now'")


@case
def help_for_every_command():
    named = re.findall(r'^  (\w+) ', lastcall('--help').stdout, re.M)
    check('version' in named, f'--help names {named}')
    for name in named:
        run = lastcall(name, '--help')
        check(run.returncode == 0 and run.stdout.startswith(f'usage: lastcall {name}'), f'{name}: {run}')


@case
def static():
    """It can be copied into any image."""
    run = subprocess.run(['readelf', '-lW', f'{cases.build}/lastcall'], capture_output=True, text=True, check=True)
    check('LOAD' in run.stdout and 'INTERP' not in run.stdout, 'it has an interpreter')


if __name__ == '__main__':
    cases.main()
