"""Clients that ask one request after another on a connection of their own, in HTTP/1.1, HTTP/2 (RFC 9113) and FastCGI
(its 1.0 specification), by hand: what is said can stop anywhere. An answer is what its body says; any status that is
not good has another."""
import struct

import wire
from scenarios import request
from wire import WireError


class Refused(Exception):
    """The server says that it has not begun with a request, and that it may be sent again elsewhere (RFC 9113 8.7)."""


class Http1:
    def __init__(self, t):
        self.w = t.wire()

    def ask(self, path, *headers):
        self.w.send(request('GET', path, *headers))

    def once(self, path):
        """The answer, on a connection that its server closes then, where the protocol has a word for that."""
        self.ask(path, 'Connection: close')
        body = self.answer()
        self.w.end()
        return body

    def post(self, path, length):
        """The head; say() its body."""
        self.w.send(request('POST', path, f'Content-Length: {length}'))

    def say(self, data, last):  # pylint: disable=unused-argument
        self.w.send(data)

    def answer(self):
        response = self.w.response()
        if response.status != 200:
            raise WireError(f'status {response.status}')
        return response.body

    def ended(self):
        """The server's FIN, and nothing before it. Was there a close_notify?"""
        self.w.end()
        return self.w.notified

    def close(self):
        self.w.socket.close()


# ---- HTTP/2 -------------------------------------------------------------------------------------------

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4
REFUSED_STREAM = 7  # and of what has come before the server's first word nothing is known
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'


def frame(kind, flags=0, payload=b'', stream=0):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def literal(name, value):
    """RFC 7541 6.2.2: without indexing, a new name."""
    return b'\0' + bytes([len(name)]) + name + bytes([len(value)]) + value


class Http2:
    """One stream at a time. Bodies are smaller than any window."""

    def __init__(self, t):
        self.scheme, self.stream, self.last = b'https' if t.tls else b'http', -1, 1 << 31
        self.w = t.wire(tls=t.tls and wire.tls_context('h2'))
        try:
            self.w.send(PREFACE + frame(SETTINGS))
            self._until(lambda kind, flags, stream, payload: kind == SETTINGS and not flags & ACK)
        except BaseException:
            self.close()
            raise

    def _frame(self):
        length, kind, flags, stream = struct.unpack('>IBBI', b'\0' + self.w._take(9))
        payload = self.w._take(length)
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.w.send(frame(kind, ACK, payload if kind == PING else b''))
        if kind == GOAWAY:
            self.last, error = struct.unpack('>II', payload[:8])
            if error:
                raise WireError(f'GOAWAY: {payload[4:40]!r}')
        return kind, flags, stream, payload

    def _until(self, done):
        while not done(*self._frame()):
            pass

    def _head(self, method, path, *fields, flags=0):
        self.stream += 2
        fields = ((b':method', method), (b':scheme', self.scheme), (b':authority', b'e2e'), (b':path', path.encode()),
                  *fields)
        self.w.send(frame(HEADERS, END_HEADERS | flags, b''.join(literal(*field) for field in fields), self.stream))

    def ask(self, path):
        self._head(b'GET', path, flags=END_STREAM)

    def once(self, path):
        self.ask(path)
        return self.answer()

    def post(self, path, length):
        self._head(b'POST', path, (b'content-length', b'%d' % length))

    def say(self, data, last):
        for i in range(0, len(data), 10000):
            flags = END_STREAM if last and i + 10000 >= len(data) else 0
            self.w.send(frame(DATA, flags, data[i:i + 10000], self.stream))

    def answer(self):
        body = b''

        def done(kind, flags, stream, payload):
            nonlocal body
            if self.stream > self.last or (kind == RST_STREAM and payload == struct.pack('>I', REFUSED_STREAM)):
                raise Refused
            if stream == self.stream and kind == RST_STREAM:
                raise WireError(f'RST_STREAM: {payload!r} after {body[:40]!r}')
            if stream == self.stream and kind == DATA:
                body += payload
            return stream == self.stream and kind in (DATA, HEADERS) and flags & END_STREAM
        try:
            self._until(done)
        except WireError as e:
            if self.stream > self.last:
                raise Refused from e
            raise
        return body

    def ended(self):
        self.w.end(anything=True)  # GOAWAY
        return self.w.notified

    def close(self):
        self.w.socket.close()


# ---- FastCGI ------------------------------------------------------------------------------------------

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
RESPONDER, KEEP_CONN = 1, 1


def record(kind, data=b''):
    return struct.pack('>BBHHxx', 1, kind, 1, len(data)) + data


class FastCgi:
    """As nginx with fastcgi_keep_conn: the connection is used again."""

    def __init__(self, t):
        self.script, self.w = t.path('script.php'), t.wire()

    def _begin(self, method, path, length=0, flags=KEEP_CONN):
        path, _, query = path.partition('?')
        params = {'SCRIPT_FILENAME': self.script, 'REQUEST_METHOD': method, 'DOCUMENT_URI': path, 'QUERY_STRING': query,
                  'CONTENT_LENGTH': str(length or ''), 'CONTENT_TYPE': 'application/octet-stream'}
        data = b''.join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in params.items())
        begin = record(BEGIN_REQUEST, struct.pack('>HB5x', RESPONDER, flags))
        self.w.send(begin + record(PARAMS, data) + record(PARAMS))

    def ask(self, path, **about):
        self._begin('GET', path, **about)
        self.w.send(record(STDIN))

    def once(self, path):
        self.ask(path, flags=0)
        body = self.answer()
        self.w.end()
        return body

    def post(self, path, length):
        self._begin('POST', path, length)

    def say(self, data, last):
        self.w.send(record(STDIN, data) + (record(STDIN) if last else b''))

    def answer(self):
        out = b''
        while True:
            kind, length, padding = struct.unpack('>xBxxHBx', self.w._take(8))
            data = self.w._take(length + padding)[:length]
            if kind == STDERR and data:
                raise WireError(f'stderr: {data[:60]!r}')
            if kind == STDOUT:
                out += data
            if kind == END_REQUEST:
                return out.partition(b'\r\n\r\n')[2]

    def ended(self):
        self.w.end()
        return False

    def close(self):
        self.w.socket.close()
