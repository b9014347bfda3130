#!/usr/bin/env python3
"""Very many databases under load, and an audit of everything that was acknowledged to their writers.

    cargo build --release && cargo build --release -p litestream-core --example writer
    benches/soak.py lag --databases 100000 --directory /dev/shm         1 % written each second: commit to replica
    benches/soak.py cold                                                open, write a row, close, over cold databases
    benches/soak.py burst                                               20,000 creations while the kernel drops events
    benches/soak.py soak --minutes 30                                   2,000 tenants that come, go, move; kill -9

Writers keep a ledger of what was acknowledged to them. At the end all databases (of `lag`: a sample) are restored from
the replica and compared. Exits with 1 if anything is lost, mixed or left open. Times are this machine's.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from load.burst import burst
from load.endurance import soak
from load.program import Program
from load.steady import cold, lag

HERE = Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, databases, **more):
        sub = commands.add_parser(name)
        sub.set_defaults(run=run)
        sub.add_argument("--ours", default=HERE.parent / "target/release/litestream-rs")
        sub.add_argument("--databases", type=int, default=databases)
        sub.add_argument("--writers", type=int, default=2, help="processes that write")
        sub.add_argument("--open-files", type=int, default=20000, help="limit of open files of the program")
        sub.add_argument("--limit", type=float, default=1800, help="seconds after which a first sync is given up")
        sub.add_argument("--settle", type=float, default=180, help="longest wait for the program to come to rest")
        sub.add_argument("--directory", help="where to work")
        sub.add_argument("--keep-log", help="where to copy the program's log")
        for flag, value in more.items():
            sub.add_argument(f"--{flag.replace('_', '-')}", type=type(value), default=value)
        return sub

    command("lag", lag, 10000, layout="flat", kilobytes=8, active=0.01, seconds=60.0, hold=2.0, sample=500)
    command("cold", cold, 10000, layout="flat", kilobytes=80, turns=5, rate=500.0)
    command("burst", burst, 20000, queue=64)
    command("soak", soak, 2000, minutes=30.0, rate=200.0, kill_every=120.0, seed=1, samples=30, past=200, rest=15.0)
    return parser.parse_args()


def main():
    options, results, wrong = arguments(), {}, []
    root = Path(tempfile.mkdtemp(prefix="litestream-soak-", dir=options.directory))
    program = Program(options.ours, root, options.open_files)
    # Whoever ends us early must find the machine as it was, with its limits.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        wrong = options.run(program, options, results)
    finally:
        program.stop(patience=60)
        if options.keep_log and program.log.exists():
            with contextlib.suppress(OSError):
                shutil.copy(program.log, options.keep_log)
        if not wrong:
            shutil.rmtree(root, ignore_errors=True)
    print(f"\n{options.command}, {options.databases} databases, {os.cpu_count()} cores")
    for key, value in results.items():
        print(f"  {key:52}{value:14.3f}" if isinstance(value, float) else f"  {key:52}{value:14}")
    for line in wrong[:50]:
        print(f"  WRONG: {line}")
    if root.exists():
        print(f"  left to be looked at: {root}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
