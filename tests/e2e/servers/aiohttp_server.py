"""aiohttp as its documentation starts it: web.run_app, which has a handler for TERM of its own and still
loses requests. aiohttp_server.py PORT [HOST [CERTIFICATE KEY]]"""
import asyncio
import ssl
import sys

from aiohttp import web
from pattern import BIG, SMALL, STREAM


async def small(request):
    await asyncio.sleep(int(request.query.get('ms', 0)) / 1000)
    return web.Response(body=SMALL)


async def big(request):
    return web.Response(body=BIG)


async def stream(request):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for chunk in STREAM:
        await response.write(chunk)
        await asyncio.sleep(int(request.query.get('ms', 0)) / 1000 / len(STREAM))
    await response.write_eof()
    return response


async def upload(request):
    n = 0
    async for data in request.content.iter_any():
        n += len(data)
    return web.Response(body=b'%d\n' % n)


async def early(request):
    response = web.Response(status=413, body=SMALL)
    response.force_close()
    return response


async def status(request):
    number = int(request.match_info['n'])
    return web.Response(status=number, headers={'ETag': '"e2e"'} if number == 304 else None)


async def tokens(request):
    return web.Response(body=SMALL, headers={'Connection': 'keep-alive, foo'})


async def socket(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_bytes(message.data)
    return ws


app = web.Application(client_max_size=1 << 30)
app.add_routes([
    web.get('/', small), web.get('/sleep', small), web.get('/big', big), web.get('/stream', stream),
    web.post('/upload', upload), web.post('/early', early), web.get('/status/{n}', status),
    web.get('/close-tokens', tokens), web.get('/websocket', socket),
])
tls = None
if len(sys.argv) > 4:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*sys.argv[3:5])
web.run_app(app, ssl_context=tls, host=sys.argv[2] if len(sys.argv) > 2 else '127.0.0.1', port=int(sys.argv[1]), print=None,
            access_log=None, backlog=1024)
