"""`burst`: very many new databases in new directories while the kernel drops events."""

import contextlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

from .databases import compare, create

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
OVERFLOWS = "the system dropped file events"


@contextlib.contextmanager
def small_queue(events):
    """The limit holds for watchers that begin inside. `False` where it cannot be set."""
    before = QUEUE.read_text()
    try:
        QUEUE.write_text(str(events))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        QUEUE.write_text(before)


def burst(program, options, results):
    program.data.mkdir(parents=True)
    with small_queue(options.queue) as small:
        program.start()
        while not program.said("serving metrics on"):
            time.sleep(0.05)
        # The watch begins right after the first scan, which finds nothing.
        time.sleep(2)
    names = [Path(f"{n % 50:02d}/{n // 50 % 20:02d}/{n:06d}/app.db") for n in range(options.databases)]
    paths = [program.data / name for name in names]
    if not small:
        # Nobody reads the queue meanwhile: it overflows whatever its limit is.
        program.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    pools = [multiprocessing.Process(target=_create, args=(paths[n :: options.writers],)) for n in range(options.writers)]
    [pool.start() for pool in pools]
    [pool.join() for pool in pools]
    if not small:
        program.process.send_signal(signal.SIGCONT)
    made = time.monotonic()
    pending = [program.replica / name / "ltx/0" for name in names]
    end = made + options.limit
    while pending and time.monotonic() < end:
        if pending[-1].is_dir() and any(os.scandir(pending[-1])):
            pending.pop()
        else:
            time.sleep(0.02)
    results["databases made"] = len(names)
    results["seconds to make them"] = made - begun
    results["seconds after that until all are on the replica"] = time.monotonic() - made
    results["overflows of the event queue"] = program.said(OVERFLOWS)
    results["never on the replica, at least"] = len(pending)
    results["peak memory MB"], results["open files"] = program.cost()["peak"], program.cost()["files"]
    program.at_rest(3, options.settle)
    checked, wrong = compare(program, names, {index: 2 for index in range(len(names))})
    results["databases restored and compared"] = checked
    results["wrong restores"] = len(wrong)
    results["load of the machine"] = os.getloadavg()[0]
    if not program.said(OVERFLOWS):
        wrong.append("the event queue did not overflow: nothing was shown")
    return wrong


def _create(paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = create(path, "template")
        connection.execute("INSERT INTO item (life, data) VALUES ('template', randomblob(50))")
        connection.close()
