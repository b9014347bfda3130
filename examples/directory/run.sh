#!/usr/bin/env bash
# A hundred tenants, each with a database; all replicated by one entry of the configuration; one lost and restored.
# Wants litestream-rs (with its file plugin) and sqlite3, or the example `sql`, on PATH. scripts/demo.sh builds them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

DEMO=$(mktemp -d)
export DEMO LITESTREAM_CONFIG=$here/litestream.yml
daemon=
cleanup() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
    rm -rf "$DEMO"
}
trap cleanup EXIT

say() { printf '\n# %s\n' "$*"; }
show() { # prints a command and runs it
    echo "\$ $*" | sed "s|$DEMO|\$DEMO|g; s|$here/||g"
    "$@" | sed "s|$DEMO|\$DEMO|g"
}
sql() { if command -v sqlite3 >/dev/null; then sqlite3 "$1" "$2"; else command sql "$1" "$2"; fi; }
wait_for() { # wait_for SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "gave up waiting for: $*" >&2; exit 1; }
        sleep 0.1
    done
}
replicas() { find "$DEMO/backups" -path '*/ltx/0/*.ltx' 2>/dev/null | sed 's|/ltx/0/.*||' | sort -u | wc -l; }

say "A hundred tenants in ten regions"
for number in $(seq -w 0 99); do
    mkdir -p "$DEMO/tenants/region-${number%?}"
    sql "$DEMO/tenants/region-${number%?}/tenant-$number.db" "
        PRAGMA journal_mode = wal;
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER);
        INSERT INTO orders (customer, cents) VALUES ('customer of $number', ${number#0} * 100), ('another', 995);" >/dev/null
done
show ls "$DEMO/tenants"

say "One process replicates them all"
show cat "$here/litestream.yml"
echo '$ litestream-rs replicate &'
litestream-rs replicate >"$DEMO/log" 2>&1 &
daemon=$!
all_replicated() { kill -0 "$daemon" && [ "$(replicas)" -ge "$1" ]; }
wait_for 60 all_replicated 100
show litestream-rs info -socket "$DEMO/control.sock"

say "Business goes on, and a new tenant arrives"
lost=$DEMO/tenants/region-4/tenant-42.db
sql "$lost" "INSERT INTO orders (customer, cents) VALUES ('the last customer before the accident', 4200)"
sql "$DEMO/tenants/region-4/newcomer.db" "PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER PRIMARY KEY)" >/dev/null
wait_for 60 all_replicated 101
show litestream-rs sync -wait -socket "$DEMO/control.sock" "$lost"
sql "$lost" "SELECT * FROM orders" >"$DEMO/before"

say "The accident"
show rm -f "$lost" "$lost-wal" "$lost-shm"

say "What the replica holds of it, and the restore"
show litestream-rs ltx "file://$DEMO/backups/region-4/tenant-42.db"
show litestream-rs restore -o "$DEMO/restored.db" -integrity-check full "file://$DEMO/backups/region-4/tenant-42.db"
sql "$DEMO/restored.db" "SELECT * FROM orders" >"$DEMO/after"
show cat "$DEMO/after"
cmp "$DEMO/before" "$DEMO/after"
say "Restored, and equal to the database that was lost."
