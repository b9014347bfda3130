"""The program under load: started, stopped, killed, and asked what it costs."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

from scale import ADDRESS, cost, metric


class Program:
    """litestream-rs over `root`/data, to a file replica in `root`/replica, at default settings."""

    def __init__(self, binary, root, files):
        self.binary, self.root, self.files = binary, Path(root), files
        self.data, self.replica, self.log = self.root / "data", self.root / "replica", self.root / "log"
        self.process, self.started = None, 0.0
        (self.root / "litestream.yml").write_text(
            f"addr: '{ADDRESS}'\ndbs:\n  - dir: {self.data}\n    pattern: '*.db'\n    recursive: true\n    watch: true\n"
            f"    replica:\n      type: file\n      path: {self.replica}\n"
        )

    def start(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

        with open(self.log, "ab") as log:
            command = [self.binary, "replicate", "-config", self.root / "litestream.yml"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=limit)
        self.started = time.monotonic()

    def stop(self, number=signal.SIGTERM, patience=300):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def cost(self):
        return cost(self.process.pid)

    def deleted_files(self):
        """Open files that no directory holds any more."""
        links = []
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(entry.path))
        return [link for link in links if link.endswith(" (deleted)") and not link.startswith(("/memfd:", "/tmp/#"))]

    def said(self, text):
        """How often a text is in the log."""
        return self.log.read_bytes().count(text.encode()) if self.log.exists() else 0

    def at_rest(self, seconds, limit):
        """Waits until no database is open for `seconds`: each is uploaded then. False if `limit` passes before.

        Work on levels goes on for an hour, a few files at a time.
        """
        end, since = time.monotonic() + limit, time.monotonic()
        while time.monotonic() < end:
            if metric("litestream_fleet_open_databases") != 0:
                since = time.monotonic()
            elif time.monotonic() - since >= seconds:
                return True
            time.sleep(0.2)
        return False

    def restore(self, output, url, *flags):
        command = [self.binary, "restore", *flags, "-o", output, f"file://{url}"]
        return subprocess.run(command, capture_output=True, text=True)

    def restore_all(self, output):
        """Every database of the replica."""
        return self.restore(output, self.replica, "-dir")
