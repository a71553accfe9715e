"""HTTP by hand, for what a load client cannot do: bytes sent half, bytes compared exactly, TLS."""
import contextlib
import ctypes
import os
import re
import select
import socket
import ssl
import struct

from bound import BOUND

SO_ATTACH_FILTER, BPF_RET_K = 26, 6  # linux/filter.h


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


def connect(address, timeout, receive=0):
    """address: (host, port), or the path of an AF_UNIX socket. receive: size of the receive buffer, if not the usual."""
    unix = isinstance(address, str)
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET6 if ':' in address[0] else socket.AF_INET)
    try:
        s.settimeout(timeout)
        if receive:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        s.connect(address)
        if not unix:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        s.close()
        raise
    return s


def tls_context(*protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class Wire:
    """One connection. Every wait is bounded. tls: a context of tls_context()."""

    def __init__(self, address, timeout=BOUND, tls=None, join_chunks=False, receive=0):
        self.socket = connect(address, timeout, receive)
        if tls:
            self.socket = tls.wrap_socket(self.socket, suppress_ragged_eofs=False)
        self.tls, self.join_chunks = tls, join_chunks
        self.buffer = bytearray()
        self.raw = bytearray()  # everything taken from it; join_chunks: of a chunked body what it says, not where it was cut
        self.notified = False   # the peer ended with a close_notify

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            raise WireError(f'sending: {e}') from e

    def vanish(self):
        """From now on its host takes nothing that comes in, as if it was gone: nothing is acknowledged (socket(7))."""
        nothing = ctypes.create_string_buffer(struct.pack('HBBI', BPF_RET_K, 0, 0, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack('@HP', 1, ctypes.addressof(nothing)))

    def end_output(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self):
        try:
            data = self.socket.recv(65536)
            self.notified |= bool(self.tls) and not data
        except ssl.SSLEOFError:  # a FIN, and no close_notify before it
            data = b''
        except OSError as e:
            raise WireError(f'{e} after {self._received()}') from e
        self.buffer += data
        return bool(data)

    def _received(self):
        received = bytes(self.raw + self.buffer)
        return f'{len(received)} bytes: {received[:60]!r}'

    def _until(self, done):
        while not done():
            if not self._more():
                raise WireError(f'closed after {self._received()}')

    def _take(self, n):
        self._until(lambda: len(self.buffer) >= n)
        taken = bytes(self.buffer[:n])
        del self.buffer[:n]
        self.raw += taken
        return taken

    def wait_for(self, data):
        """Until these bytes have come, whatever comes before them."""
        self._until(lambda: data in self.buffer)

    def _line(self):
        self._until(lambda: b'\r\n' in self.buffer)
        return self._take(self.buffer.index(b'\r\n') + 2)[:-2]

    def _chunks(self):
        body, start = b'', len(self.raw)
        while True:
            size = int(self._line(), 16)
            if not size:
                self._line()
                break
            body += self._take(size)
            if self._take(2) != b'\r\n':
                raise WireError('a chunk without its end')
        if self.join_chunks:
            self.raw[start:] = body
        return body

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

    def end(self, anything=False):
        """The server's FIN: nothing else may come before it (anything: whatever), and no RST in its place."""
        while self._more():
            pass
        if self.buffer and not anything:
            raise WireError(f'bytes after the response: {bytes(self.buffer[:60])!r}')
        if self.notified:
            with socket.socket(fileno=os.dup(self.socket.fileno())) as s:
                try:
                    if not select.select([s], [], [], 1)[0]:
                        self.answer_notify()
                    s.settimeout(BOUND)
                    data = s.recv(1)
                except OSError as e:
                    raise WireError(f'{e} in place of the FIN after close_notify') from e
            if data:
                raise WireError('bytes after close_notify')

    def answer_notify(self):
        """A close_notify of our own: asyncio sends no FIN before it has that."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(0)
            self.socket.unwrap()

    # ---- websocket, RFC 6455: binary messages of less than 126 bytes, one frame each
    def reset(self):
        """Close with a RST (SO_LINGER of 0: socket(7))."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def say_message(self, data):
        mask = b'mask'
        self.send(struct.pack('BB', 0x82, 0x80 | len(data)) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def hear_message(self):
        """Its bytes; None: a close frame."""
        first, length = self._take(2)
        data = self._take(length & 0x7f)
        return None if first & 0x0f == 8 else data


def get(address, path='/', timeout=BOUND, tls=None):
    """One whole connection."""
    with Wire(address, timeout, tls) as wire:
        wire.send(f'GET {path} HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n'.encode())
        response = wire.response()
        wire.end()  # so that nothing of it is left in the server
        return response
