"""python's HTTPServer, speaking HTTP/1.1, with a thread or a process for each connection.
threading_server.py PORT HOST [fork]"""
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ForkingMixIn, ThreadingMixIn
from urllib.parse import parse_qs, urlsplit

from pattern import BIG, SMALL, STREAM


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body=None, **headers):
        self.send_response(status)
        if body is not None:
            self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.command != 'HEAD':
            self.wfile.write(body)

    def stream(self, ms):
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for chunk in STREAM:
            self.wfile.write(b'%x\r\n%b\r\n' % (len(chunk), chunk))
            time.sleep(ms / 1000 / len(STREAM))
        self.wfile.write(b'0\r\n\r\n')

    def do_GET(self):
        url = urlsplit(self.path)
        ms = int(parse_qs(url.query).get('ms', ['0'])[0])
        if url.path == '/sleep':
            time.sleep(ms / 1000)
        if url.path in ('/', '/sleep'):
            self.answer(200, SMALL)
        elif url.path == '/big':
            self.answer(200, BIG)
        elif url.path == '/stream':
            self.stream(ms)
        elif url.path == '/status/204':
            self.answer(204)
        elif url.path == '/status/304':
            self.answer(304, ETag='"e2e"')
        elif url.path == '/close-tokens':
            self.answer(200, SMALL, Connection='keep-alive, foo')
        elif url.path == '/head-pieces':
            self.wfile.write(b'HTTP/1')
            self.wfile.write(b'.1 200 OK\r\nContent-Le')
            time.sleep(0.05)
            self.wfile.write(b'ngth: 64\r\nX-Pieces: four\r')
            self.wfile.write(b'\n\r\n')
            self.wfile.write(SMALL)
        else:
            self.answer(404, SMALL)

    do_HEAD = do_GET

    def do_POST(self):
        if self.path == '/early':
            self.close_connection = True
            return self.answer(413, SMALL, Connection='close')
        left = length = int(self.headers['Content-Length'])
        while left:
            got = self.rfile.read(min(left, 65536))
            if not got:
                return None
            left -= len(got)
        return self.answer(200, b'%d\n' % length)


class Threading(ThreadingMixIn, HTTPServer):
    request_queue_size = 1024
    daemon_threads = True


class Forking(ForkingMixIn, HTTPServer):
    request_queue_size = 1024
    max_children = 256


Server = Forking if sys.argv[3:] == ['fork'] else Threading
Server((sys.argv[2] if len(sys.argv) > 2 else '127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
