"""`soak`: tenants that live and die for a long time, programs that are killed, and a full audit at the end."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

from scale import metric

from . import churn
from .databases import content, difference


class Applications:
    """The writer processes. One that is killed is replaced."""

    def __init__(self, program, options, up_since):
        self.program, self.options, self.up_since = program, options, up_since
        self.processes, self.kills, self.starts = {}, 0, 0
        self.ready = [multiprocessing.Value("i", 0) for _ in range(options.writers)]
        for number in range(options.writers):
            self.start(number)

    def start(self, number):
        self.starts += 1
        share = self.options.databases // self.options.writers
        arguments = (
            self.program.data / f"w{number}",
            self.program.root / f"ledger.{number}",
            number,
            self.options.seed * 1000 + self.starts,
            share,
            self.options.rate / self.options.writers,
            self.up_since,
            self.ready[number],
        )
        self.processes[number] = multiprocessing.Process(target=churn.run, args=arguments)
        self.processes[number].start()

    def kill_one(self, choose):
        number = choose.randrange(self.options.writers)
        self.processes[number].kill()
        self.processes[number].join()
        self.kills += 1
        self.start(number)

    def check(self):
        for number, process in self.processes.items():
            if not process.is_alive():
                raise SystemExit(f"application {number} failed with {process.exitcode}")

    def stop(self):
        [process.terminate() for process in self.processes.values()]
        [process.join() for process in self.processes.values()]


def soak(program, options, results):
    program.data.mkdir(parents=True)
    up_since, choose = multiprocessing.Value("d", 0.0), random.Random(options.seed)
    program.start()
    up_since.value = time.monotonic()
    applications = Applications(program, options, up_since)
    try:
        while not all(ready.value for ready in applications.ready):
            applications.check()
            time.sleep(0.5)
        series = churn_for(program, applications, options, up_since, choose, results)
    finally:
        applications.stop()
    rested = program.at_rest(options.rest, options.settle)
    cost, deleted = program.cost(), program.deleted_files()
    results["at rest after the load"] = int(rested)
    results["open files at rest"], results["resident memory MB at rest"] = cost["files"], cost["resident"]
    results["deleted files still open"] = len(deleted)
    print_series(series)
    wrong = [f"still open: {link}" for link in deleted[:20]]
    if not rested:
        wrong.append("the program did not come to rest")
    return wrong + audit(program, options, results)


def churn_for(program, applications, options, up_since, choose, results):
    """Kills and restarts, in the first two thirds; then quiet times for the program, to show its memory."""
    begun = time.monotonic()
    whole = options.minutes * 60
    last_third = begun + whole * 2 / 3
    next_kill, next_writer_kill, next_sample = begun + options.kill_every, begun + options.kill_every / 4, begun
    kills, restarts, series = 0, 0, []
    while (now := time.monotonic()) < begun + whole:
        applications.check()
        if not program.is_up():
            raise SystemExit(f"the program ended by itself with {program.process.returncode}")
        if now >= next_writer_kill:
            applications.kill_one(choose)
            next_writer_kill = now + options.kill_every / 4 * choose.uniform(0.5, 1.5)
        if now >= next_kill and now < last_third:
            up_since.value = 0
            # Those that just decided to end a tenant are through with it.
            time.sleep(3)
            if choose.random() < 0.7:
                program.kill()
                kills += 1
            else:
                program.stop()
                restarts += 1
            time.sleep(choose.choice([0, 0, 1, 10]))
            program.start()
            up_since.value = time.monotonic()
            next_kill = time.monotonic() + options.kill_every * choose.uniform(0.5, 1.5)
        if now >= next_sample:
            next_sample = now + whole / options.samples
            series.append(sample(program, begun))
        time.sleep(0.2)
    results["kill -9 of the program"], results["orderly restarts"] = kills, restarts
    results["kill -9 of applications"] = applications.kills
    return series


def sample(program, begun):
    cost = program.cost()
    up, minute = time.monotonic() - program.started, (time.monotonic() - begun) / 60
    hot = metric("litestream_fleet_open_databases")
    row = (minute, up / 60, cost["resident"], cost["peak"], cost["files"], hot or 0, os.getloadavg()[0])
    print("  minute {:5.1f}  up {:5.1f}  {:6.1f} MB  peak {:6.1f}  {:5d} files  {:4.0f} open  load {:.1f}".format(*row), flush=True)
    return row


def print_series(series):
    print("\n  minute, minutes up, resident MB, open files")
    for minute, up, resident, _, files, _, _ in series:
        print(f"  {minute:6.1f} {up:6.1f} {resident:8.1f} {files:6d}")


def read_ledgers(program):
    """What was acknowledged: the highest row of each life, its end if it had one, and since when it stood at which path."""
    rows, ends, stood, operations, longest = {}, {}, {}, Counter(), 0.0
    for ledger in program.root.glob("ledger.*"):
        for line in ledger.read_text().splitlines():
            entry = json.loads(line)
            operations[entry.get("how", entry["what"])] += 1
            if entry["what"] == "commit":
                rows[entry["life"]] = max(entry["id"], rows.get(entry["life"], 0))
                stood.setdefault((entry["path"], entry["life"]), entry["at"])
            elif entry["what"] == "move":
                stood.setdefault((entry["to"], entry["life"]), entry["at"])
            elif entry["what"] == "end":
                ends[entry["life"]] = entry
            elif entry["what"] == "wait":
                longest = max(longest, entry["longest"])
    return rows, ends, stood, operations, longest


def audit(program, options, results):
    rows, ends, stood, operations, longest = read_ledgers(program)
    for what, count in sorted(operations.items()):
        results[f"ledger: {what}"] = count
    results["longest checkpoint of an application s"] = longest
    output = Path(tempfile.mkdtemp(dir=program.root))
    try:
        outcome = program.restore_all(output)
        wrong = [] if outcome.returncode == 0 else [f"restore -dir: {outcome.stderr.strip()[-800:]}"]
        wrong += audit_living(program, output, rows, ends, results)
        wrong += audit_dead(program, output, rows, ends, stood, results)
        wrong += audit_past(program, ends, stood, options, results)
    finally:
        shutil.rmtree(output, ignore_errors=True)
    return wrong


def audit_living(program, output, rows, ends, results):
    """Each database that stands is restored to what it is; no acknowledged life is missing."""
    wrong, seen = [], set()
    living = sorted(program.data.rglob("*.db"))
    for path in living:
        try:
            _, last, lives = content(path)
        except sqlite3.Error as error:
            # An application that was killed in the middle of making it: there was no commit.
            if "no such table" not in str(error):
                wrong.append(f"{path}: {error}")
            continue
        seen |= lives
        acknowledged = max((rows.get(life, 0) for life in lives), default=0)
        reason = difference(path, output / path.relative_to(program.data), acknowledged)
        wrong += [f"{path}: {reason}"] if reason else []
        wrong += [f"{path}: lives are mixed: {lives}"] if len(lives) != 1 else []
    missing = [life for life in rows if life not in seen and life not in ends]
    wrong += [f"the harness lost life {life}" for life in missing]
    results["living databases compared"] = len(living)
    results["of these wrong"] = len(wrong)
    return wrong


def audit_dead(program, output, rows, ends, stood, results):
    """A deleted database's last state is on the replica, unless another one stood at its path later."""
    wrong, checked = [], 0
    newest, last_stood = {}, {}
    for (path, _), at in stood.items():
        last_stood[path] = max(at, last_stood.get(path, 0))
    for life, end in ends.items():
        if end["path"] not in newest or newest[end["path"]][1]["at"] < end["at"]:
            newest[end["path"]] = (life, end)
    for path, (life, end) in newest.items():
        if end["how"] != "deleted" or Path(path).exists() or last_stood.get(path, 0) > end["at"]:
            continue
        restored = output / Path(path).relative_to(program.data)
        checked += 1
        if not restored.exists():
            wrong.append(f"{path}: deleted, and not on the replica")
            continue
        try:
            _, last, lives = content(restored)
        except sqlite3.Error as error:
            wrong.append(f"{path}: deleted, and not restored: {error}")
            continue
        if lives != {life} or last < rows.get(life, 0):
            wrong.append(f"{path}: deleted at {rows.get(life, 0)} of {life}, restored up to {last} of {lives}")
    results["deleted databases compared"], results["of these wrong "] = checked, len(wrong)
    return wrong


def audit_past(program, ends, stood, options, results):
    """A restore to the moment before a tenant was replaced gives rows of one life only, and of none that came later."""
    wrong, checked, absent = [], 0, 0
    replaced = [(life, end) for life, end in ends.items() if Path(end["path"]).exists()]
    with tempfile.TemporaryDirectory(dir=program.root) as directory:
        chosen = random.Random(5).sample(replaced, min(options.past, len(replaced)))
        for number, (life, end) in enumerate(chosen):
            restored = Path(directory) / f"{number}.db"
            at = datetime.fromtimestamp(end["at"], timezone.utc).isoformat().replace("+00:00", "Z")
            url = program.replica / Path(end["path"]).relative_to(program.data)
            outcome = program.restore(restored, url, "-timestamp", at)
            if outcome.returncode != 0:
                absent += 1
                continue
            checked += 1
            _, _, lives = content(restored)
            since = max(stood.get((end["path"], each), float("inf")) for each in lives or {None})
            if len(lives) != 1 or since > end["at"]:
                wrong.append(f"{end['path']} before {at}: {lives} instead of {life}")
    results["restores to before a replacement"] = checked
    results["moments that the replica does not reach back to"] = absent
    results["of these mixed"] = len(wrong)
    return wrong
