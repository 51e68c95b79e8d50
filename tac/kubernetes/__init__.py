"""Steps as Kubernetes Jobs, and `KubernetesJobTask` for tasks that describe a Job of their own.

A drop-in: write `from tac.kubernetes import KubernetesJobTask` in the place of
`from luigi.contrib.kubernetes import KubernetesJobTask`. Only who asks for it loads Luigi, and only
`client/` speaks to the API server.
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
