"""What a client sees of an answer: its status and body, and whether all of it came."""

import http.client
import time
from dataclasses import dataclass

from faults.scripts import CUT, REFUSED, WHOLE

PATIENCE = 15  # seconds


@dataclass
class Seen:
    status: int | None
    body: bytes
    whole: bool
    took: float
    error: str = ""

    def __str__(self):
        end = "" if self.whole else " (not whole)"
        return f"{self.status} {self.body[:60]!r}{end} after {self.took:.2f} s {self.error}"

    def word(self):
        """Which of the outcomes that a fault may have it is; none when it is something else."""
        if self.status is not None and not self.whole:
            return CUT
        if self.status in (502, 503, 504):
            return REFUSED
        if (self.status, self.body) == (200, b"hello"):
            return WHOLE
        return None


class Client:
    def __init__(self, proxy):
        self.proxy = proxy
        self.connection = None

    def ask(self, method, target, body=None):
        """One request, on the connection of the last where the proxy left it open."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=PATIENCE)
        began = time.monotonic()
        status, read, whole, error = None, b"", False, ""
        try:
            self.connection.request(method, target, body, {"Authorization": self.proxy.authorization})
            answer = self.connection.getresponse()
            status = answer.status
            read = answer.read()
            whole = True
        except http.client.IncompleteRead as cut:
            read = cut.partial
        except (OSError, http.client.HTTPException) as broken:
            error = repr(broken)
        if not whole:
            self.close()
        return Seen(status, read, whole, time.monotonic() - began, error)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
