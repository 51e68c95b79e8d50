"""Steps as Kubernetes Jobs, and `KubernetesJobTask` for tasks that describe a Job of their own.

A drop-in: write `from tac.kubernetes import KubernetesJobTask` in the place of
`from luigi.contrib.kubernetes import KubernetesJobTask`. Luigi is imported with the class, not
before; all requests to the API server go through `client/`.
"""

from typing import TYPE_CHECKING

__all__ = ["KubernetesJobTask"]

if TYPE_CHECKING:
    from tac.kubernetes.job_task import KubernetesJobTask
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tac.kubernetes.job_task import KubernetesJobTask

        return KubernetesJobTask

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
