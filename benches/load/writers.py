"""Processes that commit to many databases at a steady rate, and write down what was acknowledged and when."""

import multiprocessing
import os
import random
import struct
import time
from collections import deque

from .databases import INSERT, connect

ENTRY = struct.Struct("<IIqd")


def write(paths, rate, seconds, writers, hold, ledger, order=None):
    """`rate` commits a second over random `paths` (or in `order`), each connection held open for `hold` seconds.

    Gives (index, row id, nanoseconds of the acknowledgement), and the seconds of CPU that the writers took for a commit.
    """
    begin = time.monotonic() + 1
    pools = [
        multiprocessing.Process(
            target=_run,
            args=(paths, rate / writers, begin + number / rate, seconds, hold, f"{ledger}.{number}", number, writers, order),
        )
        for number in range(writers)
    ]
    [pool.start() for pool in pools]
    [pool.join() for pool in pools]
    entries, cpu = [], 0.0
    for number, pool in enumerate(pools):
        if pool.exitcode != 0:
            raise SystemExit(f"a writer failed with {pool.exitcode}")
        raw = open(f"{ledger}.{number}", "rb").read()
        for index, row, at, spent in ENTRY.iter_unpack(raw):
            entries.append((index, row, at))
        cpu += ENTRY.unpack(raw[-ENTRY.size :])[3] if raw else 0
    return entries, cpu / max(1, len(entries))


def _run(paths, rate, begin, seconds, hold, ledger, number, writers, order):
    choose, held = random.Random(number), deque()
    mine = None if order is None else deque(order[number::writers])
    due, end = begin, begin + seconds
    with open(ledger, "wb", buffering=0) as out:
        while due < end and (mine is None or mine):
            time.sleep(max(0, due - time.monotonic()))
            due += 1 / rate
            index = choose.randrange(len(paths)) if mine is None else mine.popleft()
            connection = connect(paths[index])
            row = connection.execute(INSERT, ("template", 100)).lastrowid
            at = time.time_ns()
            # What is not acknowledged here is not asked for later.
            out.write(ENTRY.pack(index, row, at, time.process_time()))
            held.append((time.monotonic() + hold, connection))
            while held and held[0][0] <= time.monotonic():
                held.popleft()[1].close()
        for _, connection in held:
            connection.close()


def last_rows(entries):
    """The highest acknowledged row of each database."""
    rows = {}
    for index, row, _ in entries:
        rows[index] = max(row, rows.get(index, 0))
    return rows


def lags(entries, replicas):
    """Milliseconds from each acknowledgement to the file that holds it, sorted; and how many have none.

    When a file became visible is its change time, which the kernel sets at the rename. The file can be there a moment
    before the writer hears of its own commit.
    """
    found, lost = [], 0
    for index, _, at in entries:
        directory = replicas[index] / "ltx/0"
        seen = [entry.stat().st_ctime_ns for entry in os.scandir(directory)] if directory.is_dir() else []
        later = [ctime for ctime in seen if ctime >= at - 10_000_000]
        if later:
            found.append(max(0, min(later) - at) / 1e6)
        else:
            lost += 1
    return sorted(found), lost


def quantile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")
