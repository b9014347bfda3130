"""One process of applications whose tenants come, go, move and are replaced; for `soak`.

Each process owns a directory, so that nothing but kill -9 ends one of its operations half way. It writes down what was
acknowledged with one `write` call each time, and a process that takes its place goes on from what is on disk.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
import uuid
from collections import OrderedDict

from .databases import INSERT, connect, create

# A tenant is ended only after its last commit, or move, had this time to reach the replica.
QUIET = 5
# And the program was up for this long without a break.
SETTLED = 20
OPEN = 60


class Churn:
    def __init__(self, directory, ledger, number, seed, up_since):
        self.directory, self.number, self.up_since = directory, number, up_since
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.random = random.Random(seed)
        self.connections, self.lives, self.written = OrderedDict(), {}, {}
        self.longest_wait = 0.0
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.rglob("*.new*"):
            left.unlink()
        self.paths = sorted(directory.rglob("*.db"))

    def tell(self, what, path, **more):
        line = json.dumps({"at": time.time(), "what": what, "path": str(path), **more}) + "\n"
        os.write(self.ledger, line.encode())

    # Connections.

    def open(self, path):
        if path not in self.connections:
            self.connections[path] = connect(path)
            while len(self.connections) > OPEN:
                self.close(next(iter(self.connections)))
        self.connections.move_to_end(path)
        return self.connections[path]

    def close(self, path):
        connection = self.connections.pop(path, None)
        if connection is not None:
            connection.close()

    def life(self, path):
        """Which life stands there; `None` for a file that a killed process left without a table."""
        if path not in self.lives:
            try:
                self.lives[path] = self.open(path).execute("SELECT life FROM item LIMIT 1").fetchone()[0]
            except (sqlite3.Error, TypeError):
                self.close(path)
                self.remove_files(path)
                self.paths.remove(path)
                return None
        return self.lives[path]

    # Operations.

    def fresh_path(self):
        sub = f"d{self.random.randrange(8)}"
        return self.directory / sub / f"t{uuid.UUID(int=self.random.getrandbits(128)).hex[:10]}.db"

    def create(self, path=None):
        path = path or self.fresh_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        life = uuid.uuid4().hex
        connection = create(path, life, self.random.choice([50, 2000, 9000]))
        self.tell("commit", path, life=life, id=1)
        self.connections[path], self.lives[path] = connection, life
        self.written[path] = time.monotonic()
        self.paths.append(path)

    def commit(self, path):
        life, connection = self.life(path), self.open(path)
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(self.random.choice([1, 1, 1, 3, 10])):
            row = connection.execute(INSERT, (life, self.random.choice([20, 200, 1000]))).lastrowid
        if self.random.random() < 0.05:
            connection.execute("ROLLBACK")
            return
        connection.execute("COMMIT")
        self.tell("commit", path, life=life, id=row)
        self.written[path] = time.monotonic()

    def shrink(self, path):
        connection = self.open(path)
        # Never the newest row: it is what the ledger speaks of.
        connection.execute("DELETE FROM item WHERE id % 3 = 0 AND id < (SELECT max(id) FROM item)")
        connection.execute("VACUUM")
        self.written[path] = time.monotonic()

    def checkpoint(self, path, mode="PASSIVE"):
        started = time.monotonic()
        busy = self.open(path).execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
        self.longest_wait = max(self.longest_wait, time.monotonic() - started)
        return not busy

    def fold(self, path):
        """Everything into the database file, and closed. False if somebody is in the way for too long."""
        done = any(self.checkpoint(path, "TRUNCATE") for _ in range(3))
        self.close(path)
        return done

    def remove_files(self, path):
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}{end}")

    def may_end(self, path):
        """Whether the program must have its last commit by now."""
        quiet = time.monotonic() - self.written.get(path, time.monotonic()) >= QUIET
        return quiet and self.up_since.value > 0 and time.monotonic() - self.up_since.value >= SETTLED

    def end(self, path, how):
        """Takes a tenant's life: the last moment at which its data may be asked for by time."""
        self.tell("end", path, life=self.life(path), how=how)
        self.close(path)

    def forget(self, path):
        self.paths.remove(path)
        self.lives.pop(path, None)
        self.written.pop(path, None)

    def delete(self, path, again=False):
        if not self.may_end(path):
            return
        self.end(path, "deleted")
        self.remove_files(path)
        self.forget(path)
        if again:
            self.create(path)

    def recreate(self, path):
        self.delete(path, again=True)

    def swap(self, path):
        """Another database takes the place of this one in a single step, as a restore of the application's own would."""
        if not self.may_end(path) or not self.fold(path):
            return
        life, new = uuid.uuid4().hex, path.with_suffix(".new")
        connection = create(new, life, 2000)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self.end(path, "replaced")
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}{end}")
        os.rename(new, path)
        self.tell("commit", path, life=life, id=1)
        self.forget(path)
        self.paths.append(path)
        self.lives[path], self.written[path] = life, time.monotonic()

    def move(self, path):
        to, life = self.fresh_path(), self.life(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        if self.fold(path):
            os.rename(path, to)
            self.remove_files(path)
            self.renamed(path, to)
            self.tell("move", path, life=life, to=str(to))

    def renamed(self, path, to):
        life = self.lives.get(path)
        self.forget(path)
        self.paths.append(to)
        if life:
            self.lives[to] = life
        # Its replica is another one from now on, which has to be made.
        self.written[to] = time.monotonic()

    def move_directory(self, path):
        source = path.parent
        target = self.directory / f"m{self.random.getrandbits(32):08x}"
        if source == self.directory:
            return
        inside = [each for each in self.paths if each.parent == source]
        lives = {each: self.life(each) for each in inside}
        inside = [each for each in inside if lives[each] is not None]
        [self.close(each) for each in inside]
        os.rename(source, target)
        for each in inside:
            self.tell("move", each, life=lives[each], to=str(target / each.name))
            self.renamed(each, target / each.name)

    OPERATIONS = [
        (800, commit),
        (60, lambda self, path: self.close(path)),
        (20, lambda self, path: self.checkpoint(path, "PASSIVE")),
        (20, lambda self, path: self.checkpoint(path, "TRUNCATE")),
        (15, shrink),
        (15, lambda self, path: self.create()),
        (10, delete),
        (15, recreate),
        (15, swap),
        (20, move),
        (1, move_directory),
    ]

    def step(self, tenants):
        if len(self.paths) < tenants:
            return self.create()
        operation = self.random.choices([each for _, each in self.OPERATIONS], [weight for weight, _ in self.OPERATIONS])[0]
        path = self.random.choice(self.paths)
        if self.life(path) is None:
            return None
        started = time.monotonic()
        operation(self, path)
        return time.monotonic() - started


def run(directory, ledger, number, seed, tenants, rate, up_since, ready):
    """Until SIGTERM; the operation under way is finished then."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    churn = Churn(directory, ledger, number, seed, up_since)
    due = time.monotonic()
    while not ended:
        if len(churn.paths) >= tenants - 5:
            ready.value = 1
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + 1 / rate, time.monotonic() - 1)
        churn.step(tenants)
    for path in list(churn.connections):
        churn.close(path)
    churn.tell("wait", directory, longest=churn.longest_wait)
