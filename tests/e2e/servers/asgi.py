"""The ASGI application that uvicorn's workers load."""
import asyncio
from urllib.parse import parse_qs

from pattern import BIG, SMALL, STREAM


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
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    for chunk in STREAM:
        await send({'type': 'http.response.body', 'body': chunk, 'more_body': True})
        await asyncio.sleep(ms / 1000 / len(STREAM))
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
