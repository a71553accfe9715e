// own_shutdown.js PORT HOST: an application with a shutdown of its own. At TERM its readiness page says 503, its event streams end
// with a last event, and it serves on until /done is asked for; then it closes and exits with 3.
const [port, host] = process.argv.slice(2);
const streams = new Set();
let ready = 200;

const server = require('http').createServer((req, res) => {
  if (req.url === '/ready') {
    res.writeHead(ready);
    return res.end();
  }
  if (req.url === '/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: hello\n\n');
    streams.add(res);
    return res.on('close', () => streams.delete(res));
  }
  if (req.url === '/done')
    server.close(() => process.exit(3));
  res.end('served\n');
});
process.on('SIGTERM', () => {
  ready = 503;
  for (const stream of streams)
    stream.end('event: bye\n\n');
});
server.listen({ port: Number(port), host: host || '127.0.0.1' });
