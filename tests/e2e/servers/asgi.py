"""The ASGI application that uvicorn's workers load."""
import asyncio
from urllib.parse import parse_qs

CHUNKS, CHUNK = 10, 160


def lines(n):
    """Many at a time: one by one they would take longer than the server's start."""
    ends = [b'%03x\n' % i for i in range(4096)]
    beginnings = (b'%012x' % i for i in range(n // (16 * 4096) + 1))
    return b''.join(b + b.join(ends) for b in beginnings)[:n]


SMALL, BIG = lines(64), lines(8 << 20)


async def uploaded(receive):
    n, more = 0, True
    while more:
        message = await receive()
        n, more = n + len(message.get('body', b'')), message.get('more_body', False)
    return b'%d\n' % n


async def answer(send, status, body=b'', headers=()):
    length = [(b'content-length', b'%d' % len(body))] if body else []
    await send({'type': 'http.response.start', 'status': status, 'headers': [*length, *headers]})
    await send({'type': 'http.response.body', 'body': body})


async def stream(send, ms):
    body = lines(CHUNKS * CHUNK)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    for i in range(CHUNKS):
        await send({'type': 'http.response.body', 'body': body[i * CHUNK:(i + 1) * CHUNK], 'more_body': True})
        await asyncio.sleep(ms / 1000 / CHUNKS)
    await send({'type': 'http.response.body'})


async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    path = scope['path']
    ms = int(parse_qs(scope['query_string'].decode()).get('ms', ['0'])[0])
    if path == '/sleep':
        await asyncio.sleep(ms / 1000)
    if path in ('/', '/sleep'):
        await answer(send, 200, SMALL)
    elif path == '/big':
        await answer(send, 200, BIG)
    elif path == '/stream':
        await stream(send, ms)
    elif path == '/upload':
        await answer(send, 200, await uploaded(receive))
    elif path == '/early':
        await answer(send, 413, SMALL, [(b'connection', b'close')])
    elif path == '/status/204':
        await answer(send, 204)
    elif path == '/status/304':
        await answer(send, 304, headers=[(b'etag', b'"e2e"')])
    elif path == '/close-tokens':
        await answer(send, 200, SMALL, [(b'connection', b'keep-alive, foo')])
    else:
        await answer(send, 404, SMALL)
