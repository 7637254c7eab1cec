# syntax=docker/dockerfile:1
# Two images: `docker build --target gpu` for production on NVIDIA GPUs, `docker build --target cpu` for everything else.
#   docker run --gpus all --shm-size=512m --ulimit nofile=65536 -p 127.0.0.1:8001:8001 -p 127.0.0.1:8002:8002 tritone:gpu
# They listen everywhere inside the container and need `-p` to be reached; keys, TLS, a read-only root and no capabilities:
# deploy/compose.yaml, deploy/kubernetes/.
ARG TRITON_TAG=25.11-py3
ARG PYTHON_TAG=3.11-slim-bookworm

FROM python:${PYTHON_TAG} AS wheel
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY acoustic acoustic
COPY backend backend
COPY bench bench
COPY client client
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir dist .

# ONNX Runtime and the tritonserver of the nvidia-pytriton wheel.
FROM python:${PYTHON_TAG} AS cpu
RUN python -m venv /opt/tritone
ENV PATH=/opt/tritone/bin:$PATH
WORKDIR /build
COPY --from=wheel /build/dist dist
RUN python -m pip install --no-cache-dir "$(echo dist/*.whl)[server]" && rm -r dist
COPY models /opt/tritone/models
RUN useradd --uid 10001 --create-home tritone
USER 10001
WORKDIR /home/tritone
ENV TRITONE_MODELS=/opt/tritone/models PYTHONUNBUFFERED=1
EXPOSE 8001 8002
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "tritone_backend.serve.healthcheck", "127.0.0.1:8001"]
ENTRYPOINT ["tritone"]
CMD ["serve", "--host", "0.0.0.0", "--metrics-host", "0.0.0.0"]

# NVIDIA's own tritonserver with every engine. The environment is made of the container's Python: its stub runs that one.
FROM nvcr.io/nvidia/tritonserver:${TRITON_TAG} AS gpu
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/tritone
ENV PATH=/opt/tritone/bin:$PATH
WORKDIR /build
COPY --from=wheel /build/dist dist
RUN python -m pip install --no-cache-dir "$(echo dist/*.whl)[onnxruntime,tensorrt,torch,tls,language]" "numpy<2" && rm -r dist
COPY models /opt/tritone/models
RUN useradd --uid 10001 --create-home tritone
USER 10001
WORKDIR /home/tritone
ENV TRITONE_MODELS=/opt/tritone/models PYTHONUNBUFFERED=1
EXPOSE 8001 8002
# The first start builds engines for this GPU, which takes minutes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=900s --retries=3 \
    CMD ["python", "-m", "tritone_backend.serve.healthcheck", "127.0.0.1:8001"]
ENTRYPOINT ["tritone"]
CMD ["serve", "--host", "0.0.0.0", "--metrics-host", "0.0.0.0", "--max-streams", "4096"]
