"""A client of another route meanwhile: it must not notice."""

import threading
import time

from faults.client import Client

PAUSE = 0.05  # seconds
PATIENCE = 5.0  # seconds that an answer may take, here where others run
FEW = 3  # answers in the time of a fault that lasts: fewer, and the other route waits for it


class Beside:
    """Asks the other route while the block lasts, at least once."""

    def __init__(self, proxy):
        self.client = Client(proxy)
        self.stop = threading.Event()
        self.wrong = []
        self.answers = 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.client.close()

    def run(self):
        turn = 0
        while turn == 0 or not self.stop.wait(PAUSE):
            turn += 1
            target = f"/other/{time.monotonic_ns()}"
            seen = self.client.ask("GET", target)
            if (seen.status, seen.body) != (200, target.encode()) or seen.took > PATIENCE:
                self.wrong.append(str(seen))
            self.answers += not self.stop.is_set()

    def harm(self, lasted):
        """What was wrong, if anything was, while a fault lasted so many seconds."""
        if self.wrong:
            return "\n".join(self.wrong[:3])
        return f"{self.answers} answers in {lasted:.1f} s" if lasted > 0.8 and self.answers < FEW else ""
