// A backend on Node's own HTTP server: echo, chunks, trailers, early answers, and connections that end after five requests.
//
//     node backend.js [CERT KEY]        listens on a free loopback port and prints it, by TLS with a certificate

'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const pages = {
  echo(request, response) {
    const digest = crypto.createHash('sha256');
    let size = 0;
    request.on('data', (piece) => { size += piece.length; digest.update(piece); });
    request.on('end', () => {
      const { method, url, rawHeaders, trailers } = request;
      const body = JSON.stringify({ method, target: url, rawHeaders, trailers, size, sha256: digest.digest('hex') });
      response.setHeader('Content-Type', 'application/json');
      response.end(body);
    });
  },

  // A body as large as asked, in chunks, as fast as it is read.
  stream(request, response, query) {
    let left = Number(query.get('size'));
    response.setHeader('Content-Type', 'application/octet-stream');
    const piece = Buffer.alloc(48_611, 'keyward ');
    const more = () => {
      while (left > 0) {
        const now = Math.min(left, piece.length);
        left -= now;
        if (!response.write(piece.subarray(0, now))) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  },

  // The body back, while it arrives.
  pipe(request, response) {
    request.pipe(response);
  },

  // An answer before the body was read; the body is thrown away.
  early(request, response) {
    response.writeHead(422, { 'Content-Type': 'text/plain' });
    response.end('no need to send it\n');
    request.resume();
  },

  trailers(request, response) {
    response.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'X-Checksum' });
    response.write('body\n');
    response.addTrailers({ 'X-Checksum': 'abc' });
    response.end();
  },

  hints(request, response) {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    response.end('hinted\n');
  },
};

const [cert, key] = process.argv.slice(2).map((file) => fs.readFileSync(file));
const [protocol, options] = cert ? [https, { cert, key }] : [http, {}];
const server = protocol.createServer(options, (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://backend');
  (pages[pathname.split('/')[2]] ?? pages.echo)(request, response, searchParams);
});
server.maxRequestsPerSocket = 5;
server.keepAliveTimeout = 1000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
