# VidProd on Debian's own Python 3.11: `docker build -t vidprod .`, then
# `docker run -p 8000:8000 -v vidprod:/data -e VIDPROD_PUBLIC_URL=https://video.example vidprod`.
# `python -m tests.deploy.image` runs these very steps in a debootstrap of the same base, where no container engine is.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
WORKDIR /src
COPY requirements.lock ./
RUN python3 -m venv /opt/vidprod \
    && /opt/vidprod/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY vidprod ./vidprod
COPY static ./static
# What only builds stays behind: who breaks into the daemon finds no installer.
RUN /opt/vidprod/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/vidprod/bin/pip uninstall -y hatchling pathspec pluggy trove-classifiers setuptools pip

FROM base
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin vidprod \
    && install -d -o vidprod -g vidprod -m 0700 /data
# A volume that is mounted for the first time belongs to root; the daemon never runs as root.
COPY --chmod=755 <<'SH' /usr/local/bin/as-vidprod
#!/bin/sh
set -eu
[ "$(id -u)" = 0 ] || exec "$@"
[ "$(stat -c %u /data)" = 10001 ] || chown vidprod:vidprod /data
exec setpriv --reuid=vidprod --regid=vidprod --clear-groups --no-new-privs --bounding-set=-all -- "$@"
SH
COPY --from=build /opt/vidprod /opt/vidprod
ENV PATH=/opt/vidprod/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    VIDPROD_DATA_DIR=/data \
    VIDPROD_HOST=0.0.0.0 \
    VIDPROD_LOG_FORMAT=json
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["tini", "--", "as-vidprod"]
CMD ["vidprod", "serve"]
