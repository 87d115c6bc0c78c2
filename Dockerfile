# syntax=docker/dockerfile:1
# Two images from one file: `--target server` (no torch, ~0.5 GB) and `--target worker`.
FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 1000 segtune && install --directory --owner segtune /data /cache
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY tuner ./tuner
COPY api ./api
COPY workers ./workers
COPY migrations ./migrations

FROM base AS server
RUN pip install --constraint requirements.lock ".[server,kubernetes]"
USER segtune
WORKDIR /data
ENV SEGTUNE_HOME=/data
EXPOSE 8000
CMD ["segtune", "serve", "--host", "0.0.0.0"]

FROM base AS worker
RUN pip install --constraint requirements.lock ".[worker,tiff]"
USER segtune
WORKDIR /data
# Pretrained weights are kept with the decoded data sets.
ENV SEGTUNE_HOME=/data SEGTUNE_CACHE=/cache XDG_CACHE_HOME=/cache
CMD ["segtune", "worker"]
