"""What importing tac.kubernetes loads: nothing, before the class in it is used."""

import subprocess
import sys

LOADED = "print(sorted({'luigi', 'pykube'} & set(sys.modules)))"


def loaded_by(code: str) -> str:
    """Say which libraries are loaded in a new process after this."""
    command = [sys.executable, "-c", f"import sys; {code}; {LOADED}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_package_alone_loads_neither_luigi_nor_a_client():
    assert loaded_by("import tac.kubernetes; dir(tac.kubernetes)") == "[]\n"


def test_steps_that_run_as_jobs_load_no_luigi():
    assert loaded_by("import tac.runners.kubernetes") == "['pykube']\n"


def test_the_class_and_every_task_of_ours_load_no_client():
    assert loaded_by("from tac.kubernetes import KubernetesJobTask") == "['luigi']\n"
    assert loaded_by("import tac.task") == "['luigi']\n"


def test_luigis_own_class_beside_ours_gets_its_client_when_it_uses_it():
    used = "import luigi.contrib.kubernetes as k; k.KubeConfig.from_file; k.Job.objects"

    assert loaded_by(f"import tac.task; {used}") == "['luigi', 'pykube']\n"
