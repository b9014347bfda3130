#!/usr/bin/env python3
"""Measures two Litestream-compatible programs in turn on this machine, and prints medians and their ratio.

    cargo build --release
    benches/compare.py --reference "$(command -v litestream)"          every measurement, three rounds
    benches/compare.py --rounds 5 lag restore                          some of them

Both replicate to a directory with their default settings. Every round runs both programs, in alternating order, so that
what else the machine does falls on both. Only the ratio means something on another machine.

  load      an application that writes as fast as it can, alone and with the program beside it
  lag       time from a commit to its file on the replica
  restore   a replica with a snapshot and hundreds of small files
  large     one database of --large MB: first snapshot, restore, and the memory both take
  fleet     --databases databases: first sync, then what they cost while nothing happens
  directory --small databases restored at once (the reference one after the other), then the same beside one of --large MB
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def process_cost(pid):
    """CPU seconds, peak and present memory in MB, and open files of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    megabytes = lambda key: int(status[key].split()[0]) / 1024
    return {
        "cpu": (int(fields[11]) + int(fields[12])) / TICK,
        "peak": megabytes("VmHWM"),
        "resident": megabytes("VmRSS"),
        "files": len(os.listdir(f"/proc/{pid}/fd")),
    }


def until(what, condition, limit=600, step=0.01):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(step)


def connect(path):
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous = normal")
    return connection


def make_database(path, megabytes=0.05):
    """A WAL database of half random, half zero rows: about as compressible as real ones."""
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
    rows = max(1, int(megabytes * 1000))
    for start in range(0, rows, 4000):
        connection.execute(
            "INSERT INTO item (data) WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?)"
            " SELECT randomblob(480) || zeroblob(480) FROM s",
            (min(4000, rows - start),),
        )
    connection.close()


def newest(replica):
    """The highest TXID among the raw files of a replica."""
    with contextlib.suppress(FileNotFoundError):
        return max((int(entry.name[17:33], 16) for entry in os.scandir(replica / "ltx/0") if entry.name.endswith(".ltx")), default=0)
    return 0


