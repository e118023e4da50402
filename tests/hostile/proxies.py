"""Starts one proxy in front of an upstream: Keyward, or one that it is compared with, set up as alike as they allow.

    with start("nginx", folder, upstream_port) as proxy:
        proxy.host, proxy.port, proxy.h2_port, proxy.pid, proxy.token, proxy.log()

In all three: one credential (`proxy.token`) for everything but `/public/`; connections to the upstream kept and shared by
all clients; one worker, so that there is one pool; the usual forwarding fields and `X-Auth-Subject` set by the proxy;
HTTP/2 by prior knowledge on `h2_port`. Everything else is as near to the defaults as that lets it be.
"""

import contextlib
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

KINDS = ("keyward", "nginx", "haproxy")
START = 30  # seconds that a proxy may take to be ready
STOP = 20  # seconds that it may take to end


@dataclass
class Proxy:
    kind: str
    host: str
    port: int
    h2_port: int
    token: str
    process: subprocess.Popen
    log_file: Path
    admin_port: int | None = None
    version: str = ""

    @property
    def pid(self):
        return self.process.pid

    @property
    def authorization(self):
        return f"Bearer {self.token}"

    def alive(self):
        return self.process.poll() is None

    def log(self):
        """What it wrote to standard output and standard error."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def memory(self):
        """Resident bytes, those of nginx's workers included."""
        return sum(resident(pid) for pid in [self.pid, *children(self.pid)])


@contextlib.contextmanager
def start(
    kind, folder, upstream_port, keyward=None, upstream_protocol="http1", extra="", cores=1, other_port=None, files=None
):
    """Runs a proxy while the `with` block lasts.

    `keyward` is its binary. `extra` is added to the configuration: top-level sections of Keyward's, directives of nginx's
    `http` block, lines of HAProxy's `defaults`. `cores` is how many processors it may use, `None` for all of them, or a set
    of those that it may use.
    `upstream_protocol` is `http1` or `http2` (prior knowledge). `other_port` is a second upstream's, for `/other/`.
    `files` is how many descriptors it may have; it cannot get more.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ports = Ports(public=free_port(), h2=free_port(), admin=free_port(), upstream=upstream_port, other=other_port)
    proxy = STARTERS[kind](folder, ports, keyward, upstream_protocol, extra, Limits(cores, files))
    try:
        wait_until_ready(proxy)
        yield proxy
    finally:
        end(proxy.process)


@dataclass
class Limits:
    cores: int | set | None
    files: int | None


@dataclass
class Ports:
    public: int
    h2: int
    admin: int
    upstream: int
    other: int | None


def start_keyward(folder, ports, binary, protocol, extra, limits):
    if not binary or not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not a program: name Keyward's binary")
    binary = str(Path(binary).resolve())
    config = folder / "keyward.yaml"
    config.write_text(filled(KEYWARD, ports, folder, "", protocol) + extra)

    def command(*words):
        done = subprocess.run([binary, *words, "--config", config], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            sys.exit(f"keyward {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    command("accounts", "create", "--email", "caller@example.com", "--json")
    key = json.loads(command("keys", "create", "--account", "caller@example.com", "--name", "hostile", "--json"))
    process, log = spawn([binary, "serve", "--config", config], folder, limits)
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()
    return Proxy("keyward", "127.0.0.1", ports.public, ports.public, key["key"], process, log, ports.admin, version)


def start_nginx(folder, ports, _binary, protocol, extra, limits):
    # It may start as root and serve as another user.
    for parent in [folder, *folder.parents][:2]:
        parent.chmod(parent.stat().st_mode | 0o755)
    config = folder / "nginx.conf"
    token = new_token()
    config.write_text(filled(NGINX, ports, folder, token, protocol).replace("@extra@", extra))
    nginx = tool("nginx")
    process, log = spawn([nginx, "-p", folder, "-c", config, "-e", folder / "log"], folder, limits)
    version = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=60).stderr.strip()
    return Proxy("nginx", "127.0.0.1", ports.public, ports.h2, token, process, log, None, version.split()[-1])


def start_haproxy(folder, ports, _binary, protocol, extra, limits):
    config = folder / "haproxy.cfg"
    token = new_token()
    config.write_text(filled(HAPROXY, ports, folder, token, protocol).replace("@extra@", extra))
    haproxy = tool("haproxy")
    process, log = spawn([haproxy, "-db", "-f", config], folder, limits)
    version = subprocess.run([haproxy, "-v"], capture_output=True, text=True, timeout=60).stdout.split()[2]
    return Proxy("haproxy", "127.0.0.1", ports.public, ports.h2, token, process, log, None, f"haproxy/{version}")


STARTERS = {"keyward": start_keyward, "nginx": start_nginx, "haproxy": start_haproxy}


def filled(template, ports, folder, token, protocol):
    values = {
        "port": ports.public,
        "h2_port": ports.h2,
        "admin": ports.admin,
        "upstream": ports.upstream,
        "folder": folder,
        "token": token,
        "user": "user root;" if os.geteuid() == 0 else "",
        # How each is told to speak HTTP/2 to its upstream; nginx does so for gRPC alone.
        "keyward_protocol": {"http1": "", "http2": ", protocol: http2"}[protocol],
        "haproxy_protocol": {"http1": "", "http2": "proto h2"}[protocol],
        "nginx_pass": {"http1": "proxy_pass http", "http2": "grpc_pass grpc"}[protocol],
    }
    for place, text in OTHER.items():
        template = template.replace(place, text if ports.other else "")
    for name, value in {**values, "other": ports.other}.items():
        template = template.replace(f"@{name}@", str(value))
    return template


def new_token():
    return secrets.token_urlsafe(24)


def tool(name):
    """The full path of a program; its absence is an error."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        sys.exit(f"{name} is not installed; `tests/setup compare` installs what Keyward is compared with")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(command, folder, limits):
    log = folder / "log"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=lambda: keep_to(limits)
        )
    return process, log


