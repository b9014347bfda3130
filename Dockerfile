# litestream-rs with its plugins. Build (with BuildKit): docker build -t litestream-rs .
#
# Run, with databases in /data and the configuration at its usual place; databases must be writable, their local state
# lies beside them. The stop timeout is longer than shutdown-sync-timeout, or the last uploads are cut off:
#   docker run --stop-timeout 90 -v /srv/tenants:/data -v ./litestream.yml:/etc/litestream.yml:ro \
#       -v litestream-rs:/var/lib/litestream-rs litestream-rs

# Both stages are the same Debian: what is built on one needs its glibc.
FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --workspace && \
    mkdir -p /out/lib/litestream-rs/plugins /out/bin && \
    cp target/release/litestream-rs /out/bin/ && \
    cp target/release/liblitestream_plugin_*.so /out/lib/litestream-rs/plugins/

FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/
COPY config/litestream.yml /etc/litestream.yml
# Keep it over a restart: registrations through the control socket, and the ledger of what is on each replica. Without
# the ledger a start lists every replica.
ENV STATE_DIRECTORY=/var/lib/litestream-rs
VOLUME /var/lib/litestream-rs
# Metrics and the status page, with addr: ":9090".
EXPOSE 9090
ENTRYPOINT ["litestream-rs"]
CMD ["replicate"]
# The exit code is 0 after a clean end and 1 after any error; SIGTERM gives every database a last sync first.
STOPSIGNAL SIGTERM
