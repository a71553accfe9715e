#!/usr/bin/python3
"""lastcall timeline: pictures of real drains say what happened; what is no report is told in a sentence."""
import collections
import html.parser
import json
import os
import re
import xml.etree.ElementTree as ET

import cases
import drains
import groups
from cases import case, check, directory, lastcall, says

SVG = '{http://www.w3.org/2000/svg}'
LOOKS = {'f': 'in_flight', 'i': 'idle', 'o': 'opaque', 'e': 'closing', 'n': 'half_closed', 'l': 'lingering', 'm': 'many', 'x': 'aborted'}


class Picture:
    """What is drawn, read back out of the SVG."""

    def __init__(self, root):
        self.width, self.height = (float(n) for n in root.get('viewBox').split()[2:])
        self.texts = [''.join(t.itertext()) for t in root.iter(f'{SVG}text')]
        self.marks = {k: [float(line.get('x1')) for line in root.iter(f'{SVG}line') if line.get('class') == k] for k in ('k0', 'k2', 'k3', 'k4')}
        self.rows = [Row(g) for g in root.iter(f'{SVG}g') if g.get('class') == 'c']

    def looks(self):
        """How many rows show each look."""
        return collections.Counter(look for row in self.rows for look in {look for look, _, _ in row.bars})


class Row:
    def __init__(self, g):
        self.story = g.find(f'{SVG}title').text
        self.bars = [(LOOKS[r.get('class')], float(r.get('x')), float(r.get('x')) + float(r.get('width')))
                     for r in g.iter(f'{SVG}rect') if r.get('class') in LOOKS]


