#!/usr/bin/env bash
# Builds examples/plugin-kv as small as it gets and keeps it as tests/released/plugin-kv.sdk-VERSION.*; VERSION is that of
# the SDK. Run once for each release of the SDK; what is kept is never replaced.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: scripts/keep-plugin.sh VERSION}
kept=tests/released/plugin-kv.sdk-$version.$(uname -m)-linux.so.xz
[ ! -e "$kept" ] || { echo "$kept is there, and stays as it is" >&2; exit 1; }

target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT
flags=(--remap-path-prefix="$PWD=litestream-rs")
for source in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=(--remap-path-prefix="$source=registry")
done
CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
    CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_TARGET_DIR=$target RUSTFLAGS="${flags[*]}" \
    cargo build --release --locked --manifest-path examples/plugin-kv/Cargo.toml
xz -9e --stdout "$target/release/liblitestream_plugin_kv.so" >"$kept"
ls -l "$kept"
