"""What is forwarded arrives whole, and comes back whole."""

import asyncio
import hashlib
import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import httpx
import requests

GROWTH = 32 << 20
GZIP = [("Accept-Encoding", "gzip")]
IDENTITY = [("Accept-Encoding", "identity")]
# What the gateway takes away or sets; everything else must reach the backend as it was sent.
SET_BY_THE_GATEWAY = {
    "x-auth-subject", "x-auth-credential", "x-auth-client", "x-auth-scopes", "x-auth-method", "x-request-id", "traceparent",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-server", "forwarded",
}
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect", "host", "authorization"}


def checks(suite):
    files(suite)
    conditions_and_ranges(suite)
    bodies(suite)
    fields_and_targets(suite)
    other_servers(suite)
    many(suite)
    large(suite)


def files(suite):
    names = "page.html style.css data.json app.js picture.svg picture.png empty.txt one.txt small/7.txt".split()
    names += ["listed/", "listed/a%20name%20with%20spaces.txt", quote("grüße.txt"), "no-such", "moved", "listed", "teapot", ""]
    for client in suite.clients:
        for name in names:
            suite.check(f"nginx /files/{name} by {client.name}", suite.same, client, f"/files/{name}", "GET", IDENTITY)
        for name in ("page.html", "data.json", "picture.png", "empty.txt"):
            suite.check(f"nginx gzip of {name} by {client.name}", zipped, suite, client, f"/files/{name}")
            suite.check(f"nginx HEAD of {name} by {client.name}", headed, suite, client, f"/files/{name}")


def zipped(suite, client, path):
    reply = suite.same(client, path, headers=GZIP)
    compressible = path.endswith(("html", "json"))
    assert (reply.header("content-encoding") == "gzip") == compressible, reply.headers


def headed(suite, client, path):
    reply = suite.same(client, path, "HEAD", IDENTITY)
    assert reply.status == 200 and reply.size == 0 and reply.header("content-length") is not None, reply
    suite.same(client, path, "HEAD", GZIP)


