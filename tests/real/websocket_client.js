// One scenario with npm's ws as the client: `node websocket_client.js '{"url": …, "what": …}'` prints what came of it as JSON.
// With `"over": "http2"` Node's own HTTP/2 opens the streams (RFC 8441) and ws speaks on them, uncompressed.

'use strict';

const crypto = require('node:crypto');
const { once } = require('node:events');
const http2 = require('node:http2');
const WebSocket = require('ws');

const asked = JSON.parse(process.argv[2]);
const LATE = 60_000;

// Streams that one connection carries; a gateway allows some more.
const STREAMS = 50;
const sessions = [];

function session(origin) {
  let last = sessions.at(-1);
  if (!last || last.streams === STREAMS) {
    const made = http2.connect(origin);
    last = { made, streams: 0, ready: once(made, 'remoteSettings') };
    sessions.push(last);
  }
  last.streams += 1;
  return last;
}

function openOverHttp2({ headers, protocols }) {
  const url = new URL(asked.url);
  const socket = new WebSocket(null, undefined, { autoPong: true, closeTimeout: 30_000 });
  // It is made for servers; clients mask what they send.
  socket._isServer = false;
  const { made, ready } = session(`http://${url.host}`);
  ready.then(([settings]) => {
    if (!settings.enableConnectProtocol) throw new Error('the server opens no tunnels over HTTP/2');
    const fields = { ...headers, ':method': 'CONNECT', ':protocol': 'websocket', ':path': url.pathname + url.search };
    fields['sec-websocket-version'] = '13';
    if (protocols.length) fields['sec-websocket-protocol'] = protocols.join(', ');
    const stream = made.request(fields);
    stream.setNoDelay = () => {};
    stream.on('response', (answer) => {
      if (answer[':status'] !== 200) {
        stream.statusCode = answer[':status'];
        stream.headers = answer;
        socket.emit('unexpected-response', null, stream);
        return;
      }
      socket._protocol = answer['sec-websocket-protocol'] ?? '';
      socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 64 << 20, allowSynchronousEvents: true });
    });
  });
  return socket;
}

function open(more = {}) {
  const { headers, protocols = [] } = asked;
  if (asked.over === 'http2') return openOverHttp2({ headers, protocols });
  return new WebSocket(asked.url, protocols, { headers, maxPayload: 64 << 20, perMessageDeflate: true, ...more });
}

const text = (message) => message.toString();
const next = async (socket) => (await once(socket, 'message'))[0];

const scenarios = {
  // Messages as they are given, text and bytes, each sent back.
  async echo() {
    const socket = open({ perMessageDeflate: Boolean(asked.deflate) });
    await once(socket, 'open');
    const back = [];
    for (const message of asked.messages) {
      socket.send(message.bytes === undefined ? message.text : Buffer.alloc(message.bytes, 'k'));
      const came = await next(socket);
      back.push(message.bytes === undefined ? text(came) : came.length);
    }
    const { protocol, extensions } = socket;
    socket.close(1000, 'done');
    const [code] = await once(socket, 'close');
    return { back, protocol, extensions, code };
  },

  async greet() {
    const socket = open();
    return { greeting: text(await next(socket)) };
  },

  // One message in pieces, with a ping between two of them.
  async fragments() {
    const socket = open();
    await once(socket, 'open');
    const back = next(socket);
    const pong = once(socket, 'pong');
    socket.send('one ', { fin: false });
    socket.send('two ', { fin: false });
    socket.ping('between');
    socket.send('three', { fin: true });
    return { back: text(await back), pong: text((await pong)[0]) };
  },

  async large() {
    const socket = open({ perMessageDeflate: Boolean(asked.deflate) });
    await once(socket, 'open');
    const sent = crypto.randomBytes(asked.size);
    socket.send(sent);
    return { same: sent.equals(await next(socket)) };
  },

  // The server's ping is answered by the library; the server says that it was.
  async ping() {
    const socket = open();
    const said = next(socket);
    const [data] = await once(socket, 'ping');
    return { ping: text(data), said: text(await said) };
  },

  async close() {
    const socket = open();
    await once(socket, 'open');
    socket.close(asked.code, asked.reason);
    const [code, reason] = await once(socket, 'close');
    return { code, reason: text(reason) };
  },

  // Says one word, and tells how the other side closes.
  async closed() {
    const socket = open();
    await once(socket, 'open');
    console.log('open');
    socket.send('close me');
    const [code, reason] = await once(socket, 'close');
    return { code, reason: text(reason) };
  },

  async many() {
    const one = async (number) => {
      const socket = open();
      await once(socket, 'open');
      for (let round = 0; round < 5; round++) {
        const word = `${number} ${round}`;
        socket.send(word);
        if (text(await next(socket)) !== word) throw new Error(`another's word in ${number}`);
      }
      return socket;
    };
    const sockets = await Promise.all(Array.from({ length: asked.count }, (_, number) => one(number)));
    sockets.forEach((socket) => socket.close());
    return { count: sockets.length };
  },

  async refused() {
    const socket = open();
    const [, response] = await once(socket, 'unexpected-response');
    let body = '';
    for await (const piece of response) body += piece;
    return { status: response.statusCode, code: JSON.parse(body).code, challenge: response.headers['www-authenticate'] };
  },

  // Which error the library makes of an answer that it does not take.
  async failed() {
    const socket = open();
    const [error] = await once(socket, 'error');
    return { error: error.message };
  },
};

setTimeout(() => { console.error(`${asked.what}: not within ${LATE} ms`); process.exit(1); }, LATE).unref();
scenarios[asked.what]().then(
  (came) => process.stdout.write(`${JSON.stringify(came)}\n`, () => process.exit(0)),
  (error) => { console.error(error); process.exit(1); },
);
