"""What the Docker engine, a registry and the system write, as far as the runner reads it.

Each pattern names the file it was read in, of moby/moby where no other repository is named, and has
a row in tests/unit/kubernetes/diagnosis/test_server_words.py.
"""

import re

NO_CONTAINER = re.compile(r"no such container", re.IGNORECASE)
"""A program or a file that is not there is a 404 too, when a container is started:
daemon/errors.go"""

REGISTRY_UNAUTHORIZED = re.compile(r"unauthorized: |.*\b401 Unauthorized")
"""Comes with a status of 500: distribution/distribution: registry/api/errcode/register.go;
containerd/containerd: core/remotes/docker/resolver.go"""

NO_BIND_SOURCE = re.compile(r"bind source path does not exist")
"""volume/mounts/validate.go"""

LOG_BUFFER_OPTION = re.compile(r"max-buffer-size")
"""daemon/logger/factory.go"""

NO_SPACE = re.compile(r"No space left on device")
"""strerror(ENOSPC), as a step says it last; golang/go: src/syscall/zerrors_linux_amd64.go"""

NO_PROCESS = re.compile(
    r"Resource temporarily unavailable|can't start new thread|pthread_create|Cannot fork"
)
"""strerror(EAGAIN), as fork(2) and clone(2) fail; Python; OpenBLAS and whoever else names the call;
dash. python/cpython: Modules/_threadmodule.c; OpenMathLib/OpenBLAS: driver/others/blas_server.c"""
