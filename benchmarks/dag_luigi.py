"""The pipeline of benchmarks/dag.py on luigi.contrib.kubernetes, with its defaults."""

import luigi
from luigi.contrib.kubernetes import KubernetesJobTask

from benchmarks.dag_tasks import JobTask, last_of


class NoOp(JobTask, KubernetesJobTask):
    """One Job."""


if __name__ == "__main__":
    done = luigi.build(last_of(NoOp), local_scheduler=True, workers=10, log_level="WARNING")
    raise SystemExit(0 if done else 1)
