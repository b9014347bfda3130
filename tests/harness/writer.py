# The child's side of harness/application.rs and harness/ledger.rs on the machine's own SQLite.
# Same line protocol and same ledger as writer_child.rs.
import json, os, select, sqlite3, sys

db = sqlite3.connect(os.environ["LITESTREAM_TEST_DATABASE"], isolation_level=None, timeout=30)


def say(line):
    sys.stdout.write("@" + line + "\n")
    sys.stdout.flush()


def show(value):
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def serve():
    for line in sys.stdin:
        try:
            rows = db.execute(json.loads(line)["sql"]).fetchall()
            say(json.dumps({"rows": "\n".join("|".join(map(show, row)) for row in rows)}))
        except sqlite3.Error as error:
            say(json.dumps({"error": str(error)}))


def load(writer):
    db.executescript(
        "CREATE TABLE IF NOT EXISTS ledger(writer TEXT, seq INTEGER, payload BLOB, PRIMARY KEY(writer, seq));"
        "CREATE TABLE IF NOT EXISTS ledger_head(writer TEXT PRIMARY KEY, seq INTEGER);"
        "CREATE TABLE IF NOT EXISTS ledger_bulk(seq INTEGER, payload BLOB);"
    )
    row = db.execute("SELECT seq FROM ledger_head WHERE writer = ?", (writer,)).fetchone()
    seq = row[0] if row else 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        seq += 1
        payload = bytes((seq * 31 + i) % 251 for i in range(40 + seq % 900))
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO ledger VALUES (?, ?, ?)", (writer, seq, payload))
        db.execute("INSERT OR REPLACE INTO ledger_head VALUES (?, ?)", (writer, seq))
        db.execute("COMMIT")
        say(str(seq))


writer = os.environ.get("LITESTREAM_TEST_LOAD")
load(writer) if writer else serve()
db.close()
