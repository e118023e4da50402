"""curl, requests and httpx behind one call: `fetch(url, method, headers, body)` → `Reply`, with nothing decoded or followed."""

import hashlib
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import requests

from services import tool

# These speak of one connection or one request; all others must be what the backend sent.
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "date", "x-request-id", "trailer"}
KEPT = 4 << 20


@dataclass
class Reply:
    status: int
    headers: list  # (name in lower case, value), in order
    sha256: str = ""
    size: int = 0
    body: bytes = b""  # the first 4 MiB
    interim: list = field(default_factory=list)

    def header(self, name):
        values = [value for other, value in self.headers if other == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def comparable(self):
        """Status, fields and body, as far as they must be the same through the gateway."""
        kept = [(name, value) for name, value in self.headers if name not in OF_THE_CONNECTION]
        body = (self.size, self.sha256)
        kind = dict(kept).get("content-type", "")
        if match := re.match(r"multipart/byteranges; boundary=(\S+)", kind):
            # nginx counts its boundaries up.
            kept = [(name, value.replace(match[1], "B")) for name, value in kept]
            body = self.body.replace(match[1].encode(), b"B")
        return {"status": self.status, "headers": sorted(kept, key=lambda pair: pair[0]), "body": body}


def reading(pieces):
    digest, size, body = hashlib.sha256(), 0, b""
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if len(body) < KEPT:
            body += piece[: KEPT - len(body)]
    return {"sha256": digest.hexdigest(), "size": size, "body": body}


class Curl:
    name = "curl"

    def fetch(self, url, method="GET", headers=(), body=None, more=()):
        with tempfile.TemporaryDirectory() as folder:
            head, out = Path(folder, "head"), Path(folder, "out")
            out.touch()
            command = [tool("curl"), "-q", "-sS", "--noproxy", "*", "--path-as-is", "-g", "--http1.1", "--max-time", "120"]
            command += ["-D", head, "-o", out]
            command += ["-I"] if method == "HEAD" else ["-X", method]
            for name, value in headers:
                command += ["-H", f"{name}: {value}" if value else f"{name};"]
            source = None
            if isinstance(body, Path):
                command += ["-H", "Content-Type: application/octet-stream", "-T", body]
            elif body is not None:
                command += ["-H", "Content-Type: application/octet-stream", "--data-binary", "@-"]
                source = body if isinstance(body, bytes) else b"".join(body)
                if not isinstance(body, bytes):
                    command += ["-H", "Transfer-Encoding: chunked"]
            done = subprocess.run([*command, *more, url], input=source, capture_output=True)
            assert done.returncode == 0, f"curl: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
            blocks = head.read_bytes().decode("latin-1").split("\r\n\r\n")
            heads = [block.split("\r\n") for block in blocks if block.startswith("HTTP/")]
            statuses = [int(lines[0].split()[1]) for lines in heads]
            fields = [line.split(":", 1) for line in heads[-1][1:]]
            with open(out, "rb") as file:
                content = reading(iter(lambda: file.read(1 << 20), b"")) if method != "HEAD" else reading([])
            return Reply(statuses[-1], [(n.lower(), v.strip(" ")) for n, v in fields], interim=statuses[:-1], **content)


class Requests:
    name = "requests"

    def __init__(self):
        self.session = requests.Session()
        self.session.trust_env = False

    def fetch(self, url, method="GET", headers=(), body=None):
        sent = {name: value for name, value in headers}
        stream = dict(headers=sent, data=body, stream=True, allow_redirects=False, timeout=120)
        with self.session.request(method, url, **stream) as reply:
            fields = [(name.lower(), value) for name, value in reply.raw.headers.items()]
            return Reply(reply.status_code, fields, **reading(reply.raw.stream(1 << 20, decode_content=False)))


class Httpx:
    name = "httpx"

    def __init__(self):
        self.client = httpx.Client(trust_env=False, timeout=120)

    def fetch(self, url, method="GET", headers=(), body=None):
        with self.client.stream(method, url, headers=list(headers), content=body) as reply:
            fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in reply.headers.raw]
            return Reply(reply.status_code, fields, **reading(reply.iter_raw()))
