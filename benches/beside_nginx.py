#!/usr/bin/env python3
"""What a request costs Keyward, which checks an API key, beside nginx, which forwards it without asking.

    cargo build --release --bin keyward --example seed
    python3 benches/beside_nginx.py --keyward target/release/keyward --seed target/release/examples/seed

Both stand in turns in front of the same backend, alone on the first core; the load (wrk, 64 connections, a thousand keys in
turn) and the backend (nginx) have the second one. The figure is the processor time of all the proxy's threads per answer,
the ratio is taken within a round. `--http2` asks over TLS instead: h2load, 8 connections with 32 streams each, one key.
`--everything` switches on what a deployment has: limits, and an access log in a file. Needs Linux, Python 3, nginx and wrk, or
h2load and openssl. Prints a table in Markdown; exits 1 when an answer was wrong or the ratio's median is over --most.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROXY_CORE, LOAD_CORE = {0}, {1}
CONNECTIONS = 64
KEYS = 1000
BODY = "k" * 1024

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {http}
  server {{ listen 127.0.0.1:{port} {listen} backlog=4096; location / {{ {location} }} }}
}}
"""

KEYWARD = """
listeners: [{{ name: public, address: "127.0.0.1:{port}"{tls} }}]
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ sqlite: {{ path: data/keyward.db }} }}
scopes: {{ "read": {{ description: Read, default: true }} }}
upstreams: [{{ name: api, endpoints: [{{ url: "http://127.0.0.1:{backend}" }}] }}]
routes: [{{ name: all, match: {{ path_prefix: / }}, auth: {{ required: {{ scopes: [read] }} }}, upstream: api }}]
log: {{ level: warn, access: {log} }}
limits: {limits}
"""
# So many that none is refused: what is measured is that they are counted and told.
LIMITS = "{ account: { per_minute: 100000000, per_day: 100000000000 } }"

