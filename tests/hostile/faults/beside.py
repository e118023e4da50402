"""A client of another route meanwhile: it must not notice."""

import threading
import time

from faults.client import Client

PAUSE = 0.05  # seconds
PATIENCE = 1.0  # seconds that an answer may take, here where others run


class Beside:
    """Asks the other route while the block lasts, at least once."""

    def __init__(self, proxy):
        self.client = Client(proxy)
        self.stop = threading.Event()
        self.wrong = []
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
