# litestream-rs with its plugins. Build: docker build -t litestream-rs .
#
# Run, with databases in /data and the configuration at its usual place; databases must be writable, state lies beside them:
#   docker run -v /srv/tenants:/data -v ./litestream.yml:/etc/litestream.yml:ro -p 9090:9090 litestream-rs

FROM rust:1.95-slim-trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ make cmake libc6-dev && rm -rf /var/lib/apt/lists/*
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
# Where registrations survive a restart; mount a volume here if you register databases at run time.
ENV STATE_DIRECTORY=/var/lib/litestream-rs
VOLUME /var/lib/litestream-rs
EXPOSE 9090
ENTRYPOINT ["litestream-rs"]
CMD ["replicate"]
# The exit code is 0 after a clean end and 1 after any error; SIGTERM gives every database a last sync first.
STOPSIGNAL SIGTERM
