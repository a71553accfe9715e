"""The WSGI application that gunicorn's workers load. Says "serving" once it is loaded."""
import os
import sys
import time
from urllib.parse import parse_qs

from pattern import BIG, SENDFILE, SMALL, STREAM

REASONS = {200: 'OK', 204: 'No Content', 304: 'Not Modified', 404: 'Not Found', 413: 'Content Too Large'}


def milliseconds(environ):
    return int(parse_qs(environ['QUERY_STRING']).get('ms', ['0'])[0])


def stream(environ):
    for chunk in STREAM:
        yield chunk
        time.sleep(milliseconds(environ) / 1000 / len(STREAM))


def uploaded(environ):
    n = 0
    while data := environ['wsgi.input'].read(65536):
        n += len(data)
    return b'%d\n' % n


def a_file(environ):
    file = os.memfd_create('sendfile')
    os.write(file, SENDFILE)
    os.lseek(file, 0, os.SEEK_SET)
    return environ['wsgi.file_wrapper'](os.fdopen(file, 'rb'))


def application(environ, start_response):
    path = environ['PATH_INFO']

    def answer(status, body, length=None):
        headers = [] if length is None else [('Content-Length', str(length))]
        start_response(f'{status} {REASONS[status]}', headers + ([('ETag', '"e2e"')] if status == 304 else []))
        return [] if environ['REQUEST_METHOD'] == 'HEAD' else body

    if path == '/sleep':
        time.sleep(milliseconds(environ) / 1000)
    if path in ('/', '/sleep'):
        return answer(200, [SMALL], len(SMALL))
    if path == '/big':
        return answer(200, [BIG], len(BIG))
    if path == '/stream':
        return answer(200, stream(environ))
    if path == '/upload':
        body = uploaded(environ)
        return answer(200, [body], len(body))
    if path == '/sendfile':
        return answer(200, a_file(environ), len(SENDFILE))
    if path in ('/status/204', '/status/304'):
        return answer(int(path[8:]), [])
    return answer(413 if path == '/early' else 404, [SMALL], len(SMALL))


print('serving', file=sys.stderr, flush=True)
