"""Processes that commit to many databases at a steady rate, and write down what was acknowledged and when."""

import os
import random
import resource
import struct
import subprocess
import time
from pathlib import Path

ENTRY = struct.Struct("<IIq")
WRITER = Path(__file__).resolve().parents[2] / "target/release/examples/writer"


def write(paths, rate, seconds, writers, hold, ledger, order=None):
    """`rate` commits a second over random `paths` (or in `order`), each connection held open for `hold` seconds.

    Gives (index, row id, nanoseconds of the acknowledgement), and the seconds of CPU that the writers took for a commit.
    """
    if not WRITER.exists():
        raise SystemExit("first: cargo build --release -p litestream-core --example writer")
    choose = random.Random(0)
    order = (order or [choose.randrange(len(paths)) for _ in range(int(rate * seconds))])[: int(rate * seconds)]
    begin, before = time.time_ns() + 1_000_000_000, resource.getrusage(resource.RUSAGE_CHILDREN)
    pools = []
    for number in range(writers):
        lines = "".join(f"{index} {paths[index]}\n" for index in order[number::writers])
        times = (begin + int(number / rate * 1e9), int(writers / rate * 1e9), int(hold * 1e9))
        Path(f"{ledger}.{number}.in").write_text(lines)
        with open(f"{ledger}.{number}.in") as orders:
            pools.append(subprocess.Popen([WRITER, f"{ledger}.{number}", *map(str, times)], stdin=orders))
    if any(pool.wait() != 0 for pool in pools):
        raise SystemExit("a writer failed")
    after, entries = resource.getrusage(resource.RUSAGE_CHILDREN), []
    for number in range(writers):
        entries += ENTRY.iter_unpack(Path(f"{ledger}.{number}").read_bytes())
        os.unlink(f"{ledger}.{number}.in")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return entries, cpu / max(1, len(entries))


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
