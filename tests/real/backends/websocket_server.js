// A backend of WebSockets on npm's ws; what it does is what websocket_server.py does.
//
//     node websocket_server.js        listens on a free loopback port and prints it

'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');

const ended = new Map();

function asked(url) {
  const { pathname, searchParams } = new URL(url, 'http://backend');
  return [pathname.split('/').at(-1), searchParams];
}

const server = http.createServer((request, response) => {
  const [, query] = asked(request.url);
  response.end(JSON.stringify(ended.get(query.get('id')) ?? null));
});
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: true,
  maxPayload: 64 << 20,
  handleProtocols: (offered) => ['chat', 'soap'].find((name) => offered.has(name)) ?? false,
});
sockets.on('connection', (socket, request) => {
  const [what, query] = asked(request.url);
  socket.on('error', () => {});
  socket.on('close', (code, reason) => ended.set(query.get('id'), [code, reason.toString()]));
  if (what === 'greet') socket.send('welcome');
  if (what === 'fields') socket.send(JSON.stringify(Object.entries(request.headers)));
  if (what === 'ping') {
    socket.on('pong', (data) => socket.send(data.toString() === 'are you there' ? 'pong' : 'another pong'));
    socket.ping('are you there');
  }
  socket.on('message', (data, binary) => {
    if (what === 'close') socket.close(Number(query.get('code')), query.get('reason'));
    else socket.send(data, { binary });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
