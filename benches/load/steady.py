"""The loads of a steady rate: `lag` and `cold`."""

import os
import random
import time

from scale import metric

from .databases import compare, make_many
from .writers import lags, last_rows, quantile, write

PAGE = 4096


def first_sync(program, names, limit):
    """Starts the program and waits until every database is on the replica. Seconds, or `None`."""
    pending = list(names)
    random.Random(1).shuffle(pending)
    program.start()
    end = time.monotonic() + limit
    while pending:
        directory = program.replica / pending[-1] / "ltx/0"
        if directory.is_dir() and any(os.scandir(directory)):
            pending.pop()
        elif time.monotonic() > end:
            return None
        else:
            time.sleep(0.02)
    return time.monotonic() - program.started


def begin(program, options, results, number):
    names = make_many(program.data, number, options.layout, options.kilobytes)
    taken = first_sync(program, names, options.limit)
    results["first sync of all s"] = float("nan") if taken is None else taken
    results["first sync databases/s"] = 0 if taken is None else number / taken
    # First snapshots follow the first files.
    program.at_rest(3, options.settle)
    return names


def lag(program, options, results):
    """Part of all databases written in each second: from a commit to its file on the replica."""
    names = begin(program, options, results, options.databases)
    paths, replicas = [program.data / name for name in names], [program.replica / name for name in names]
    rate = options.databases * options.active
    before, puts = program.cost(), metric("litestream_replica_operation_total")
    entries, writer_cpu = write(paths, rate, options.seconds, options.writers, options.hold, program.root / "ledger")
    load = os.getloadavg()[0]
    during = program.cost()
    end = time.monotonic() + options.settle
    found, lost = lags(entries, replicas)
    while lost and time.monotonic() < end:
        time.sleep(1)
        found, lost = lags(entries, replicas)
    results["commits"] = len(entries)
    results["wanted commits/s"] = rate
    span = (max(at for _, _, at in entries) - min(at for _, _, at in entries)) / 1e9
    results["commits/s"] = len(entries) / max(span, 1e-9)
    for part in (0.5, 0.9, 0.99, 1):
        results[f"commit to replica p{100 * part:.0f} ms"] = quantile(found, part)
    results["commits not on the replica"] = lost
    results["CPU ms per commit"] = 1000 * (during["cpu"] - before["cpu"]) / max(1, len(entries))
    results["writers' CPU ms per commit"] = 1000 * writer_cpu
    results["storage requests per commit"] = (metric("litestream_replica_operation_total") - puts) / max(1, len(entries))
    results["resident memory MB"], results["peak memory MB"] = during["resident"], during["peak"]
    results["open files"] = during["files"]
    results["load of the machine"] = load
    written = sorted({index for index, _, _ in entries})
    rows = last_rows(entries)
    some = random.Random(4).sample(written, min(options.sample, len(written)))
    rows = {place: rows[index] for place, index in enumerate(some)}
    checked, wrong = compare(program, [names[index] for index in some], rows, sample=len(some))
    results["databases restored and compared"] = checked
    results["wrong restores"] = len(wrong)
    return wrong + ([f"{lost} commits are on no file of the replica"] if lost else [])


def cold(program, options, results):
    """Open, write one row, close: SQLite folds the WAL away each time."""
    names = begin(program, options, results, options.databases)
    paths = [program.data / name for name in names]
    sizes = [raw_bytes(program.replica / name) for name in names]
    pages = [page_hashes(path) for path in paths]
    order = [index for turn in range(options.turns) for index in shuffled(len(paths), turn)]
    before = program.cost()
    seconds = len(order) / options.rate * 10
    entries, writer_cpu = write(paths, options.rate, seconds, options.writers, 0, program.root / "ledger", order)
    during = program.cost()
    program.at_rest(3, options.settle)
    found, lost = lags(entries, [program.replica / name for name in names])
    results["commits"] = len(entries)
    for part in (0.5, 0.99):
        results[f"commit to replica p{100 * part:.0f} ms"] = quantile(found, part)
    results["CPU ms per commit"] = 1000 * (during["cpu"] - before["cpu"]) / max(1, len(entries))
    results["writers' CPU ms per commit"] = 1000 * writer_cpu
    over, total, worst = 0, 0, 0.0
    for index, name in enumerate(names):
        uploaded = raw_bytes(program.replica / name) - sizes[index]
        now = page_hashes(paths[index])
        changed = sum(1 for number, page in enumerate(now) if pages[index][number : number + 1] != [page])
        # A commit changes a page at least, and the same page may change at each.
        allowed = 4 * PAGE * max(changed, options.turns) + 64 * 1024
        over, total, worst = over + (uploaded > allowed), total + uploaded, max(worst, uploaded / allowed)
    results["raw KiB uploaded per commit"] = total / 1024 / max(1, len(entries))
    results["databases above the bound"] = over
    results["worst use of the bound"] = worst
    checked, wrong = compare(program, names, last_rows(entries))
    results["databases restored and compared"] = checked
    results["wrong restores"] = len(wrong)
    results["load of the machine"] = os.getloadavg()[0]
    return wrong + ([f"{over} databases uploaded more than the bound"] if over else [])


def raw_bytes(replica):
    directory = replica / "ltx/0"
    return sum(entry.stat().st_size for entry in os.scandir(directory)) if directory.is_dir() else 0


def page_hashes(path):
    content = path.read_bytes()
    return [hash(content[at : at + PAGE]) for at in range(0, len(content), PAGE)]


def shuffled(count, seed):
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order
