"""A backend on Python's own HTTP server: keep-alive, chunks both ways, a sink that hashes, slow streams.

    python3 backend.py [CERT KEY]        listens on a free loopback port and prints it, by TLS with a certificate
"""

import hashlib
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND REPORT MKCOL QUERY PURGE X-CUSTOM".split()
BLOCK = 256 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = BLOCK

    def answer(self):
        # Not self.path: http.server folds leading slashes.
        self.target = self.raw_requestline.split(b" ")[1].decode("latin-1")
        path, _, query = self.target.partition("?")
        self.query = parse_qs(query)
        words = path.strip("/").split("/")
        name = words[1] if len(words) > 1 else ""
        name = words[2] if name == "public" and len(words) > 2 else name
        getattr(self, "page_" + name.replace("-", "_"), self.page_echo)()
        self.wfile.flush()

    def page_echo(self):
        """What was asked, as JSON."""
        size, digest = self.swallow()
        self.send_json(
            {
                "method": self.command,
                "target": self.target,
                "headers": [[name, value] for name, value in self.headers.items()],
                "size": size,
                "sha256": digest,
            }
        )

    page_sink = page_echo

    def page_chunked_echo(self):
        """The body, in chunks of the server's choosing, while it still arrives."""
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("Content-Type", "application/octet-stream"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.pieces():
            self.send_chunk(piece)
        self.send_chunk(b"")

    def page_stream(self):
        """Lines, one a chunk, each `delay` seconds after the last."""
        count, delay = int(self.query["count"][0]), float(self.query["delay"][0])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for n in range(count):
            self.send_chunk(f"data: {n}\n\n".encode())
            self.wfile.flush()
            time.sleep(delay)
        self.send_chunk(b"")

    def page_until_close(self):
        """A body that ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"until the end\n" * 5000)
        self.close_connection = True

    def page_odd(self):
        """Fields that are legal and seldom seen."""
        self.send_response(299, "Odd, but legal: \xfc")
        for name, value in (
            ("X-Empty", ""),
            ("X!#$%&'*+-.^_`|~1", "token"),
            ("X-Latin", "gr\xfc\xdfe"),
            ("X-Inner", 'a,  "b;c"\t d'),
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; Path=/"),
            ("X-Long", "v" * 6000),
            ("Link", "</a>; rel=next, </b>; rel=prev"),
            ("Content-Length", "3"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"odd")

    def page_status(self):
        """The status in the path."""
        status = int(self.target.rsplit("/", 1)[1])
        self.swallow()
        self.send_response(status)
        body = b"" if status in (204, 304) else f"status {status}\n".encode()
        if body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_expect_100(self):
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def send_json(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_chunk(self, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def swallow(self):
        size, digest = 0, hashlib.sha256()
        for piece in self.pieces():
            size += len(piece)
            digest.update(piece)
        return size, digest.hexdigest()

    def pieces(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield from self.exactly(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            yield from self.exactly(int(self.headers.get("Content-Length", 0)))

    def exactly(self, size):
        while size:
            piece = self.rfile.read(min(size, BLOCK))
            if not piece:
                raise ConnectionError("the body ended early")
            size -= len(piece)
            yield piece

    def log_message(self, *_):
        pass


for method in METHODS:
    setattr(Handler, "do_" + method, Handler.answer)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:])
        # Each connection's own thread does its handshake.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()