WRK = """
local keys = {}
for line in io.lines("%s") do keys[#keys + 1] = "Bearer " .. line end
local at = 0
request = function()
  at = at %% #keys + 1
  return wrk.format("GET", "/", { Host = "localhost", Accept = "application/json", Authorization = keys[at] })
end
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start(command, cores, folder):
    return subprocess.Popen(
        command, cwd=folder, preexec_fn=lambda: os.sched_setaffinity(0, cores), stdout=subprocess.DEVNULL
    )


def wait_for(port, process):
    for _ in range(400):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended at its start")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def nginx(folder, port, http, location, cores, listen=""):
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, http=http, location=location, listen=listen))
    process = start(["nginx", "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"], cores, folder)
    wait_for(port, process)
    return process


def family(pid):
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def processor_seconds(pid):
    tasks = (task for member in family(pid) for task in Path(f"/proc/{member}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(process, ask, seconds):
    """Microseconds for each answer, and how many answers were not 2xx or did not come."""
    before = processor_seconds(process.pid)
    answers, wrong = ask(seconds)
    return (processor_seconds(process.pid) - before) / max(answers, 1) * 1e6, wrong


def loaded(command):
    """What a load generator says at its end."""
    return subprocess.run(
        command, check=True, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CORE),
    ).stdout


def wrk(port, script):
    """Asks over HTTP/1.1."""

    def ask(seconds):
        said = loaded(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}/"])
        wrong = sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
        wrong += sum(int(count) for line in re.findall(r"Socket errors: (.*)", said) for count in re.findall(r"\d+", line))
        return int(re.search(r"(\d+) requests in", said).group(1)), wrong

    return ask


def h2load(port, key):
    """Asks over HTTP/2 and TLS."""

    def ask(seconds):
        fields = ["-H", f"authorization: Bearer {key}", "-H", "accept: application/json"]
        said = loaded(["h2load", "-c8", "-m32", f"-D{seconds}", *fields, f"https://127.0.0.1:{port}/"])
        good = int(re.search(r"status codes: (\d+) 2xx", said).group(1))
        lost = sum(int(count) for count in re.findall(r"(\d+) (?:failed|errored|timeout)", said))
        return good, lost + sum(int(count) for count in re.findall(r"(\d+) [345]xx", said))

    return ask


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keyward", required=True, type=Path)
    options.add_argument("--seed", required=True, type=Path)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=int, default=1)
    options.add_argument("--access-log", action="store_true", help="write one, to a file")
    options.add_argument("--everything", action="store_true", help="an access log, and limits")
    options.add_argument("--http2", action="store_true", help="over TLS")
    options.add_argument("--most", type=float, default=1.10)
    options = options.parse_args()
    options.access_log |= options.everything
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the proxy, one for the load")
    running = []
    with tempfile.TemporaryDirectory(prefix="keyward-beside-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        try:
            results = compare(options, folder, running)
        finally:
            for process in running:
                process.terminate()
                process.wait()
    report(options, *results)


def compare(options, folder, running):
    backend, plain, ours, admin = (free_port() for _ in range(4))
    running.append(nginx(folder / "backend", backend, "", f'return 200 "{BODY}";', LOAD_CORE))
    pool = f"upstream api {{ server 127.0.0.1:{backend}; keepalive 512; keepalive_requests 1000000000; }}"
    forward = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_pass http://api;'
    pair, tls = certified(folder) if options.http2 else ("", "")
    listen = "ssl http2" if options.http2 else ""
    running.append(nginx(folder / "plain", plain, pool + pair, forward, PROXY_CORE, listen))
    log, limits = "access.log" if options.access_log else "off", LIMITS if options.everything else "{}"
    config = KEYWARD.format(port=ours, admin=admin, backend=backend, log=log, limits=limits, tls=tls)
    (folder / "keyward.yaml").write_text(config)
    keys = subprocess.run(
        [options.seed.resolve(), "keyward.yaml", str(KEYS)], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    (folder / "keys").write_text(keys)
    running.append(start([options.keyward.resolve(), "serve", "--config", "keyward.yaml"], PROXY_CORE, folder))
    wait_for(ours, running[-1])
    script = folder / "keys.lua"
    script.write_text(WRK % (folder / "keys"))
    asks = (lambda port: h2load(port, keys.split()[0])) if options.http2 else (lambda port: wrk(port, script))
    name = "Keyward, an API key" if options.http2 else "Keyward, 1,000 API keys"
    proxies = {"nginx, asking nobody": (running[1], asks(plain)), name: (running[2], asks(ours))}
    for process, ask in proxies.values():
        measure(process, ask, 1)  # connections and caches
    costs, wrong = {name: [] for name in proxies}, dict.fromkeys(proxies, 0)
    for number in range(options.rounds):
        for name in list(proxies)[:: 1 if number % 2 else -1]:
            cost, missed = measure(*proxies[name], options.seconds)
            costs[name].append(cost)
            wrong[name] += missed
    return costs, wrong


def certified(folder):
    """A certificate, as nginx is told of it and as a listener of Keyward's is."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*made.split(), "-out", cert, "-keyout", key], check=True, capture_output=True)
    files = f"cert_file: {cert}, key_file: {key}"
    return f" ssl_certificate {cert}; ssl_certificate_key {key};", f", tls: {{ certificates: [{{ {files} }}] }}"


def report(options, costs, wrong):
    base, _ = costs.values()
    over, log = "HTTP/2 and TLS" if options.http2 else "HTTP/1.1", "to a file" if options.access_log else "off"
    limits = "counted" if options.everything else "none"
    print(f"GET of 1 KiB over {over}, {options.rounds} rounds of {options.seconds} s in turns, access log {log}, limits {limits}\n")
    print("| proxy | processor time for an answer | ratio, median (least–most) | wrong answers |")
    print("| --- | --: | --: | --: |")
    for name, spent in costs.items():
        ratios = [one / other for one, other in zip(spent, base)]
        ratio = statistics.median(ratios)
        print(f"| {name} | {statistics.median(spent):.1f} µs | {ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {wrong[name]} |")
    sys.exit(1 if ratio > options.most or any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
