"""Work that stands for other machines: who attacks, and those who serve only attackers.

On a small machine their own work would be in the way of the proxy, of good clients and of what good clients ask for. A
thread that is elsewhere runs only on what those leave.
"""

import os
import threading


def be_elsewhere():
    """From now on this thread runs when nobody else wants to; so will all that it starts."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def done_elsewhere(work, *words):
    """What `work` gives, done elsewhere. A thread of its own, for it could not come back."""
    outcome = []

    def run():
        be_elsewhere()
        try:
            outcome.append((work(*words), None))
        except BaseException as error:  # is raised again where it was waited for
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
