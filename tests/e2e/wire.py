"""HTTP by hand, for what a load client cannot do: bytes sent half, bytes compared exactly."""
import re
import socket


class WireError(Exception):
    pass


class Response:
    def __init__(self, head, body):
        self.head, self.body = head, body
        lines = head.split(b'\r\n')
        match = re.fullmatch(rb'HTTP/1\.[01] (\d\d\d)(?: .*)?', lines[0])
        if not match:
            raise WireError(f'not a status line: {lines[0]!r}')
        self.status = int(match[1])
        self.headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b':')
            if not colon:
                raise WireError(f'not a header: {line!r}')
            self.headers.setdefault(name.lower().decode(), []).append(value.strip().decode('latin-1'))

    def tokens(self):
        return {t.strip().lower() for v in self.headers.get('connection', []) for t in v.split(',') if t.strip()}


def connect(address, timeout):
    """address: (host, port), or the path of an AF_UNIX socket."""
    if isinstance(address, str):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(address)
        return s
    s = socket.create_connection(address, timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Wire:
    """One connection. Every wait is bounded."""

    def __init__(self, address, timeout=15):
        self.socket = connect(address, timeout)
        self.buffer = bytearray()
        self.raw = bytearray()  # everything received

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            raise WireError(f'sending: {e}') from e

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except OSError as e:
            raise WireError(f'{e} after {len(self.raw)} bytes: {bytes(self.raw[:60])!r}') from e
        self.buffer += data
        self.raw += data
        return bool(data)

    def _until(self, done):
        while not done():
            if not self._more():
                raise WireError(f'closed after {len(self.raw)} bytes: {bytes(self.raw[:60])!r}')

    def _take(self, n):
        self._until(lambda: len(self.buffer) >= n)
        taken = bytes(self.buffer[:n])
        del self.buffer[:n]
        return taken

    def _line(self):
        self._until(lambda: b'\r\n' in self.buffer)
        return self._take(self.buffer.index(b'\r\n') + 2)[:-2]

    def _chunks(self):
        body = b''
        while True:
            size = int(self._line(), 16)
            if not size:
                self._line()
                return body
            body += self._take(size)
            if self._take(2) != b'\r\n':
                raise WireError('a chunk without its end')

    def response(self, head=False):
        """The next response, informational ones too."""
        self._until(lambda: b'\r\n\r\n' in self.buffer)
        r = Response(self._take(self.buffer.index(b'\r\n\r\n') + 4)[:-4], b'')
        if head or r.status < 200 or r.status in (204, 304):
            return r
        if 'chunked' in r.headers.get('transfer-encoding', []):
            r.body = self._chunks()
        elif 'content-length' in r.headers:
            r.body = self._take(int(r.headers['content-length'][0]))
        else:
            while self._more():
                pass
            r.body = self._take(len(self.buffer))
        return r

    def exchange(self, data):
        """What an echo does."""
        self.send(data)
        got = self._take(len(data))
        if got != data:
            raise WireError(f'{got!r} came back for {data!r}')

    def end(self):
        """The server's FIN: nothing else may come before it."""
        while self._more():
            pass
        if self.buffer:
            raise WireError(f'bytes after the response: {bytes(self.buffer[:60])!r}')


def get(address, path='/', timeout=5):
    """One whole connection."""
    with Wire(address, timeout) as wire:
        wire.send(f'GET {path} HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n'.encode())
        response = wire.response()
        wire.end()  # so that nothing of it is left in the server
        return response
