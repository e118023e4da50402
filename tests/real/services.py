"""What the suite runs: nginx, the two backends, the gateway. Each is started here, and ended here by its process id."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
START = 30  # seconds anything may take to be ready
EMAIL = "real@example.com"


def tool(name):
    """The full path of a program; its absence is an error."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        sys.exit(f"{name} is not installed; tests/setup installs it")
    return found


def node_modules():
    """The environment in which Node finds the packages that tests/setup installs: beside this Python's own."""
    return {**os.environ, "NODE_PATH": str(Path(sys.prefix).parent / "real-node" / "node_modules")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, holds, seconds=START):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Services:
    """Processes that end with the `with` block, last started first."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.started = []
        self.direct = {}  # first path segment → base URL of its backend
        self.http2 = set()  # those that speak HTTP/2
        self.grpc_port = 0
        self.jwks = self.folder / "jwks.json"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            self.end(process)

    def spawn(self, name, command, **more):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, **{"stdout": log, **more})
        process.name = name
        self.started.append(process)
        return process

    def end(self, process, how=signal.SIGTERM):
        """Ends a process of ours and returns its exit code."""
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else "(nothing)"

    # The backends

    def start_nginx(self):
        www = self.folder / "www"
        make_files(www / "files")
        port = free_port()
        config = self.folder / "nginx.conf"
        self.sealed = free_port()
        config.write_text(NGINX.replace("@port@", str(port)).replace("@sealed@", str(self.sealed)).replace("@folder@", str(self.folder)).replace(
            "@user@", "user root;" if os.geteuid() == 0 else ""))
        process = self.spawn("nginx", [tool("nginx"), "-p", self.folder, "-c", config, "-e", self.folder / "nginx.log"])
        self.direct["files"] = f"http://127.0.0.1:{port}"
        self.wait_for_port(process, port)

    def start_backend(self, name, command):
        process = self.spawn(name, command, stdout=subprocess.PIPE, text=True, env=node_modules())
        port = process.stdout.readline().strip()
        assert port.isdigit(), f"{name} did not start: {self.log(name)}"
        scheme = "https" if name.startswith("sealed") else "http"
        self.direct[name] = f"{scheme}://127.0.0.1:{port}"

    def start_backends(self, issuer):
        self.start_nginx()
        self.start_backend("py", [sys.executable, HERE / "backends/backend.py"])
        self.start_backend("node", [tool("node"), HERE / "backends/backend.js"])
        sealed = [self.folder / f"tls/nginx.{kind}" for kind in ("pem", "key")]
        self.start_backend("sealed_py", [sys.executable, HERE / "backends/backend.py", *sealed])
        self.start_backend("sealed_node", [tool("node"), HERE / "backends/backend.js", *sealed])
        self.start_backend("wspy", [sys.executable, HERE / "backends/websocket_server.py"])
        self.start_backend("wsjs", [tool("node"), HERE / "backends/websocket_server.js"])
        checking = [sys.executable, HERE / "backends/assertion.py", self.jwks, issuer, "asserted"]
        self.start_backend("asserted", checking)
        self.start_grpc()

    def start_grpc(self, port=0):
        """The service, on a port that it had before if it is to be there again."""
        self.start_backend("kw.Test", [sys.executable, HERE / "backends/grpc_service.py", str(port)])
        self.http2.add("kw.Test")
        self.grpc_port = self.direct["kw.Test"].rsplit(":", 1)[1]

    def wait_for_port(self, process, port):
        def listening():
            assert process.poll() is None, f"{process.name} ended: {self.log(process.name)}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(f"{process.name} on port {port}", listening)


class Gateway:
    """The real binary: its store and keys are made by its own commands."""

    def __init__(self, services, binary):
        self.services = services
        self.binary = str(Path(binary).resolve())
        if not os.access(self.binary, os.X_OK):
            sys.exit(f"{binary} is not a program")
        self.config = services.folder / "keyward.yaml"
        self.port, self.admin, self.secure = free_port(), free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.process = None

    def prepare(self):
        trusted = "    tls: { ca_file: tls/ca.pem, server_name: localhost }\n"
        upstreams = "".join(
            f"  - name: {name}\n"
            f"    protocol: {'http2' if name in self.services.http2 else 'http1'}\n"
            f"    endpoints: [{{ url: \"{url}\" }}]\n"
            f"{trusted if url.startswith('https') else ''}"
            for name, url in self.services.direct.items()
        )
        sealed = f"endpoints: [{{ url: \"https://127.0.0.1:{self.services.sealed}\" }}]"
        upstreams += f"  - {{ name: sealed, {sealed}, tls: {{ ca_file: tls/ca.pem, server_name: localhost }} }}\n"
        upstreams += f"  - {{ name: unsealed, {sealed} }}\n"
        self.config.write_text(
            KEYWARD.replace("@port@", str(self.port)).replace("@secure@", str(self.secure)).replace("@admin@", str(self.admin)).replace("@upstreams@", upstreams)
        )
        self.command("check")
        self.command("accounts", "create", "--email", EMAIL, "--json")

    def command(self, *words, text=None):
        command = [self.binary, *words, "--config", self.config]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"keyward {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def new_key(self, name, *words):
        """A key object with its secret, as `keys create --json` prints it."""
        return json.loads(self.command("keys", "create", "--account", EMAIL, "--name", name, "--json", *words))

    def serve(self):
        self.process = self.services.spawn("keyward", [self.binary, "serve", "--config", self.config])

        def ready():
            assert self.process.poll() is None, f"keyward ended: {self.services.log('keyward')}"
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=5).status == 200
            except (urllib.error.URLError, ConnectionError):
                return False

        wait_until("the gateway's readiness", ready)

    def memory(self):
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def make_files(folder):
    """200 MB of noise, 1 GiB of blocks that all differ, 1,000 small files, and one of each common type."""
    noise = random.Random(7)
    (folder / "small").mkdir(parents=True)
    (folder / "listed").mkdir()
    with open(folder / "200mb.bin", "wb") as file:
        for _ in range(200):
            file.write(noise.randbytes(1_000_000))
    block = noise.randbytes((1 << 20) - 8)
    with open(folder / "1gib.bin", "wb") as file:
        for n in range(1024):
            file.write(n.to_bytes(8, "big") + block)
    for n in range(1000):
        (folder / f"small/{n}.txt").write_bytes(f"file {n}\n".encode() * noise.randrange(300))
    words = "the quick brown fox jumps over the lazy dog ".split(" ")
    text = " ".join(noise.choice(words) for _ in range(60_000))
    for name, content in {
        "page.html": f"<!doctype html><title>Ä</title><p>{text}",
        "style.css": "p { color: red }\n" * 4000,
        "data.json": json.dumps({"words": text}),
        "app.js": "console.log('x');\n" * 4000,
        "picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'>" + "<g/>" * 5000 + "</svg>",
        "empty.txt": "",
        "one.txt": "1",
        "listed/b.txt": "b",
        "listed/a name with spaces.txt": "a",
        "grüße.txt": "Umlaut\n",
    }.items():
        (folder / name).write_text(content)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + noise.randbytes(70_000))
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (1_700_000_000, 1_700_000_000))


NGINX = """
daemon off;
worker_processes 1;
@user@
pid @folder@/nginx.pid;
error_log @folder@/nginx.log warn;
events { worker_connections 1024; }
http {
    access_log off;
    types {
        text/html html; text/css css; text/plain txt; application/json json;
        application/javascript js; image/svg+xml svg; image/png png;
    }
    default_type application/octet-stream;
    sendfile on;
    keepalive_requests 100;
    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_types text/css text/plain application/json application/javascript image/svg+xml;
    client_body_temp_path @folder@/nginx-body;
    proxy_temp_path @folder@/nginx-proxy;
    fastcgi_temp_path @folder@/nginx-fastcgi;
    uwsgi_temp_path @folder@/nginx-uwsgi;
    scgi_temp_path @folder@/nginx-scgi;
    server {
        listen 127.0.0.1:@port@;
        root @folder@/www;
        autoindex on;
        # Relative, so that it is the same wherever it was asked.
        absolute_redirect off;
        location = /files/moved { return 301 /files/one.txt?moved=yes; }
        location = /files/teapot { return 418 "short and stout"; }
    }
    server {
        listen 127.0.0.1:@sealed@ ssl;
        ssl_certificate @folder@/tls/nginx.pem;
        ssl_certificate_key @folder@/tls/nginx.key;
        location ~ ^/(un)?sealed/(.*)$ { alias @folder@/www/files/$2; }
    }
}
"""

KEYWARD = """
listeners:
  - name: public
    address: 127.0.0.1:@port@
  - name: secure
    address: 127.0.0.1:@secure@
    tls: { certificates: [{ cert_file: tls/gateway.pem, key_file: tls/gateway.key }] }
