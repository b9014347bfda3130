#!/usr/bin/env bash
# From a clone to a restored database: builds the program, then runs examples/directory, which replicates a tree of a
# hundred databases, loses one, and brings it back. Needs Rust and a C compiler; leaves nothing behind but `target`.
set -euo pipefail
cd "$(dirname "$0")/.."

# The development profile: half a minute earlier than a release build, and fast enough to look at.
cargo build --quiet -p litestream-core -p litestream-plugin-file --bin litestream-rs --lib
cargo build --quiet -p litestream-core --example sql
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

# As an installation: a program, its plugins beside it, and nobody else who may write there.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
install -m 755 "$target/litestream-rs" "$target"/liblitestream_plugin_file.so "$bin"
install -m 755 "$target/examples/sql" "$bin/sql"
PATH=$bin:$PATH examples/directory/run.sh
