#!/usr/bin/env python3
"""What a directory of very many databases costs, beside Litestream where that copes.

    cargo build --release
    benches/scale.py                                                    1,000 and 10,000 databases, flat
    benches/scale.py --databases 1000 --reference "$(command -v litestream)"
    benches/scale.py --databases 100000 --layout flat nested --idle 600

For each number and layout (`flat`: one directory; `nested`: a directory for each database) one program after the other:

  first     from the start to every database being on the replica
  idle      CPU, memory, open files and storage requests while nothing happens, at default settings
  active    --active of all databases written in each second: time from commit to visible file, and a check that
            nothing is lost
  restart   from the start of the program over unchanged databases to all of them known

Times are this machine's; ratios between programs mean something elsewhere.
"""

import argparse
import contextlib
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
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
ADDRESS = "127.0.0.1:9399"


def cost(pid):
    """CPU seconds, resident and peak memory in MB, open files."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {
        "cpu": (int(fields[11]) + int(fields[12])) / TICK,
        "resident": int(status["VmRSS"].split()[0]) / 1024,
        "peak": int(status["VmHWM"].split()[0]) / 1024,
        "files": len(os.listdir(f"/proc/{pid}/fd")),
    }


def metric(name):
    """The sum of all series of a metric; None if the program does not answer or has none."""
    with contextlib.suppress(OSError):
        text = urllib.request.urlopen(f"http://{ADDRESS}/metrics", timeout=20).read().decode()
        values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        return sum(values) if values else None
    return None


def until(what, condition, limit, step):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Fleet:
    """Databases under a root, and a program replicating them."""

    def __init__(self, program, root, number, layout, files):
        self.program, self.root, self.number, self.files = program, root, number, files
        self.process = None
        self.paths = []
        template = root / "template.db"
        connection = sqlite3.connect(template, isolation_level=None)
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
        connection.execute("INSERT INTO item (data) VALUES (randomblob(3000))")
        connection.close()
        content = template.read_bytes()
        for index in range(number):
            name = Path(f"{index:06d}.db") if layout == "flat" else Path(f"{index % 100:02d}/{index:06d}/app.db")
            path = root / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            self.paths.append((path, root / "replica" / name))
        (root / "litestream.yml").write_text(
            f"addr: '{ADDRESS}'\ndbs:\n  - dir: {root}/data\n    pattern: '*.db'\n    recursive: true\n    watch: true\n"
            f"    replica:\n      type: file\n      path: {root}/replica\n"
        )

    def start(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))
        log = open(self.root / "log", "ab")
        command = [self.program, "replicate", "-config", self.root / "litestream.yml"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=limit)
        self.started = time.monotonic()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(300)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def on_replica(self, pending):
        """Removes from `pending` what is on the replica, and says whether nothing is left."""
        while pending and (pending[-1] / "ltx/0").is_dir() and any(os.scandir(pending[-1] / "ltx/0")):
            pending.pop()
        return not pending

    def cost(self):
        return cost(self.process.pid)


def first(fleet, results, options):
    pending = [replica for _, replica in fleet.paths]
    random.Random(1).shuffle(pending)
    fleet.start()
    complete = until("first sync", lambda: fleet.on_replica(pending), options.limit, 0.05)
    taken = time.monotonic() - fleet.started
    results["first sync of all s"] = taken if complete else float("nan")
    results["databases/s"] = fleet.number / taken if complete else float("nan")
    if not complete:
        results["not on the replica, at least"] = len(pending)
    results["peak memory MB"] = fleet.cost()["peak"]


def idle(fleet, results, options):
    # First snapshots, retention of raw files after five minutes: nothing of that is idling.
    time.sleep(options.settle)
    before, requests = fleet.cost(), metric("litestream_replica_operation_total")
    time.sleep(options.idle)
    after, later = fleet.cost(), metric("litestream_replica_operation_total")
    results["idle CPU % of a core"] = 100 * (after["cpu"] - before["cpu"]) / options.idle
    results["resident memory MB"] = after["resident"]
    results["open files"] = after["files"]
    if requests is not None and later is not None:
        results["storage requests while idle"] = later - requests


def active(fleet, results, options):
    """Writers over random databases. When a file became visible is its change time, which the kernel sets at the rename."""
    rate, commits, lock = fleet.number * options.active, [], threading.Lock()
    choose, end = random.Random(2), time.monotonic() + options.seconds
    due = [time.monotonic()]

    def write():
        while True:
            with lock:
                if due[0] > end:
                    return
                wait, index = due[0] - time.monotonic(), choose.randrange(fleet.number)
                due[0] += 1 / rate
            time.sleep(max(0, wait))
            connection = sqlite3.connect(fleet.paths[index][0], isolation_level=None, timeout=60, check_same_thread=False)
            connection.execute("PRAGMA synchronous = normal")
            connection.execute("INSERT INTO item (data) VALUES (randomblob(100))")
            committed = time.time_ns()
            if not options.keep_open:
                connection.close()
            commits.append((index, committed, connection))

    before = fleet.cost()["cpu"]
    threads = [threading.Thread(target=write) for _ in range(options.writers)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    time.sleep(10)
    after = fleet.cost()
    lags, lost = [], 0
    for index, committed, _ in commits:
        directory = fleet.paths[index][1] / "ltx/0"
        seen = [entry.stat().st_ctime_ns for entry in os.scandir(directory)] if directory.is_dir() else []
        later = [at for at in seen if at >= committed - 10_000_000]
        if later:
            lags.append(max(0, min(later) - committed) / 1e6)
        else:
            lost += 1
    for _, _, connection in commits:
        connection.close()
    lags.sort()
    results["commits"] = len(commits)
    results["commits not on the replica"] = lost
    if lags:
        results["commit to replica p50 ms"] = lags[len(lags) // 2]
        results["commit to replica p99 ms"] = lags[int(len(lags) * 0.99)]
    results["CPU ms per commit"] = 1000 * (after["cpu"] - before) / max(1, len(commits))
    results["peak memory MB after writes"] = after["peak"]
    results["open files while active"] = after["files"]
    results["wrong restores"] = wrong_restores(fleet, commits, options)


def wrong_restores(fleet, commits, options):
    def content(path):
        connection = sqlite3.connect(path)
        try:
            return connection.execute("SELECT count(*), sum(length(data)) FROM item").fetchone()
        finally:
            connection.close()

    wrong = 0
    written = sorted({index for index, _, _ in commits})
    for index in random.Random(3).sample(written, min(options.sample, len(written))):
        path, replica = fleet.paths[index]
        with tempfile.TemporaryDirectory(dir=fleet.root) as directory:
            output = Path(directory) / "restored.db"
            result = subprocess.run([fleet.program, "restore", "-o", output, f"file://{replica}"], capture_output=True)
            wrong += result.returncode != 0 or content(output) != content(path)
    return wrong


def restart(fleet, results, options):
    fleet.stop()
    before = (fleet.root / "log").stat().st_size
    fleet.start()
    said = lambda: (fleet.root / "log").read_bytes()[before:]
    known = lambda: b"initialized databases" in said() or said().count(b"initialized db") >= fleet.number
    complete = until("all known", known, options.limit, 0.02)
    results["restart to all known s"] = time.monotonic() - fleet.started if complete else float("nan")
    time.sleep(5)
    results["CPU s of a restart"] = fleet.cost()["cpu"]
    results["resident memory MB after a restart"] = fleet.cost()["resident"]


STEPS = {"first": first, "idle": idle, "active": active, "restart": restart}


def measure(program, number, layout, options):
    root = Path(tempfile.mkdtemp(prefix="litestream-scale-", dir=options.directory))
    results = {}
    try:
        fleet = Fleet(program, root, number, layout, options.open_files)
        try:
            for name in ["first", *options.steps]:
                STEPS[name](fleet, results, options)
                print(f"  {name} done: {results}", file=sys.stderr, flush=True)
        finally:
            fleet.stop()
            if options.keep_log:
                shutil.copy(root / "log", options.keep_log)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=HERE.parent / "target/release/litestream-rs")
    parser.add_argument("--reference", help="the program to compare with; without it only ours is measured")
    parser.add_argument("--reference-limit", type=int, default=3000, help="most databases that the reference is tried with")
    parser.add_argument("--databases", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--layout", nargs="+", choices=["flat", "nested"], default=["flat"])
    parser.add_argument("--steps", nargs="+", choices=["idle", "active", "restart"], default=["idle", "active", "restart"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--settle", type=float, default=30, help="seconds between the first sync and the idle window")
    parser.add_argument("--idle", type=float, default=30, help="length of the idle window in seconds")
    parser.add_argument("--seconds", type=float, default=20, help="length of the active step")
    parser.add_argument("--active", type=float, default=0.01, help="part of all databases written in each second")
    parser.add_argument("--writers", type=int, default=4, help="threads that write")
    parser.add_argument("--keep-open", action="store_true", help="writers keep their connections open")
    parser.add_argument("--sample", type=int, default=50, help="databases restored and compared")
    parser.add_argument("--open-files", type=int, default=20000, help="limit of open files of the program")
    parser.add_argument("--limit", type=float, default=1800, help="seconds after which a first sync is given up")
    parser.add_argument("--directory", help="where to work")
    parser.add_argument("--keep-log", help="where to copy the program's log")
    options = parser.parse_args()
    for number in options.databases:
        for layout in options.layout:
            programs = {"ours": options.ours}
            if options.reference and number <= options.reference_limit:
                programs["reference"] = options.reference
            results = {label: [] for label in programs}
            for _ in range(options.rounds):
                for label, program in programs.items():
                    results[label].append(measure(program, number, layout, options))
            show(f"{number} databases, {layout}", results)


def show(title, results):
    print(f"\n{title}\n{'':44}" + "".join(f"{label:>14}" for label in results) + f"{'ratio':>10}")
    for key in results["ours"][0]:
        medians = [statistics.median(result[key] for result in rounds) if key in rounds[0] else None for rounds in results.values()]
        ratio = f"{medians[0] / medians[1]:10.3f}" if len(medians) == 2 and medians[1] else ""
        print(f"  {key:42}" + "".join("" if value is None else f"{value:14.1f}" for value in medians) + ratio, flush=True)


if __name__ == "__main__":
    main()
