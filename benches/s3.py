#!/usr/bin/env python3
"""Measures two Litestream-compatible programs in turn against one S3 server, and prints medians and their ratio.

    cargo build --release -p litestream-core -p litestream-plugin-s3
    benches/s3.py --reference "$(command -v litestream)"

One database of --mib MiB, half of it incompressible, is replicated once to a fresh place in SeaweedFS (`weed`, as
scripts/install-test-servers.sh installs it) and restored from there. Every round runs both programs, in alternating order.
Only the ratio means something on another machine.
"""

import argparse
import contextlib
import http.client
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEY, SECRET, BUCKET = "bench-key", "bench-secret", "bench"


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def bucket_is_made(filer):
    """A directory of the filer is a bucket; its first object makes the volumes behind it, which may take seconds."""
    try:
        for method, name in [("POST", ""), ("PUT", "probe")]:
            connection = http.client.HTTPConnection("127.0.0.1", filer, timeout=20)
            connection.request(method, f"/buckets/{BUCKET}/{name}", body=b"x" if name else b"")
            if connection.getresponse().status not in (200, 201, 409):  # 409: there since the attempt before
                return False
        return True
    except OSError:
        return False


@contextlib.contextmanager
def seaweed(program, root):
    identity = f'{{"name":"b","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin"]}}'
    (root / "s3.json").write_text(f'{{"identities":[{identity}]}}')
    names = ["s3.port", "filer.port", "master.port", "volume.port"]
    names += [f"{name}.grpc" for name in names]
    ports = dict(zip(names, free_ports(len(names))))
    command = [program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=100"]
    command += [f"-dir={root}", f"-s3.config={root / 's3.json'}", "-master.volumeSizeLimitMB=64"]
    command += ["-master.volumePreallocate=false", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += [f"-{part}.localSocket={root / part}.sock" for part in ("s3", "filer")]
    with open(root / "weed.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=root)
    try:
        end = time.monotonic() + 60
        while not bucket_is_made(ports["filer.port"]):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError((root / "weed.log").read_text()[-3000:])
            time.sleep(0.2)
        yield f"http://127.0.0.1:{ports['s3.port']}"
    finally:
        server.kill()
        server.wait()


def make_database(path, mib):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, noise BLOB, text BLOB)")
    for _ in range(mib):
        rows = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 256)"
        connection.execute(f"{rows} INSERT INTO item (noise, text) SELECT randomblob(1990), zeroblob(1990) FROM s")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def run(command, environment):
    """Runs to the end; seconds."""
    begin = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return seconds


def content(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        sums = "count(*), sum(length(noise)), min(noise), max(noise)"
        return connection.execute(f"SELECT {sums}, (SELECT noise FROM item WHERE id = 77) FROM item").fetchall()


def measure(program, endpoint, root, place, database):
    """MB/s of one upload and one restore."""
    replica = f"type: s3, endpoint: '{endpoint}', bucket: {BUCKET}, path: {place}, region: us-east-1"
    config = root / f"{place}.yml"
    config.write_text(f"dbs:\n  - path: {database}\n    meta-path: {root / place}.state\n"
                      f"    replica: {{ {replica}, force-path-style: true }}\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "NO_PROXY": "127.0.0.1",
                   "LITESTREAM_ACCESS_KEY_ID": KEY, "LITESTREAM_SECRET_ACCESS_KEY": SECRET}
    megabytes = os.path.getsize(database) / 1e6
    upload = run([program, "replicate", "-once", "-config", config], environment)
    output = root / f"{place}.db"
    download = run([program, "restore", "-o", output, "-config", config, database], environment)
    is_same = content(output) == content(database)
    output.unlink()
    if not is_same:
        raise RuntimeError(f"{program} restored something else")
    return megabytes / upload, megabytes / download


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=HERE.parent / "target/release/litestream-rs")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--weed", default=Path.home() / ".cache/litestream-rs/servers/bin/weed")
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    programs = {"litestream-rs": args.program, "reference": args.reference}
    found = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        databases = {name: root / f"{name}.db" for name in programs}
        make_database(databases["litestream-rs"], args.mib)
        shutil.copy(databases["litestream-rs"], databases["reference"])
        with seaweed(args.weed, root) as endpoint:
            for number in range(args.rounds):
                order = list(programs.items())[:: 1 if number % 2 == 0 else -1]
                for name, program in order:
                    found[name].append(measure(program, endpoint, root, f"{name}-{number}", databases[name]))
                    print(number, name, *(f"{speed:.0f}" for speed in found[name][-1]), flush=True)
    for at, what in enumerate(("upload", "restore")):
        ours, theirs = (statistics.median(speeds[at] for speeds in found[name]) for name in programs)
        print(f"{what}: {ours:.0f} MB/s, reference {theirs:.0f} MB/s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
