# Build: dependencies in a layer of their own, which changes only with Cargo.toml and Cargo.lock.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src benches/live data \
    && echo '//! Stands in for the library while its dependencies are built.' > src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs benches/live/main.rs > /dev/null \
    && cargo build --profile dist --locked --features tls --bin processor
COPY build.rs ./
COPY ui/dist ui/dist
COPY src src
# The stand-ins are older than the sources only by the clock of the build; `touch` makes sure.
RUN touch src/lib.rs src/main.rs && cargo build --profile dist --locked --features tls --bin processor

# Run: no shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/processor /usr/local/bin/processor
COPY --from=build --chown=nonroot:nonroot /build/data /data
# Metrics, health and the map page must be reachable from outside the container; posts then want OPS_INGEST_TOKEN or, with AUTH, a token of their
# device. Secrets may be mounted as files: AUTH_JWT_SECRET_FILE, OPS_INGEST_TOKEN_FILE.
ENV OPS_HOST=0.0.0.0 WEB_HOST=0.0.0.0 DATABASE_URL=sqlite:///data/positions.db
VOLUME /data
EXPOSE 8080 8081 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/processor", "health"]
ENTRYPOINT ["/usr/local/bin/processor"]
