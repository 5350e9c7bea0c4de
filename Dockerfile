# syntax=docker/dockerfile:1
# One build of PyAV against the distribution's FFmpeg, and four thin images on it: `cpu`, `slim`, `intel` and `nvidia` (docs/images.md).
# `docker build --target cpu .`; `make image-check` builds all of them with buildah and uses them.
# `images/` has what the steps run; `--mount` needs BuildKit or buildah.

# A release names the digest, too: --build-arg BASE_IMAGE=debian:forky-slim@sha256:…
# Whatever the base is, all its packages are brought to SNAPSHOT.
ARG BASE_IMAGE=debian:forky-slim
ARG SUITE=forky
ARG ARCHIVE=http://snapshot.debian.org/archive/debian
# No package of Debian or of Python is newer than this.
ARG SNAPSHOT=20261031T000000Z
ARG AV_VERSION=19.0.2

FROM ${BASE_IMAGE} AS base
ARG SUITE
ARG SNAPSHOT
ARG ARCHIVE
RUN --mount=type=bind,source=images,target=/images /images/pin-apt.sh "$SUITE" "$SNAPSHOT" "$ARCHIVE"

FROM base AS compilers
RUN --mount=type=bind,source=images,target=/images /images/install.sh /images/builder.packages

FROM compilers AS av
ARG SNAPSHOT
ARG AV_VERSION
RUN --mount=type=bind,source=images,target=/images /images/build-av.sh "$AV_VERSION" "$SNAPSHOT"
RUN --mount=type=bind,source=images,target=/images /images/take-libvmaf.sh "$SNAPSHOT" /wheels/av.libs

FROM av AS source
ARG SNAPSHOT
COPY pyproject.toml README.md LICENSE /source/
COPY protos /source/protos
COPY client /source/client
COPY server /source/server
RUN --mount=type=bind,source=images,target=/images /images/build-wheel.sh "$SNAPSHOT"

FROM source AS builder
ARG SNAPSHOT
RUN --mount=type=bind,source=images,target=/images /images/build-venv.sh /opt/reelmill /images/requirements.lock "$SNAPSHOT"

FROM source AS slim-builder
ARG SNAPSHOT
RUN --mount=type=bind,source=images,target=/images /images/build-venv.sh /opt/reelmill /images/slim.lock "$SNAPSHOT"

FROM base AS runtime
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
RUN --mount=type=bind,source=images,target=/images /images/install.sh /images/runtime.packages
RUN --mount=type=bind,source=images,target=/images /images/add-user.sh 10001 /data
# All that is written is below /data; a volume or an in-memory file system goes there, and the rest may be read-only.
ENV PATH=/opt/reelmill/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    TMPDIR=/data \
    REELMILL_DATA_DIR=/data \
    REELMILL_FILE_ROOT= \
    REELMILL_LISTEN=0.0.0.0:50051 \
    REELMILL_HTTP_API=0.0.0.0:8080 \
    REELMILL_HTTP=0.0.0.0:9090 \
    REELMILL_SANDBOX=require
LABEL org.opencontainers.image.title=reelmill \
    org.opencontainers.image.description="A gRPC media conversion service" \
    org.opencontainers.image.source=https://github.com/reelmill/reelmill \
    org.opencontainers.image.documentation=https://github.com/reelmill/reelmill/tree/main/docs \
    org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0-or-later" \
    org.opencontainers.image.base.name="$BASE_IMAGE" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
WORKDIR /data
VOLUME /data
EXPOSE 50051 8080 9090
ENTRYPOINT ["reelmill-server"]

FROM runtime AS cpu
COPY --from=builder /opt/reelmill /opt/reelmill
RUN --mount=type=bind,source=images,target=/images /images/write-inventory.sh /opt/reelmill /usr/share/reelmill
USER 10001:10001
CMD ["serve"]

# For the roles of a cluster: without the engine of `serve`, detectors of faces, and RocketMQ.
FROM runtime AS slim
COPY --from=slim-builder /opt/reelmill /opt/reelmill
RUN --mount=type=bind,source=images,target=/images /images/write-inventory.sh /opt/reelmill /usr/share/reelmill
USER 10001:10001
CMD ["worker"]

# The media tests on exactly this build: docker run --rm -v "$PWD":/mnt:ro --tmpfs /data … (docs/images.md)
FROM compilers AS test-tools
RUN --mount=type=bind,source=images,target=/images /images/install-test-tools.sh /opt/test-tools

FROM cpu AS test
COPY --from=test-tools /opt/test-tools /opt/test-tools
ENV PYTHONPATH=/mnt:/opt/test-tools
WORKDIR /mnt
ENTRYPOINT ["python", "-m", "pytest", "-p", "no:cacheprovider"]
CMD ["tests/media", "tests/golden"]

FROM cpu AS intel
USER 0:0
RUN --mount=type=bind,source=images,target=/images /images/install.sh /images/intel.packages
RUN --mount=type=bind,source=images,target=/images /images/write-inventory.sh /opt/reelmill /usr/share/reelmill
USER 10001:10001

# The driver comes from the host, through NVIDIA's container toolkit.
FROM cpu AS nvidia
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
