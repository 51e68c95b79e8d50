"""The pipeline of benchmarks/dag.py as steps of tac, for `tac run --runner kubernetes`.

A step publishes something, and tac looks whether it is there: here the container makes an empty
file, in a folder that the node and the driver have in common.
"""

from pathlib import Path

import luigi

from benchmarks.dag_tasks import Marked, current_workload, last_of
from tac.step_task import StepTask
from tac.target import StoreTarget


class NoOp(Marked, StepTask):
    """One step."""

    step = "noop"

    def output(self):
        """Return the empty file."""
        return StoreTarget(str(Path(current_workload().folder) / "outputs" / self.label))

    def command(self):
        """Return the command that makes it."""
        return (*current_workload().command, self.output().path)

    def run(self):
        """Run the step, and leave a mark as all others do: when the driver knows."""
        super().run()
        (current_workload().marks / self.label).touch()


class NoOps(luigi.WrapperTask):
    """The two at the end, for the command line."""

    def requires(self):
        """Return them."""
        return last_of(NoOp)
