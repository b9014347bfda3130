#!/usr/bin/env bash
# Fetches the databases of tests/real_databases.rs: files that other projects ship inside their packages. They go to a
# cache outside the clone; nothing of them is part of this repository. Prints the directory they are in.
#
#   proj.db               the coordinate systems of PROJ, from the PyPI package pyproj (MIT, X/MIT)
#   latex.db              input tables of ibus-table, from the Debian package ibus-table-latex (GPL-3+)
#   mathwriter-ibus.db    the same package
set -euo pipefail

samples=${LITESTREAM_TEST_SAMPLES:-${XDG_CACHE_HOME:-$HOME/.cache}/litestream-rs/samples}
mkdir -p "$samples"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

if [ ! -s "$samples/proj.db" ]; then
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: 'pyproj>=3.6,<4' >&2
    python3 - pyproj-*.whl <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(name for name in wheel.namelist() if name.endswith("/proj.db"))
    open("proj.db", "wb").write(wheel.read(name))
PYTHON
    mv proj.db "$samples/proj.db"
fi

if [ ! -s "$samples/latex.db" ] || [ ! -s "$samples/mathwriter-ibus.db" ]; then
    # Without its own user: that one may not write here.
    apt-get -o APT::Sandbox::User=root download -qq ibus-table-latex >&2
    dpkg-deb --extract ibus-table-latex_*.deb .
    mv usr/share/ibus-table/tables/{latex,mathwriter-ibus}.db "$samples/"
fi

echo "$samples"
