"""The primary of node's cluster holds each connection until the worker to which it was passed has answered. One whose
worker has ended without an answer is read by no process (pm2 reload): a drain does not wait for that connection. One
that the worker has refused waits in the primary for another worker, and is served."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

BUILD = os.environ['BUILD']
LIB = os.path.realpath(f'{BUILD}/liblastcall.so')
BOUND = 60  # against hanging only

# It says what it does, a line each. USR2: the first worker is disconnected. /block: its worker waits for FREE.
SERVER = r'''
const cluster = require('cluster'), http = require('http'), fs = require('fs');
const say = (...words) => fs.writeSync(1, words.join(' ') + '\n');
function start() {
  const worker = cluster.fork(), send = worker.process.send;
  worker.process.send = function (message) {
    if (message.act === 'newconn') say('handed', worker.id);
    return send.apply(this, arguments);
  };
  return worker;
}
if (cluster.isPrimary) {
  const first = start();
  first.once('listening', (at) => start().once('listening', () => say('ready', at.port, first.process.pid)));
  cluster.on('exit', () => say('gone'));
  cluster.on('disconnect', () => say('disconnected'));
  process.on('SIGUSR2', () => first.disconnect());
} else {
  const server = http.createServer((request, response) => {
    if (request.url === '/block') {
      fs.writeSync(1, 'blocked\n');
      while (!fs.existsSync(process.env.FREE));
    }
    response.end('ok');
  });
  if (cluster.worker.id === 1) server.maxConnections = 1;
  server.listen(0, '127.0.0.1');
}
'''


class Cluster:
    """Two workers; the first has one connection, and takes no more."""

    def __init__(self, directory, preload):
        self.free, self.report = f'{directory}/free', f'{directory}/report'
        env = {**os.environ, 'FREE': self.free}
        if preload:
            env |= {'LD_PRELOAD': LIB, 'LASTCALL_TIMEOUT': '30s', 'LASTCALL_LOG': 'off', 'LASTCALL_REPORT': self.report}
        with open(f'{directory}/server.js', 'w', encoding='ascii') as script:
            script.write(SERVER)
        self.process = subprocess.Popen(['node', script.name], env=env, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.port, self.first = map(int, self.heard('ready')[1:])
        self.clients = []
        self.idle = self.ask('/')
        assert answer(self.idle) and self.heard('handed')[1] == '1', 'in service'

    def heard(self, word):
        for line in self.process.stdout:
            if line.split()[0] == word:
                return line.split()
        raise AssertionError(f'node has ended, and has not said "{word}"')

    def ask(self, path):
        client = socket.create_connection(('127.0.0.1', self.port), timeout=BOUND)
        self.clients.append(client)
        client.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        return client

    def ask_first(self):
        """Requests: the connection of the last one is passed to the first worker, which is stopped."""
        os.kill(self.first, signal.SIGSTOP)
        asked = [self.ask('/')]
        while self.heard('handed')[1] != '1':
            asked.append(self.ask('/'))
        return asked

    def lines(self):
        with open(self.report, encoding='ascii') as lines:
            return [json.loads(line) for line in lines]

    def end(self):
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        open(self.free, 'w', encoding='ascii').close()
        self.process.wait()


def answer(client):
    try:
        return client.recv(999).startswith(b'HTTP/1.1 200')
    except ConnectionResetError:
        return False


def abandoned(preload):
    """The first worker is killed before it has taken the connection. Was that one answered? How did the drain end?"""
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory, preload)
        try:
            asked = cluster.ask_first()[-1]
            os.kill(cluster.first, signal.SIGKILL)
            cluster.heard('gone')
            assert answer(cluster.ask('/')), 'in service'
            cluster.process.terminate()
            answered = answer(asked)
            cluster.process.wait(BOUND)
            return answered, cluster.lines()[-1]['end'] if preload else ''
        finally:
            cluster.end()


def nobody_reads():
    answered, _ = abandoned(False)
    assert not answered, 'without lastcall it is answered'
    answered, end = abandoned(True)
    assert not answered, 'it is answered after all'
    assert end == 'drained', f'the drain has ended by {end}'


def refused():
    """The first worker refuses a connection, and is disconnected. The second is busy: the connection waits for it."""
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory, True)
        try:
            cluster.ask('/block')
            cluster.heard('blocked')
            asked = cluster.ask_first()
            if len(asked) == 1:  # the second worker has one that it has not taken either
                asked.append(cluster.ask('/'))
                cluster.heard('handed')
            cluster.process.send_signal(signal.SIGUSR2)
            os.kill(cluster.first, signal.SIGCONT)
            cluster.heard('disconnected')
            cluster.process.terminate()
            while not os.path.exists(cluster.report) or not cluster.lines():
                assert cluster.process.poll() is None, 'the drain did not wait'
            assert not cluster.idle.recv(99), 'the first worker does not drain'
            open(cluster.free, 'w', encoding='ascii').close()
            lost = sum(not answer(client) for client in asked)
            assert not lost, f'{lost} of {len(asked)} lost'
            cluster.process.wait(BOUND)
        finally:
            cluster.end()


def main():
    if not shutil.which('node'):
        print('SKIP node-primary: there is no node')
        sys.exit(os.environ.get('CI') == 'true')
    failed = False
    for name, case in (('nobody-reads', nobody_reads), ('refused', refused)):
        try:
            case()
            print(f'ok node-primary/{name}', flush=True)
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            print(f'FAIL node-primary/{name}: {error!r}', flush=True)
            failed = True
    sys.exit(failed)


main()