admin: { address: "127.0.0.1:@admin@" }
store: { sqlite: { path: data/keyward.db } }
identity: { public_url: "http://127.0.0.1:@port@" }
scopes:
  "files:read": { description: Read the files, default: true }
upstreams:
@upstreams@
routes:
  - name: files
    match: { path_prefix: /files }
    auth: { required: { scopes: ["files:read"] } }
    upstream: files
  - name: public
    match: { path_prefix: /py/public }
    auth: public
    upstream: py
  - name: py
    match: { path_prefix: /py }
    upstream: py
  - name: asserted
    match: { path_prefix: /asserted }
    upstream: asserted
    assertion: true
  - name: py_asserted
    match: { path_prefix: /py/asserted }
    upstream: py
    assertion: true
  - name: node
    match: { path_prefix: /node }
    upstream: node
  - name: wspy
    match: { path_prefix: /wspy }
    upstream: wspy
  - name: wspy_page
    match: { path_prefix: /wspy/page }
    upstream: wspy
    websocket_credential: subprotocol
  - name: wsjs
    match: { path_prefix: /wsjs }
    upstream: wsjs
  - name: wsjs_page
    match: { path_prefix: /wsjs/page }
    upstream: wsjs
    websocket_credential: subprotocol
  - name: grpc
    match: { path_prefix: /kw.Test }
    auth: { required: { scopes: ["files:read"] } }
    upstream: kw.Test
  - name: sealed
    match: { path_prefix: /sealed }
    upstream: sealed
  - name: sealed_py
    match: { path_prefix: /sealed/py }
    upstream: sealed_py
    rewrite: { prefix: /py }
  - name: sealed_node
    match: { path_prefix: /sealed/node }
    upstream: sealed_node
    rewrite: { prefix: /node }
  - name: unsealed
    match: { path_prefix: /unsealed }
    upstream: unsealed
  - name: reads
    match: { path: /py/reads, methods: [GET] }
    upstream: py
max: { body: 2GiB }
"""
