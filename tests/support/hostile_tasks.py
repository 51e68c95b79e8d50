"""Luigi tasks that say, in every place that is looked at, what a terminal obeys."""

import logging
import threading
import warnings

import luigi

from tac.kubernetes import KubernetesJobTask
from tac.step_task import StepTask
from tac.target import in_store
from tests.support.hostile import HOSTILE


class Says(StepTask):
    """A step that says it all, in every place, and fails."""

    step = "tests.support.hostile"

    def output(self):
        return in_store("says.txt")


class Raises(luigi.Task):
    """Raises it in a thread of the driver, after it has reported it everywhere else."""

    value: str = luigi.Parameter(default="")
    runs_in_thread = True

    def run(self):
        if self.set_status_message is not None and self.set_tracking_url is not None:
            self.set_status_message(HOSTILE * 10_000)
            self.set_tracking_url(f"http://127.0.0.1/{HOSTILE}")
        logging.getLogger("theirs").warning("%s", HOSTILE)
        warnings.warn(HOSTILE, stacklevel=1)
        thread = threading.Thread(target=_raise)
        thread.start()
        thread.join()
        _raise()


class RaisesInProcess(Raises):
    """The same in a process of its own."""

    runs_in_thread = False


class CannotTell(Raises):
    """Raises it when it is asked whether it is complete."""

    def complete(self):
        _raise()


class Job(KubernetesJobTask):
    """A Job on whatever Kubernetes the test made up."""

    name = "job"
    spec_schema = {"containers": [{"name": "a", "image": "a"}]}  # noqa: RUF012 - as Luigi has it


def _raise() -> None:
    raise ValueError(HOSTILE)
