// server.js: node's http server with nothing around it. node server.js PORT HOST [https KEY CERT | h2c]
const fs = require('fs');
const [port, host, protocol = 'http', key, cert] = process.argv.slice(2);
const lines = (n) => { // many at a time: one by one they would take longer than the server's start
  const hex = (i, width) => i.toString(16).padStart(width, '0'), ends = Array.from({ length: 4096 }, (_, i) => hex(i, 3) + '\n');
  const blocks = Array.from({ length: n / (16 * 4096) + 1 }, (_, i) => hex(i, 12) + ends.join(hex(i, 12)));
  return Buffer.from(blocks.join('').slice(0, n));
};
const small = lines(64), big = lines(8 << 20), CHUNKS = 10, CHUNK = 160;

const answer = (req, res) => {
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
};

const make = {
  http: () => require('http').createServer(answer),
  https: () => require('https').createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, answer),
  h2c: () => require('http2').createServer(answer),
};
const server = make[protocol]();
server.keepAliveTimeout = 60000; // as that of the others: by default a connection may be closed before TERM comes
if (protocol !== 'h2c') { // after this every byte comes back as it is
  server.on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('error', () => {});
    socket.pipe(socket);
  });
}
server.listen(port.startsWith('unix:') ? { path: port.slice(5), backlog: 4096 } : { port: Number(port), host: host || '127.0.0.1', backlog: 4096 });
