FROM rust:1.95-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A C compiler is all that aws-lc-sys and jemalloc ask for.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin anteport

# glibc and the certificates of authorities; user 65532 owns nothing.
FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/anteport /usr/local/bin/anteport
COPY LICENSE /usr/share/doc/anteport/LICENSE
USER 65532:65532
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/anteport", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/anteport"]
CMD ["run", "--config", "/etc/anteport/config.yaml"]
