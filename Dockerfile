# The service's image: the locked packages and our three, nothing to build or write at run time.
FROM python:3.11-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY predictor /opt/app/predictor
COPY models /opt/app/models
COPY streams /opt/app/streams
# Compiled here: the root filesystem is read-only later. The hash check needs no timestamps.
RUN /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      /opt/venv/lib /opt/app \
 && /opt/venv/bin/pip uninstall --yes --quiet pip

FROM python:3.11-slim
LABEL org.opencontainers.image.title="mplp-predictor" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /opt/app /opt/app
# `docker build --build-arg REVISION=$(git rev-parse HEAD)`: a model says what trained it.
ARG REVISION=
ENV MPLP_PREDICTOR_REVISION=$REVISION
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
# Not `faust -A`: our own entry decides what is started.
ENTRYPOINT ["python", "-m", "predictor.cli"]
CMD ["run"]
