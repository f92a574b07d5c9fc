# The command `sgc` on a CPU:
#   docker build -t sgc .
#   docker run --rm -v "$PWD:/pictures" sgc compress photo.jpg
# Where pip's main index has torch with CUDA, name the index of its CPU wheels, which spares 4 GB:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=… -t sgc .
FROM python:3.12-slim AS build
ARG PIP_EXTRA_INDEX_URL
WORKDIR /source
COPY . .
RUN python -m venv /opt/sgc && /opt/sgc/bin/pip install --no-cache-dir '.[torch,crypto,formats,pinned]'

FROM python:3.12-slim
COPY --from=build /opt/sgc /opt/sgc
ENV PATH=/opt/sgc/bin:$PATH HF_HOME=/cache
RUN useradd --create-home --uid 1000 sgc && mkdir /cache /pictures && chown sgc /cache /pictures
USER 1000
WORKDIR /pictures
ENTRYPOINT ["sgc"]
CMD ["--help"]
