"""The pipeline of benchmarks/dag.py on tac's KubernetesJobTask: another import, and `tac run`."""

import luigi

from benchmarks.dag_tasks import JobTask, last_of
from tac.kubernetes import KubernetesJobTask


class NoOp(JobTask, KubernetesJobTask):
    """One Job."""


class NoOps(luigi.WrapperTask):
    """The two at the end, for the command line."""

    def requires(self):
        """Return them."""
        return last_of(NoOp)
