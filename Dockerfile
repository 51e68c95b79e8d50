# One image for every step: `docker build --tag tac .`; docs/docker.md describes it.
#
# Each stage leaves in /out what the last one only copies: nothing that merely built the image is in
# it. The layers depend on the base, requirements.txt and the code alone: files are dated 1980, and
# bytecode is compiled in a fixed order by a process for each package, because what a process
# compiled before shows in the bytes (with Python 3.13 in 2 modules of 1,028).
# Docker writes the files of a layer down folder by folder, but by whole path where the layer below
# was built twice and the engine has started since (docs/docker.md): `tac/x` and
# `tac-0.1.0.dist-info` change places then, and the digest changes. So tac's code and what pip says
# of it are two layers; and the libraries, in whose folder many have such a neighbour, lie directly
# on the base, which is pulled, not built.
ARG BASE=python:3.13-slim

# The libraries of the lock file. A machine whose pip has settings of its own passes them along, and
# they stay nowhere: `docker build --secret id=pip.conf,src=/etc/pip.conf .`
FROM ${BASE} AS installed
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 \
    PIP_CACHE_DIR=/pip-cache PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -m venv /opt/tac
COPY requirements.txt ./
RUN --mount=type=cache,target=/pip-cache --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    /opt/tac/bin/pip install --quiet --no-compile --only-binary :all: --no-deps --require-hashes \
        --requirement requirements.txt \
 && /opt/tac/bin/pip check

# Python's own library, where the base left its bytecode out, as the official images do.
FROM ${BASE} AS python
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
RUN mkdir /out && touch /begin \
 && stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && find "$stdlib" -mindepth 1 -maxdepth 1 ! -name '*-packages' ! -name test ! -name idlelib \
        ! -name lib2to3 ! -name ensurepip ! -name 'config-*' ! -name __pycache__ -print0 \
    | xargs -0 -n 1 -P "$(nproc)" python3 -m compileall -q --invalidation-mode unchecked-hash \
 && find "$stdlib" -name '*.pyc' -newer /begin -exec cp --parents --target-directory /out {} + \
 && find /out -exec touch --no-dereference --date '1980-01-01 UTC' {} +

# The same libraries without what a step never reads, and with their bytecode and Python's.
FROM installed AS libraries
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN mkdir --parents /out/opt && mv /opt/tac /out/opt/ \
 && packages=$(echo /out/opt/tac/lib/python3*/site-packages) \
 && rm -r /out/opt/tac/bin/pip* "$packages"/{pip,setuptools}{,-*} "$packages"/*distutils* \
 && find "$packages" -depth -type d \( -name tests -o -name test \) -exec rm -r {} + \
 && find "$packages" -regextype egrep \
        -regex '.*\.(c|cc|cpp|h|hpp|pyx|pxd|pxi|a|pyc)|.*/botocore/data/.*/examples-1\.json' -delete \
 && find "$packages" -mindepth 1 -maxdepth 1 -print0 \
    | xargs -0 -n 1 -P "$(nproc)" python3 -m compileall -q --invalidation-mode unchecked-hash \
        -s /out \
 && find /out -exec touch --no-dereference --date '1980-01-01 UTC' {} +
COPY --from=python /out/ /out/

# tac itself, and in /about pip's metadata of it: the only layer that a change of the code rebuilds.
FROM installed AS code
COPY setup.py pyproject.toml LICENSE ./
COPY tac tac
RUN /opt/tac/bin/pip install --quiet --no-compile --no-deps --no-build-isolation --no-index \
        --no-warn-script-location --root /out . \
 && python3 -m compileall -q --invalidation-mode unchecked-hash -s /out /out \
 && packages=$(echo /opt/tac/lib/python3*/site-packages) \
 && mkdir --parents "/about$packages" && mv "/out$packages"/tac-*.dist-info "/about$packages" \
 && find /out /about -exec touch --no-dereference --date '1980-01-01 UTC' {} +

FROM ${BASE}
COPY --from=libraries /out/ /
COPY --from=code /out/ /
COPY --from=code /about/ /
ENV PATH=/opt/tac/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
CMD ["tac", "--help"]

ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title=tac \
      org.opencontainers.image.description="Luigi pipelines whose every task is one container" \
      org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.base.name=${BASE}
