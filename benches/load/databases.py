"""Databases of one table, whose rows say which life of a path they belong to, and the comparison of two of them."""

import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

TABLE = "CREATE TABLE item (id INTEGER PRIMARY KEY, life TEXT, data BLOB)"
INSERT = "INSERT INTO item (life, data) VALUES (?, randomblob(?))"


def connect(path, create=False):
    """An application's connection. An existing file only, unless it is to be made: a writer must not bring back a file."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"file:{path}?mode={mode}", uri=True, isolation_level=None, timeout=60, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = normal")
    return connection


def create(path, life, row_bytes=100):
    connection = connect(path, create=True)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("BEGIN")
    connection.execute(TABLE)
    connection.execute(INSERT, (life, row_bytes))
    connection.execute("COMMIT")
    return connection


def make_many(root, number, layout, kilobytes):
    """Copies of one closed database. Their paths below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    template = root.parent / "template.db"
    connection = create(template, "template", 3000)
    while os.path.getsize(template) + os.path.getsize(f"{template}-wal") < kilobytes * 1024:
        connection.execute(INSERT, ("template", 3000))
    connection.close()
    content, names = template.read_bytes(), []
    for index in range(number):
        name = Path(f"{index:06d}.db") if layout == "flat" else Path(f"{index % 100:02d}/{index:06d}/app.db")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        names.append(name)
    return names


def content(path):
    """A hash of all rows, the highest id, and the lives they belong to."""
    connection = sqlite3.connect(path, timeout=60)
    try:
        digest, last, lives = hashlib.sha1(), 0, set()
        for identity, life, data in connection.execute("SELECT id, life, data FROM item ORDER BY id"):
            digest.update(f"{identity} {life} ".encode() + data)
            last = identity
            lives.add(life)
        return digest.hexdigest(), last, lives
    finally:
        connection.close()


def compare(program, names, acknowledged, sample=None):
    """Restores databases and compares each with the live one. `acknowledged`: the highest id told to a writer, by index."""
    chosen = list(range(len(names))) if sample is None else sorted(random.Random(3).sample(range(len(names)), sample))
    output = Path(tempfile.mkdtemp(dir=program.root))
    wrong = []
    try:
        result = program.restore_all(output) if sample is None else None
        if result is not None and result.returncode != 0:
            wrong.append(f"restore -dir: {result.stderr.strip()[-500:]}")
        for index in chosen:
            restored = output / names[index]
            if sample is not None:
                restored.parent.mkdir(parents=True, exist_ok=True)
                program.restore(restored, program.replica / names[index])
            reason = difference(program.data / names[index], restored, acknowledged.get(index, 0))
            if reason:
                wrong.append(f"{names[index]}: {reason}")
    finally:
        shutil.rmtree(output, ignore_errors=True)
    return len(chosen), wrong


def difference(live, restored, acknowledged):
    """Why the restored database is not the live one, or the live one not what its writer was told; else `None`."""
    if not restored.exists():
        return "not restored"
    try:
        ours, theirs = content(restored), content(live)
    except sqlite3.Error as error:
        return f"cannot be read: {error}"
    if theirs[1] < acknowledged:
        return f"the live database ends at {theirs[1]}, and {acknowledged} was acknowledged"
    return None if ours == theirs else f"restored up to {ours[1]} of {ours[2]}, live up to {theirs[1]} of {theirs[2]}"
