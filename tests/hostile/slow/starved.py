"""Descriptors that run out: because clients take all there are, and because fewer are left than the proxy began with."""

import http.client
import resource
import tempfile
import time
import urllib.error
import urllib.request

from proxies import start
from slow.clients import Clients
from slow.kinds import KINDS
from slow.watch import family, open_files, processor_seconds
from verdict import HARMED, PASS, WRONG_STATUS, Verdict

FEW = 256
CLIENTS = 400
HELD = 2  # seconds
BUSY = 0.15  # of a processor: more than that is spinning, where others run too
RECOVERY = 3  # seconds
SILENT = KINDS[0]


def starved(target, port):
    for name, limits in [("descriptors run out", run_out), ("descriptors are taken away", take_away)]:
        with tempfile.TemporaryDirectory(prefix="hostile-starved-") as folder:
            # HAProxy does not start with fewer than its maxconn wants; it loses them once it runs.
            files = FEW if limits is run_out and target.kind != "haproxy" else None
            proxy = start(target.kind, folder, port, target.keyward, files=files)
            proxy_there = proxy.__enter__()
            try:
                limits(proxy_there)
                yield from judge(name, proxy_there, admin_answers=limits is run_out)
            finally:
                proxy.__exit__(None, None, None)


def run_out(proxy):
    """Holds the limit also against those that raise their own."""
    for pid in family(proxy):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (FEW, FEW))


def take_away(proxy):
    for pid in family(proxy):
        few = len(open_files(pid)) + 40
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))


def judge(name, proxy, admin_answers):
    kept = http.client.HTTPConnection(proxy.host, proxy.port, timeout=5)
    wrong = [ask(kept, proxy)]
    admin = []
    with Clients(proxy) as silent:
        for _ in range(CLIENTS):
            silent.open(SILENT)
        silent.turn(0.5)
        began, before = time.monotonic(), processor_seconds(proxy)
        while time.monotonic() - began < HELD:
            wrong.append(ask(kept, proxy))
            if proxy.admin_port and admin_answers:
                admin += [page_status(proxy, page) for page in ("livez", "readyz", "metrics")]
            silent.turn(0.2)
        busy = (processor_seconds(proxy) - before) / (time.monotonic() - began)
    recovered = recovers(proxy)
    wrong = [words for words in wrong if words]
    yield verdict(f"{name}: no spin", busy < BUSY, HARMED, f"{busy:.2f} of a processor")
    yield verdict(f"{name}: who is there is served", not wrong, HARMED, f"{len(wrong)} failed: {wrong[:3]}")
    yield verdict(f"{name}: it lives and recovers", recovered and proxy.alive(), HARMED, proxy.log()[-2000:])
    if admin:
        yield verdict(f"{name}: operators get in", set(admin) == {200}, WRONG_STATUS, f"{sorted(map(str, set(admin)))}")
    print(
        f"  slow {proxy.kind:8} {name:28} {busy * 100:.0f} % of a processor, {len(wrong)} failed on a kept connection, "
        f"{'recovered' if recovered else 'did not recover'}",
        flush=True,
    )


def verdict(case, holds, failure, detail):
    return Verdict(case, PASS if holds else failure, detail, "descriptors")


def ask(connection, proxy):
    """What was wrong with a request, if anything was."""
    try:
        connection.request("GET", "/good", headers={"Authorization": proxy.authorization})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return repr(error)
    return "" if (answer.status, body) == (200, b"/good") else f"{answer.status} {body[:80]}"


def page_status(proxy, page):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin_port}/{page}", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return repr(error)


def recovers(proxy):
    """Whether new connections are served again, all of them."""
    until = time.monotonic() + RECOVERY
    in_a_row = 0
    while in_a_row < 20 and time.monotonic() < until:
        connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=5)
        in_a_row = 0 if ask(connection, proxy) else in_a_row + 1
        connection.close()
        if in_a_row == 0:
            time.sleep(0.1)
    return in_a_row == 20