def keep_to(limits):
    """Takes processors away from this process, another set each time, so that several proxies spread; and descriptors."""
    if limits.files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits.files, limits.files))
    if isinstance(limits.cores, set):
        os.sched_setaffinity(0, limits.cores)
    elif limits.cores is not None:
        mine = sorted(os.sched_getaffinity(0))
        first = os.getpid() % len(mine)
        os.sched_setaffinity(0, (mine[first:] + mine[:first])[: limits.cores])


def wait_until_ready(proxy):
    deadline = time.monotonic() + START
    while not is_ready(proxy):
        if not proxy.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"{proxy.kind} is not ready: {proxy.log()[-4000:]}")
        time.sleep(0.01)


def is_ready(proxy):
    if proxy.admin_port is not None:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin_port}/readyz", timeout=5).status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
    with socket.socket() as probe:
        return probe.connect_ex((proxy.host, proxy.port)) == 0


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def resident(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


# What a second upstream adds, by where it is added.
OTHER = {
    "@keyward_other_upstream@": """
  - name: other
    endpoints: [{ url: "http://127.0.0.1:@other@" }]""",
    "@keyward_other_route@": """
  - name: other
    match: { path_prefix: /other }
    upstream: other""",
    "@nginx_other_upstream@": "upstream other { server 127.0.0.1:@other@; keepalive 32; }",
    "@nginx_other_route@": """location /other/ {
            if ($admitted = 0) { return 401; }
            proxy_pass http://other;
        }""",
    "@haproxy_other_route@": "use_backend other if { path_beg /other/ }",
    "@haproxy_other_upstream@": """backend other
    server other 127.0.0.1:@other@""",
}

KEYWARD = """
listeners:
  - name: public
    address: 127.0.0.1:@port@
admin: { address: "127.0.0.1:@admin@" }
store: { sqlite: { path: data/keyward.db } }
upstreams:
  - name: upstream
    endpoints: [{ url: "http://127.0.0.1:@upstream@"@keyward_protocol@ }]@keyward_other_upstream@
routes:@keyward_other_route@
  - name: public
    match: { path_prefix: /public }
    auth: public
    upstream: upstream
  - name: private
    match: { path_prefix: / }
    upstream: upstream
"""

NGINX = """
daemon off;
worker_processes 1;
@user@
pid @folder@/nginx.pid;
error_log @folder@/log warn;
worker_rlimit_nofile 65536;
events { worker_connections 20000; }
http {
    access_log off;
    client_body_temp_path @folder@/client-body;
    proxy_temp_path @folder@/proxy;
    fastcgi_temp_path @folder@/fastcgi;
    uwsgi_temp_path @folder@/uwsgi;
    scgi_temp_path @folder@/scgi;
    map $http_authorization $admitted {
        default 0;
        "Bearer @token@" 1;
    }
    upstream behind {
        server 127.0.0.1:@upstream@;
        keepalive 32;
    }
    @nginx_other_upstream@
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header Authorization "";
    proxy_set_header X-Auth-Subject caller;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Real-IP $remote_addr;
    @extra@
    server {
        listen 127.0.0.1:@port@;
        listen 127.0.0.1:@h2_port@ http2;
        @nginx_other_route@
        location /public/ {
            @nginx_pass@://behind;
        }
        location / {
            if ($admitted = 0) { return 401; }
            @nginx_pass@://behind;
        }
    }
}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 60s
    http-reuse always
    @extra@
frontend public
    bind 127.0.0.1:@port@
    bind 127.0.0.1:@h2_port@ proto h2
    acl is_public path_beg /public/
    acl is_admitted req.fhdr(authorization) -m str "Bearer @token@"
    http-request deny deny_status 401 unless is_public or is_admitted
    http-request del-header authorization
    http-request set-header X-Auth-Subject caller
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Real-IP %[src]
    @haproxy_other_route@
    default_backend behind
backend behind
    server upstream 127.0.0.1:@upstream@ @haproxy_protocol@
@haproxy_other_upstream@
"""