def conditions_and_ranges(suite):
    path = "/files/page.html"
    found = suite.curl.fetch(suite.direct(path), headers=IDENTITY)
    etag, modified = found.header("etag"), found.header("last-modified")
    cases = {
        "If-None-Match that matches": (304, [("If-None-Match", etag)]),
        "If-None-Match of several": (304, [("If-None-Match", f'"x", {etag}, W/"y"')]),
        "If-None-Match that differs": (200, [("If-None-Match", '"other"')]),
        "If-Modified-Since that holds": (304, [("If-Modified-Since", modified)]),
        "If-Modified-Since long ago": (200, [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        "If-Match that differs": (412, [("If-Match", '"other"')]),
        "If-Unmodified-Since long ago": (412, [("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]),
        "one range": (206, [("Range", "bytes=100-299")]),
        "a suffix range": (206, [("Range", "bytes=-5")]),
        "an open range": (206, [("Range", "bytes=1000-")]),
        "several ranges": (206, [("Range", "bytes=0-9,50-59,-10")]),
        "a range beyond the end": (416, [("Range", "bytes=99999999-")]),
        "a range that cannot be read": (416, [("Range", "bytes=b-a")]),
        "a range of another unit": (200, [("Range", "lines=1-2")]),
        "If-Range that matches": (206, [("Range", "bytes=0-9"), ("If-Range", etag)]),
        "If-Range that differs": (200, [("Range", "bytes=0-9"), ("If-Range", '"other"')]),
    }
    for client in suite.clients:
        for name, (status, headers) in cases.items():
            suite.check(f"nginx {name} by {client.name}", conditional, suite, client, path, status, headers)


def conditional(suite, client, path, status, headers):
    reply = suite.same(client, path, headers=IDENTITY + headers)
    assert reply.status == status, f"{reply.status} instead of {status}"


def bodies(suite):
    noise = random.Random(3).randbytes(3_000_000)
    pieces = [noise[:1], noise[1:70_000], noise[70_000:]]
    for client in suite.clients:
        for backend in ("py", "node"):
            to = f"{backend} by {client.name}"
            suite.check(f"upload of known length to {to}", uploaded, suite, client, f"/{backend}/echo", noise, lambda: noise)
            suite.check(f"upload in chunks to {to}", uploaded, suite, client, f"/{backend}/echo", noise, lambda: iter(pieces))
            suite.check(f"empty upload to {to}", uploaded, suite, client, f"/{backend}/echo", b"", lambda: b"")
        for path in ("/py/chunked-echo", "/node/pipe"):
            suite.check(f"{path} both ways by {client.name}", both_ways, suite, client, path, noise, lambda: iter(pieces))
            suite.check(f"{path} from known length by {client.name}", both_ways, suite, client, path, noise, lambda: noise)
    suite.check("Expect: 100-continue by curl", expecting, suite, noise)
    suite.check("HTTP/1.0 by curl", one_point_zero, suite)
    suite.check("a POST without a body by http.client", bodiless_post, suite)


def uploaded(suite, client, path, whole, body):
    reply = suite.fetch(client, path, "POST", [("Content-Type", "application/octet-stream")], body())
    assert reply.status == 200, reply
    seen = json.loads(reply.body)
    assert (seen["size"], seen["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest()), (seen["size"], len(whole))


def both_ways(suite, client, path, whole, body):
    reply = suite.fetch(client, path, "POST", [("Content-Type", "application/octet-stream")], body())
    assert (reply.status, reply.size) == (200, len(whole)), (reply.status, reply.size)
    assert reply.sha256 == hashlib.sha256(whole).hexdigest(), "other bytes came back"


def expecting(suite, noise):
    reply = suite.fetch(suite.curl, "/py/sink", "POST", [("Expect", "100-continue")], noise, more=["--expect100-timeout", "60"])
    assert reply.interim == [100], f"1xx answers: {reply.interim}"
    assert json.loads(reply.body)["sha256"] == hashlib.sha256(noise).hexdigest()


def one_point_zero(suite):
    reply = suite.fetch(suite.curl, "/files/page.html", headers=IDENTITY, more=["--http1.0"])
    assert (reply.status, reply.sha256) == (200, suite.curl.fetch(suite.direct("/files/page.html"), headers=IDENTITY).sha256)


def verbatim(suite, target, method="GET", headers=(), host=None):
    """By http.client, which sends the target as it is."""
    url = urlsplit(suite.through(target))
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.putrequest(method, target, skip_host=host is not None, skip_accept_encoding=True)
    for name, value in [*suite.credential(), *headers, *([("Host", host)] if host else [])]:
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    assert reply.status == 200, (reply.status, body[:500])
    return json.loads(body)


def bodiless_post(suite):
    seen = verbatim(suite, "/py/echo", "POST", [("Content-Length", "0")])
    assert (seen["method"], seen["size"]) == ("POST", 0), seen
    seen = verbatim(suite, "/py/echo", "POST")
    assert (seen["method"], seen["size"]) == ("POST", 0), seen


def fields_and_targets(suite):
    for method in "GET POST PUT PATCH DELETE OPTIONS PROPFIND REPORT MKCOL QUERY PURGE X-CUSTOM".split():
        suite.check(f"the method {method}", method_arrives, suite, method)
    for query in ("?", "?a=1&b=2", "?a=b=c&&", "?q=%20+%2B%2f%2F%zz%", "?x=[]{}|\\^`'", "??/../..//;a=b", "?a=%00%0d%0a",
                  "?" + "long=" + "x" * 6000, "?%61=%C3%BC", "?a#b".replace("#", "%23")):
        suite.check(f"the query {query[:40]!r} byte for byte", query_arrives, suite, query)
    suite.check("odd but legal request fields", odd_request, suite)
    suite.check("20 KB of cookies", cookies, suite)
    suite.check("Host arrives as it was sent", host_arrives, suite)
    for client in suite.clients:
        if client.name != "httpx":  # httpx refuses an X-Empty of its own making, not ours
            suite.check(f"odd but legal answer fields by {client.name}", suite.same, client, "/py/odd")
        for status in (201, 202, 204, 301, 304, 307, 400, 401, 403, 404, 409, 418, 429, 451, 500, 502, 503, 599):
            suite.check(f"the status {status} by {client.name}", suite.same, client, f"/py/status/{status}")
        suite.check(f"a body that ends with the connection by {client.name}", suite.same, client, "/py/until-close")


def method_arrives(suite, method):
    seen = verbatim(suite, "/py/echo", method)
    assert seen["method"] == method, seen


def query_arrives(suite, query):
    target = "/py/echo" + query
    # http.client refuses what is not ASCII; nothing else is changed.
    quoted = target if target.isascii() else None
    if quoted is None:
        reply = suite.fetch(suite.curl, target.encode("latin-1").decode("utf-8"))
        seen = json.loads(reply.body)["target"]
    else:
        seen = verbatim(suite, quoted)["target"]
    assert seen == target, f"{seen!r} instead of {target!r}"


def without(headers, names):
    return [[name.lower(), value] for name, value in headers if name.lower() not in names]


def odd_request(suite):
    sent = [
        ("X-Empty", ""), ("x!#$%&'*+-.^`|~1", "token"), ("X-Twice", "1"), ("X-Twice", "2"), ("X-Latin", b"gr\xfc\xdfe"),
        ("X-Inner", 'a,  "b;c"\t d'), ("Accept", "*/*;q=0.1"), ("User-Agent", "odd/1 (x; y)"), ("Referer", "http://a/?b"),
        ("X-Long", "v" * 8000), ("Origin", "null"), ("If-Match", "*"), ("TE", "trailers"), ("Via", "1.1 other"), ("DNT", "1"),
        ("X-Nearly-Auth-Subject", "mine"),
    ]
    seen = verbatim(suite, "/py/echo", "GET", sent)["headers"]
    expected = [[name.lower(), value.decode("latin-1") if isinstance(value, bytes) else value] for name, value in sent]
    drop = OF_THE_CONNECTION | SET_BY_THE_GATEWAY | {"te", "via"}
    assert sorted(without(seen, drop)) == sorted(without(expected, drop)), without(seen, drop)
    twice = [value for name, value in seen if name.lower() == "x-twice"]
    assert twice == ["1", "2"], twice


def cookies(suite):
    cookie = "; ".join(f"name{n}={'v' * 180}" for n in range(100))
    seen = verbatim(suite, "/py/echo", "GET", [("Cookie", cookie)])["headers"]
    assert [value for name, value in seen if name.lower() == "cookie"] == [cookie]


def host_arrives(suite):
    seen = verbatim(suite, "/py/echo", host="api.example.com:8443")["headers"]
    assert [value for name, value in seen if name.lower() == "host"] == ["api.example.com:8443"], seen


def other_servers(suite):
    for client in suite.clients:
        suite.check(f"node's chunked stream by {client.name}", suite.same, client, "/node/stream?size=5000000")
        suite.check(f"node's early answer by {client.name}", early, suite, client)
        suite.check(f"node's trailers by {client.name}", suite.same, client, "/node/trailers")
        # The gateway drops them, so that even a client that takes the first answer for the last (http.client) is served.
        suite.gateway_check(f"node's early hints by {client.name}", hinted, suite, client)
    suite.check("node ends its connections after five requests", five_each, suite)
    suite.check("a slow stream arrives as it is made", slow_stream, suite)


def early(suite, client):
    # Small enough to be in flight before the answer: what large ones meet depends on the client.
    reply = suite.fetch(client, "/node/early", "POST", [("Content-Type", "application/octet-stream")], b"x" * 50_000)
    assert (reply.status, reply.body) == (422, b"no need to send it\n"), reply


def hinted(suite, client):
    reply = suite.fetch(client, "/node/hints")
    assert (reply.status, reply.body) == (200, b"hinted\n"), reply


def five_each(suite):
    """On one client connection, more requests than a connection of the backend takes."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        for n in range(43):
            reply = client.get(suite.through(f"/node/echo?n={n}"), headers=suite.credential())
            assert reply.status_code == 200 and reply.json()["target"] == f"/node/echo?n={n}", (n, reply.status_code, reply.text)


def slow_stream(suite):
    with httpx.stream("GET", suite.through("/py/stream?count=5&delay=0.3"), headers=suite.credential(), trust_env=False) as reply:
        arrived = [(time.monotonic(), piece) for piece in reply.iter_raw()]
    assert b"".join(piece for _, piece in arrived) == b"".join(b"data: %d\n\n" % n for n in range(5)), arrived
    assert arrived[-1][0] - arrived[0][0] > 0.8, "it was collected before it was passed on"


def many(suite):
    suite.check("1,000 small files on 16 connections by httpx", many_by_httpx, suite)
    suite.check("1,000 small files on 8 threads by requests", many_by_requests, suite)


def small(suite, n):
    return (suite.services.folder / f"www/files/small/{n}.txt").read_bytes()


def many_by_httpx(suite):
    async def all_of_them():
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as client:

            async def one(n):
                reply = await client.get(suite.through(f"/files/small/{n}.txt"), headers=suite.credential())
                assert (reply.status_code, reply.content) == (200, small(suite, n)), (n, reply.status_code)

            await asyncio.gather(*(one(n) for n in range(1000)))

    asyncio.run(all_of_them())


def many_by_requests(suite):
    def eighth(first):
        with requests.Session() as session:
            session.trust_env = False
            for n in range(first, 1000, 8):
                reply = session.get(suite.through(f"/files/small/{n}.txt"), headers=dict(suite.credential()), timeout=60)
                assert (reply.status_code, reply.content) == (200, small(suite, n)), (n, reply.status_code)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(eighth, range(8)))


def large(suite):
    file = suite.services.folder / "www/files/200mb.bin"
    for client in suite.clients:
        suite.check(f"200 MB down by {client.name}", bounded, suite, lambda client=client: suite.same(client, "/files/200mb.bin"))
        suite.check(f"200 MB up by {client.name}", bounded, suite, sent_up, suite, client, file)
    suite.check("1 GiB down by curl in bounded memory", bounded, suite, suite.same, suite.curl, "/files/1gib.bin")
    whole = suite.services.folder / "www/files/1gib.bin"
    suite.check("1 GiB up by curl in bounded memory", bounded, suite, sent_up, suite, suite.curl, whole)
    suite.check("1 GiB up and back by curl at once", bounded, suite, up_and_back, suite, whole)


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sent_up(suite, client, path):
    body = path if client.name == "curl" else open(path, "rb")
    headers = [("Content-Length", str(path.stat().st_size))] if client.name == "httpx" else []
    reply = suite.fetch(client, "/py/sink", "PUT", headers, body)
    assert reply.status == 200, reply
    seen = json.loads(reply.body)
    assert (seen["size"], seen["sha256"]) == (path.stat().st_size, sha256_of(path)), seen


def up_and_back(suite, path):
    reply = suite.fetch(suite.curl, "/node/pipe", "PUT", (), path)
    assert (reply.status, reply.size, reply.sha256) == (200, path.stat().st_size, sha256_of(path)), (reply.status, reply.size)


def bounded(suite, work, *arguments):
    """Does the work; the gateway's memory may not grow meanwhile."""
    if not suite.gateway:
        return work(*arguments)
    before, peak, done = suite.gateway.memory(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], suite.gateway.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work(*arguments)
    finally:
        done.set()
        watcher.join()
    grown = peak[0] - before
    assert grown < GROWTH, f"the gateway grew by {grown >> 20} MiB, from {before >> 20} MiB"