class Tags(html.parser.HTMLParser):
    """Every element that is opened is closed; nothing is fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.outside = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.outside += [v for k, v in attrs if k in ('src', 'href', 'data', 'action') or (v and v.startswith('http') and k != 'xmlns')]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f'</{tag}> closes another element')


def drawn(report_text, *words):
    """The SVG, read back; the page is drawn too, and must hold the same."""
    with directory() as d:
        report = drains.put(d, 'report', report_text)
        for name in ('drain.svg', 'drain.html'):
            run = lastcall('timeline', report, '-o', f'{d}/{name}', *words)
            check(run.returncode == 0 and not run.stderr and not run.stdout, f'{name}: {run}')
        with open(f'{d}/drain.html') as f:
            page = f.read()
        tags = Tags()
        tags.feed(page)
        check(not tags.open and not tags.outside, f'left open {tags.open}, from elsewhere {tags.outside}')
        check(page.startswith('<!DOCTYPE html>') and 'prefers-color-scheme:dark' in page, 'no page in light and dark')
        svg = ET.parse(f'{d}/drain.svg').getroot()
        inner = next(ET.fromstring(page).iter(f'{SVG}svg'))
        check(Picture(inner).texts == Picture(svg).texts, 'the page shows another picture')
        return Picture(svg)


def check_times(picture, report):
    """Every bar lies between the signal and the release, or the last close after it."""
    start, end = picture.marks['k0'][0], picture.marks['k4'][0]
    last = max([us for c in report['connections'] for _, us in c['changes']] + [report['duration_us']])
    most = start + (end - start) * last / report['duration_us'] + 3.1
    for row in picture.rows:
        check(row.bars and all(start - 0.1 <= a < b <= most for _, a, b in row.bars), f'outside {start}..{most}: {row.bars}')
        check(all(p[2] <= q[1] + 3.1 for p, q in zip(row.bars, row.bars[1:])), f'bars overlap: {row.bars}')


def check_rows(picture, report):
    """Each connection of the report has its row, which tells its states and times."""
    told = collections.Counter(row.story for row in picture.rows)
    check(sum(told.values()) == len(report['connections']), f"{sum(told.values())} rows, {len(report['connections'])} connections")
    for c in report['connections']:
        mine = [story for story in told if f"from {c['peer']}\nprocess {c['pid']}," in story]
        check(len(mine) == 1, f"{len(mine)} rows for {c['peer']}")
        check(mine[0].count(' ms: ') == len(c['changes']) and mine[0].startswith(c['method'] or 'no request'), f'{mine[0]} of {c}')
        check((', aborted' in mine[0]) == c['aborted'], f'{mine[0]} of {c}')


def served(picture, report, requests):
    """So many requests were in flight for a while, for as long as the report says. (One of the suite's own may have been so for a
    moment.)"""
    start, end = picture.marks['k0'][0], picture.marks['k4'][0]
    drawn_us = sorted((b - a) * report['duration_us'] / (end - start) for row in picture.rows for look, a, b in row.bars if look == 'in_flight')
    told_us = sorted(until - us for c in report['connections'] for (state, us), (_, until) in zip(c['changes'], c['changes'][1:])
                     if state == 'in_flight')
    check(len(drawn_us) == len(told_us) >= requests, f'{len(drawn_us)} bars, {len(told_us)} in the report')
    room = 3.1 * report['duration_us'] / (end - start)  # what is too short to be seen is drawn longer
    check(all(abs(a - b) <= room for a, b in zip(drawn_us, told_us)), f'drawn {drawn_us}, told {told_us}')
    return drawn_us[-requests:]


def told_to_end(picture):
    return [row for row in picture.rows if 'ms: told to end' in row.story and row.bars[0][0] == 'idle']


@case
def nginx_of_two_workers():
    """10 connections: 5 in flight for two times, 5 idle."""
    report, text = drains.drain('nginx-2', 5, {1000: 2, 2500: 3}, LASTCALL_IDLE='500ms')
    picture = drawn(text)
    check_rows(picture, report)
    check_times(picture, report)
    took = served(picture, report, 5)
    check(took[2] - took[1] > 500_000, f'two of {took} us were to end 1.5 s before the others')
    check(len(told_to_end(picture)) == 5 and not picture.looks()['aborted'], f'{[row.story for row in picture.rows]}')
    workers = {c['pid'] for c in report['connections']}
    check(all(any(t.startswith(f'process {pid}, drained') for t in picture.texts) for pid in workers), f'{picture.texts}')
    check(any('without connections: process ' in t for t in picture.texts), f'no word of the master: {picture.texts}')
    check(re.match(r'1\d connections drained in [0-9,]+ ms, none aborted', picture.texts[0]), picture.texts[0])
    check('GET ' + report['connections'][0]['peer'] in picture.texts, f'{picture.texts}')
    return f"{len(picture.rows)} rows, {report['duration_us'] / 1000:.0f} ms"


@case
def a_thousand_connections():
    """C epoll: thinner bars, bands, and the area above."""
    report, text = drains.drain('epoll', 700, {4000: 150, 4400: 150})
    picture = drawn(text)
    check_rows(picture, report)
    check_times(picture, report)
    served(picture, report, 300)
    check(len(told_to_end(picture)) == 700, f'{picture.looks()}')
    first = [row.bars[0][0] for row in picture.rows]
    flying = first.index('idle')
    counted = [{look: part.count(look) for look in part} for part in (first[:flying], first[flying:])]
    check(300 <= flying <= 310 and list(counted[0]) == ['in_flight'] and list(counted[1]) == ['idle'], f'not sorted by what they were: {counted}')
    for band in ('in flight at the signal', 'idle at the signal', 'connections', f'{flying}', f'{len(first) - flying}'):
        check(band in picture.texts, f'no {band!r}')
    for rows in (picture.rows[:flying], picture.rows[flying:]):
        at = [row.bars[-1][2] for row in rows]
        check(all(a <= b + 1.1 for a, b in zip(at, at[1:])), 'not sorted by end')
    check(picture.height < 2000, f'it is {picture.height} high')
    return f'{len(text) // 1000} kB report'


@case
def cut_by_the_deadline():
    report, text = drains.drain('thread', 4, {}, aborted=2, LASTCALL_TIMEOUT='700ms', LASTCALL_IDLE='200ms')
    picture = drawn(text)
    check_rows(picture, report)
    check_times(picture, report)
    red = [row for row in picture.rows if 'aborted' in {look for look, _, _ in row.bars}]
    check(len(red) == 2 and all(', aborted' in row.story and 'open at the end' in row.story for row in red), f'{picture.looks()}')
    release = picture.marks['k4'][0]
    check(all(abs(row.bars[-1][2] - release) < 1 for row in red), 'the red does not end at the release')
    start = picture.marks['k0'][0]
    deadline = start + (release - start) * report['deadline_us'] / report['duration_us']
    check(len(picture.marks['k3']) == 1 and abs(picture.marks['k3'][0] - deadline) < 1.1, f'the deadline is at {picture.marks}')
    check(re.match(r'2 of \d connections aborted', picture.texts[0]), picture.texts[0])
    took = next(int(m[1]) for t in picture.texts if (m := re.match(r'delivered at the deadline (\d+)', t)))
    check(700 <= took <= report['duration_us'] / 1000 + 1, f'{picture.texts}')


@case
def a_worker_that_is_killed():
    """What it had is told of too, though it could say nothing any more."""
    with drains.server('nginx-2') as t:
        wires = groups.in_flight(t)
        _, lost, others = groups.kill_one(t, wires)
        groups.answered(t, others)
        groups.closed(wires)
        t.until('the report', t.is_released)
        text = t.read('report')
    report = json.loads(text.splitlines()[-1])
    cut = [c for c in report['connections'] if c['aborted']]
    check(len(report['connections']) >= len(wires) and len(cut) == report['aborted'] == lost > 0, f"{len(cut)} of {len(report['connections'])} cut, report: {report['aborted']}")
    picture = drawn(text)
    check(picture.looks()['aborted'] == len(cut), f'{picture.looks()}')
    check(any(re.match(r'process \d+, killed', t) for t in picture.texts), f'{picture.texts}')
    return f'{len(cut)} cut'


@case
def gunicorn():
    report, text = drains.drain('gunicorn-gthread', 3, {2000: 4}, LASTCALL_IDLE='300ms')
    picture = drawn(text)
    check_rows(picture, report)
    check_times(picture, report)
    served(picture, report, 4)
    check(len(told_to_end(picture)) == 3, f'{[row.story for row in picture.rows]}')


@case
def status_sees_a_group_with_a_history():
    """The memory of its group is larger then."""
    with drains.server('epoll') as t:
        run = lastcall('status', str(t.process.pid))
    check(run.returncode == 0 and str(t.process.pid) in run.stdout, f'{run}')


@case
def one_of_several_drains():
    """The last, or the one that is asked for; what is between them and no report is passed over."""
    lines = [json.dumps({'event': 'drain', 'duration_us': ms * 1000, 'connections_left_out': 0}) for ms in (100, 200, 300)]
    with directory() as d:
        report = drains.put(d, 'report', '\n{"msg":"x"}\n'.join(lines) + '\n')
        for words, ms in (((), 300), (('--drain', '1'), 100), (('--drain', '2'), 200)):
            run = lastcall('timeline', report, *words)
            check(f'drained in {ms} ms' in run.stdout, f'{words}: {run.stderr}')
        says(lastcall('timeline', report, '--drain', '4'), 1, 'tells of 3 drains; there is no drain 4')
        with open(report) as f:
            run = lastcall('timeline', '-', '--title', 'A <b> day', stdin=f.read())
        check('A &lt;b&gt; day' in run.stdout and 'drained in' not in run.stdout.split('<style>')[0], run.stderr)


@case
def reports_without_connections():
    """What there is is drawn, and the variable named."""
    text = json.dumps({'event': 'drain', 'duration_us': 900000, 'end': 'deadline', 'aborted': 1, 'aborts': [
        {'peer': '1.2.3.4:5', 'method': 'GET', 'request_bytes': 5, 'response_bytes': 0, 'age_us': 100000}]}) + '\n'
    with directory() as d:
        run = lastcall('timeline', drains.put(d, 'report', text))
    says(run, 0, 'set LASTCALL_REPORT_CONNECTIONS=1')
    picture = Picture(ET.fromstring(run.stdout))
    check(picture.looks() == {'aborted': 1} and len(picture.rows) == 1, f'{picture.looks()}')


@case
def bad_input():
    """One sentence each, and no picture."""
    with directory() as d:
        good = drains.put(d, 'good', '{"event":"drain","duration_us":5,"connections_left_out":0}\n')
        empty, cut = drains.put(d, 'empty', ''), drains.put(d, 'aborted', '{"event":"drain","duration_us":5,"conn')
        long = drains.put(d, 'long', 'x' * (17 << 20))
        for words, status, pattern in (
                ((), 2, 'one report is wanted, not 0'),
                ((good, good), 2, 'one report is wanted, not 2'),
                ((good, '-o', f'{d}/x.png'), 2, r"x\.png' ends neither in \.svg nor in \.html"),
                ((good, '-o'), 2, "'-o' wants a value"),
                ((good, '--drain', '0'), 2, "--drain '0' is no number from 1"),
                ((good, '--drain', '1x'), 2, "--drain '1x' is no number from 1"),
                ((good, '--colour'), 2, "no option '--colour'"),
                ((f'{d}/none',), 1, 'none cannot be opened: No such file'),
                ((d,), 1, 'cannot be read|holds no report'),
                ((empty,), 1, 'holds no report of a drain'),
                ((cut,), 1, 'line 1: it is no JSON, truncated by a crash'),
                ((long,), 1, 'longer than 16 MiB'),
                ((good, '-o', f'{d}/none/x.svg'), 1, r'x\.svg cannot be written: No such')):
            run = lastcall('timeline', *words)
            says(run, status, pattern)
            check(not run.stdout and run.stderr.count('lastcall:') <= 2, f'{words}: {run}')
        with open('/dev/full', 'w') as full:
            run = cases.subprocess.run([f'{cases.build}/lastcall', 'timeline', good], stdout=full, stderr=cases.subprocess.PIPE, text=True,
                                       check=False)
        says(run, 1, 'standard output cannot be written: No space left')
        check(not os.path.exists(f'{d}/x.png'), 'it has written x.png')


if __name__ == '__main__':
    cases.main()