class Daemon:
    """A program replicating, as a context."""

    def __init__(self, program, root, entry):
        config = root / "litestream.yml"
        config.write_text(f"dbs:\n{entry}")
        log = open(root / "log", "wb")
        self.process = subprocess.Popen([program, "replicate", "-config", config], stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cost(self):
        return process_cost(self.process.pid)


def single(root):
    return f"  - path: {root}/app.db\n    replica:\n      path: {root}/replica\n"


def restore(program, root):
    """Wall seconds, CPU seconds and peak MB of one restore, which has to give the source's rows."""
    output = root / "restored.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{output}{suffix}").unlink(missing_ok=True)
    start = time.monotonic()
    process = subprocess.Popen([program, "restore", "-o", output, f"file://{root}/replica"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    rows = "SELECT count(*), sum(length(data)), sum(id) FROM item"
    if status != 0 or connect(output).execute(rows).fetchone() != connect(root / "app.db").execute(rows).fetchone():
        raise RuntimeError(f"{program}: the restored database differs (status {status})")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def write_load(path, seconds):
    """Commits of 100 rows as fast as possible: MB/s and the slowest commit in ms."""
    connection = connect(path)
    times, start = [], time.monotonic()
    while time.monotonic() - start < seconds:
        begun = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO item (data) VALUES (randomblob(?))", [(1000,)] * 100)
        connection.execute("COMMIT")
        times.append(time.monotonic() - begun)
    connection.close()
    return len(times) * 0.1 / (time.monotonic() - start), 1000 * max(times), len(times) * 0.1


def measure_load(program, root, options):
    alone = root / "alone.db"
    make_database(alone)
    alone_rate, _, _ = write_load(alone, options.seconds)
    make_database(root / "app.db")
    with Daemon(program, root, single(root)) as daemon:
        until("the first file", lambda: newest(root / "replica") > 0)
        before = daemon.cost()["cpu"]
        rate, slowest, written = write_load(root / "app.db", options.seconds)
        count = connect(root / "app.db").execute("SELECT count(*) FROM item").fetchone()[0]
        settle(root / "replica", daemon)
        cost = daemon.cost()
    restore(program, root)
    return {
        "CPU ms per MB replicated": 1000 * (cost["cpu"] - before) / written,
        "application MB/s beside it, % of alone": 100 * rate / alone_rate,
        "slowest commit ms": slowest,
        "peak memory MB": cost["peak"],
        "_rows": count,
    }


def settle(replica, daemon):
    """Waits until for two seconds no new file has come and the program has done nothing: a program that is behind may
    work for a long time before its next file."""
    last, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        # A poll of one database each second is nothing.
        now = (newest(replica), round(daemon.cost()["cpu"] / 0.05))
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


def measure_lag(program, root, options):
    make_database(root / "app.db")
    replica, choose, lags = root / "replica", random.Random(7), []
    with Daemon(program, root, single(root)) as daemon:
        until("the first file", lambda: newest(replica) > 0)
        settle(replica, daemon)
        before = daemon.cost()["cpu"]
        connection = connect(root / "app.db")
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            following = newest(replica) + 1
            name = replica / f"ltx/0/{following:016x}-{following:016x}.ltx"
            connection.execute("INSERT INTO item (data) VALUES (randomblob(200))")
            committed = time.monotonic()
            until("the commit on the replica", name.exists, step=0.0003)
            lags.append(1000 * (time.monotonic() - committed))
            time.sleep(choose.random() * 0.3)
        cost = daemon.cost()
        connection.close()
    lags.sort()
    return {
        "commit to replica p50 ms": lags[len(lags) // 2],
        "commit to replica p99 ms": lags[int(len(lags) * 0.99)],
        "CPU ms per commit": 1000 * (cost["cpu"] - before) / len(lags),
    }


def measure_restore(program, root, options):
    make_database(root / "app.db", options.megabytes)
    # How the files came to be is not measured here: poll and upload often, so that they come soon.
    entry = single(root).replace("    replica:\n", "    monitor-interval: 20ms\n    replica:\n      sync-interval: 20ms\n")
    with Daemon(program, root, entry):
        until("the first file", lambda: newest(root / "replica") > 0)
        connection, choose = connect(root / "app.db"), random.Random(3)
        rows = connection.execute("SELECT max(id) FROM item").fetchone()[0]
        for _ in range(options.files):
            before = newest(root / "replica")
            changed = [(choose.randrange(1, rows),) for _ in range(50)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE item SET data = randomblob(900) WHERE id = ?", changed)
            connection.execute("COMMIT")
            until("a raw file", lambda: newest(root / "replica") > before)
        connection.close()
    size = (root / "app.db").stat().st_size / 1e6
    runs = [restore(program, root) for _ in range(3)]
    wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
    return {"restore MB/s": size / wall, "restore CPU ms per MB": 1000 * cpu / size, "restore peak memory MB": peak}


def measure_large(program, root, options):
    make_database(root / "app.db", options.large)
    connect(root / "app.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")
    start = time.monotonic()
    with Daemon(program, root, single(root)) as daemon:
        until("the snapshot", lambda: any((root / "replica/ltx/9").glob("*.ltx")), limit=1800, step=0.05)
        wall, cost = time.monotonic() - start, daemon.cost()
    restore_wall, _, restore_peak = restore(program, root)
    size = (root / "app.db").stat().st_size / 1e6
    return {
        "first sync and snapshot MB/s": size / wall,
        "first sync and snapshot CPU s": cost["cpu"],
        "peak memory MB": cost["peak"],
        "restore MB/s": size / restore_wall,
        "restore peak memory MB": restore_peak,
    }


def measure_fleet(program, root, options):
    template = root / "template.db"
    make_database(template)
    for number in range(options.databases):
        directory = root / f"data/{number % 100:02d}"
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, directory / f"{number:06d}.db")
    entry = f"  - dir: {root}/data\n    pattern: '*.db'\n    recursive: true\n    watch: true\n    replica:\n      path: {root}/replica\n"
    present = lambda: sum(1 for _ in (root / "replica").glob("*/*/ltx/0"))
    start = time.monotonic()
    with Daemon(program, root, entry) as daemon:
        until("every database", lambda: present() >= options.databases, step=0.2)
        first = time.monotonic() - start
        time.sleep(15)  # the first snapshots and compactions, and whatever comes to rest
        before = daemon.cost()
        time.sleep(options.seconds)
        after = daemon.cost()
    return {
        "first sync of all s": first,
        "idle CPU % of a core": 100 * (after["cpu"] - before["cpu"]) / options.seconds,
        "resident memory MB": after["resident"],
        "open files": after["files"],
    }


def replica_of(program, root, name, megabytes):
    """The newest raw file of a replica that `replicate -once` makes of a database of this size."""
    source = root / f"{name}-source"
    source.mkdir()
    make_database(source / "app.db", megabytes)
    subprocess.run([program, "replicate", "-once", "-config", "/dev/stdin"], input=f"dbs:\n{single(source)}".encode(), check=True,
                   stdout=subprocess.DEVNULL)
    (source / "app.db").unlink()
    return max((source / "replica/ltx/0").iterdir())


def restore_all(program, root, label, options):
    """Wall seconds, CPU seconds and peak MB of a restore of everything below root/replica; and when each database appeared."""
    output = root / "out"
    shutil.rmtree(output, ignore_errors=True)
    start, wall_start = time.monotonic(), time.time()
    if label == "ours":
        process = subprocess.Popen([program, "restore", "-dir", "-o", output, f"file://{root}/replica"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    else:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = 0
        for replica in sorted((root / "replica").glob("*/*")):
            command = [program, "restore", "-o", output / replica.relative_to(root / "replica"), f"file://{replica}"]
            status |= subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu, peak = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024
    wall = time.monotonic() - start
    appeared = {path.name: path.stat().st_ctime - wall_start for path in output.glob("*/*.db")}
    if status != 0:
        raise RuntimeError(f"{program}: status {status}")
    return wall, cpu, peak, appeared


def measure_directory(program, root, options):
    label = "ours" if str(program) == str(options.ours) else "reference"
    # The reference starts a process for each database: a part of them tells its pace.
    number = options.small if label == "ours" else options.small // 50
    file = replica_of(program, root, "small", 0.01)
    for index in range(number):
        level = root / f"replica/{index % 100:02d}/{index:06d}.db/ltx/0"
        level.mkdir(parents=True)
        os.link(file, level / file.name)
    runs = [restore_all(program, root, label, options) for _ in range(3)]
    wall, cpu, peak = (statistics.median(column) for column in list(zip(*runs))[:3])
    if len(runs[0][3]) != number:
        raise RuntimeError(f"{len(runs[0][3])} of {number} databases")
    results = {"small databases/s": number / wall, "CPU ms per database": 1000 * cpu / number, "peak memory MB": peak}
    if label == "ours" and options.large:
        # First in the order of names, so that nothing but fairness brings the others back early.
        large = root / "replica/00/!large.db/ltx/0"
        large.mkdir(parents=True)
        shutil.move(replica_of(program, root, "large", options.large), large / file.name)
        for index in range(1000, number):
            shutil.rmtree(root / f"replica/{index % 100:02d}/{index:06d}.db")
        wall, _, peak, appeared = restore_all(program, root, label, options)
        whole = appeared.pop("!large.db")
        results |= {
            f"one of {options.large:.0f} MB among 1000: all s": wall,
            "  half of the small ones after s": sorted(appeared.values())[len(appeared) // 2],
            "  the last small one after s": max(appeared.values()),
            "  the large one after s": whole,
            "  peak memory MB, all": peak,
        }
    return results


MEASUREMENTS = {"load": measure_load, "lag": measure_lag, "restore": measure_restore, "large": measure_large, "fleet": measure_fleet,
                "directory": measure_directory}


def compare(name, programs, options):
    results = {label: [] for label in programs}
    for number in range(options.rounds):
        order = list(programs.items())
        for label, program in order if number % 2 == 0 else reversed(order):
            root = Path(tempfile.mkdtemp(prefix="litestream-bench-", dir=options.directory))
            try:
                results[label].append(MEASUREMENTS[name](program, root, options))
            finally:
                shutil.rmtree(root)
    print(f"\n{name}\n{'':44}" + "".join(f"{label:>14}" for label in programs) + f"{'ratio':>10}")
    for key in results["ours"][0]:
        if key.startswith("_"):
            continue
        # What the reference cannot do has no figure.
        known = [label for label in programs if key in results[label][0]]
        medians = [statistics.median(result[key] for result in results[label]) for label in known]
        ratio = f"{medians[0] / medians[1]:10.2f}" if len(medians) == 2 and medians[1] else ""
        print(f"  {key:42}" + "".join(f"{median:14.1f}" for median in medians) + ratio, flush=True)
    if options.json:
        print(json.dumps({name: results}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", nargs="*", choices=[*MEASUREMENTS, []], help="all of them if none is named")
    parser.add_argument("--ours", default=HERE.parent / "target/release/litestream-rs")
    parser.add_argument("--reference", help="the program to compare with; without it only ours is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="length of load, lag and the idle time of fleet")
    parser.add_argument("--megabytes", type=float, default=200, help="size of the database of restore")
    parser.add_argument("--files", type=int, default=300, help="raw files of restore")
    parser.add_argument("--large", type=float, default=1024, help="size of the database of large, and of the large one of directory, in MB")
    parser.add_argument("--databases", type=int, default=1000, help="databases of fleet")
    parser.add_argument("--small", type=int, default=10000, help="databases of directory")
    parser.add_argument("--directory", help="where to work; a memory file system shows the programs, a disk the disk")
    parser.add_argument("--json", action="store_true", help="prints every round as well")
    options = parser.parse_args()
    programs = {"ours": options.ours} | ({"reference": options.reference} if options.reference else {})
    for program in programs.values():
        version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{program}: {version}")
    print(f"{os.cpu_count()} cores, {options.rounds} rounds, medians", file=sys.stdout)
    for name in options.measurements or MEASUREMENTS:
        compare(name, programs, options)


if __name__ == "__main__":
    main()
