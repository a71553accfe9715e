// server.js: node's http server with nothing around it. node server.js PORT
const http = require('http');
const lines = (n) => {
  const b = Buffer.alloc(n);
  for (let i = 0; i < n / 16; i++) b.write(i.toString(16).padStart(15, '0') + '\n', i * 16);
  return b;
};
const small = lines(64), big = lines(8 << 20), CHUNKS = 10, CHUNK = 160;

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://x'), ms = Number(url.searchParams.get('ms'));
  const send = (status, body, headers) => {
    res.writeHead(status, body ? { 'Content-Length': body.length, ...headers } : headers);
    res.end(body);
  };
  switch (url.pathname) {
    case '/': return send(200, small);
    case '/sleep': return void setTimeout(() => send(200, small), ms);
    case '/big': return send(200, big);
    case '/early': return send(413, small, { Connection: 'close' });
    case '/status/204': return send(204);
    case '/status/304': return send(304, undefined, { ETag: '"e2e"' });
    case '/close-tokens': return send(200, small, { Connection: 'keep-alive, foo' });
    case '/head-pieces': // node joins a head in one write; flushHeaders at least parts it from the body
      res.writeHead(200, { 'Content-Length': small.length });
      res.flushHeaders();
      return void setTimeout(() => res.end(small), 60);
    case '/stream': {
      let i = 0;
      const next = () => {
        res.write(lines(CHUNK * CHUNKS).subarray(i * CHUNK, (i + 1) * CHUNK));
        if (++i < CHUNKS) setTimeout(next, ms / CHUNKS); else setTimeout(() => res.end(), ms / CHUNKS);
      };
      return next();
    }
    case '/upload': {
      let n = 0;
      req.on('data', (d) => { n += d.length; });
      return void req.on('end', () => send(200, Buffer.from(n + '\n')));
    }
    default: return send(404, small);
  }
});
server.listen({ port: Number(process.argv[2]), host: process.argv[3] || '127.0.0.1', backlog: 1024 });
