#!/usr/bin/python3
"""Pictures of drains for a human eye: build/shots/*.png, in light and dark, by headless Chromium (make timeline-shots). Not a
test: Chromium is too large for one. It says only whether Chromium showed something."""
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

import cases
import drains

CHROMIUM = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--hide-scrollbars']
SCHEMES = {'light': 1, 'dark': 0}
DRAINS = {'nginx-25': ('nginx-2', 25, 2), 'epoll-1000': ('epoll', 1000, 50), 'nginx-4-1000': ('nginx-4', 1000, 0), 'node-10': ('node', 10, 0)}


def shoot(page, png, scheme, width, height):
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run([*CHROMIUM, f'--user-data-dir={profile}', f'--blink-settings=preferredColorScheme={SCHEMES[scheme]}',
                        f'--window-size={width},{height}', f'--screenshot={png}', f'file://{page}'],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=True)
    if os.path.getsize(png) < 20000:
        sys.exit(f'{png} is nearly empty')
    print(png)


def main():
    cases.build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'build')
    if not shutil.which('chromium'):
        sys.exit('timeline_shots.py: chromium is missing: scripts/deps shots')
    shots = f'{cases.build}/shots'
    os.makedirs(shots, exist_ok=True)
    for name, (server, connections, aborted) in DRAINS.items():
        base = f'{shots}/{name}'
        report = drains.put(shots, f'{name}.json', drains.varied(server, connections, aborted))
        for kind in ('svg', 'html'):
            cases.says(cases.lastcall('timeline', report, '-o', f'{base}.{kind}'), 0, '')
        width, height = (int(float(n)) for n in ET.parse(f'{base}.svg').getroot().get('viewBox').split()[2:])
        for scheme in SCHEMES:
            shoot(f'{base}.html', f'{base}-{scheme}.png', scheme, width, height)


if __name__ == '__main__':
    main()
