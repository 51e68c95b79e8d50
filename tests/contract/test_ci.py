""".ci/run with stand-ins for what it calls: in which order, what beside what, and what fails a run.

What the stand-ins stand for has its own tests; here a whole run takes a second.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import runs

REPOSITORY = Path(__file__).parents[2]
# What .ci/run would install.
THERE = ("chromium", "dockerd", "debootstrap", "runc", "openssl", "nsenter", "ss", "iptables-save")
MAKE = """\
#!/usr/bin/env bash
printf 'make %s%s\\n' "${DATE-}${ARGS-}${STORE-}${NODES-}${PYTHON-}" "$*" >>"$RAN"
echo "make $* was here"
[[ -z $FAILS || $* != *$FAILS* ]] || exit 3
[[ -z $STAYS || $* != *$STAYS* ]] || { echo $$ >"$RAN.stays" && exec sleep 100; }
for word in "$@"; do
    [[ $word != STORE=* ]] || install -D /dev/stdin "${word#*=}/report/2023-03-01.html" <<<page
done
echo 'all complete, nothing to do'
[[ " $* " != *' test '* ]] || echo '7 passed in 1.00s'
"""
CHECK = '#!/usr/bin/env bash\necho check.sh >>"$RAN"\n'


@dataclass(frozen=True)
class Machine:
    """A checkout with a commit, and programs that only write down that they were called."""

    folder: Path

    def add(self, path: str, text: str) -> Path:
        """Put a program somewhere."""
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
        return program

    def add_pythons(self, *minors: int) -> list[str]:
        """Let these Pythons start, the oldest first, and return their programs."""
        text = "#!/bin/sh\necho 3.{}\n"
        found = [self.add(f"bin/python3.{minor}", text.format(minor)) for minor in minors]
        lines = (f"echo 3.{minor}.1 {path}\n" for minor, path in zip(minors, found, strict=True))
        self.add("checkout/hack/pythons.sh", f"#!/bin/sh\n{''.join(lines)}")
        return [str(path) for path in found]

    def commit(self) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "x")):
            subprocess.run(["git", *words], cwd=self.folder / "checkout", check=True, timeout=60)

    def start(self, **variables: str) -> "subprocess.Popen[str]":
        """Start .ci/run; `FAILS` is part of a command that fails, `STAYS` of one that goes on."""
        self.commit()
        own = os.environ  # noqa: TID251 # a child's environment
        return subprocess.Popen(
            [str(self.folder / "checkout/.ci/run")],
            env={
                "PATH": f"{self.folder / 'bin'}:{own['PATH']}",
                "HOME": str(self.folder),
                "TAC_KUBERNETES_STATE": str(self.folder / "kubernetes"),
                "RAN": str(self.folder / "ran"),
                "FAILS": "",
                "STAYS": "",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(**variables)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    @property
    def ran(self) -> list[str]:
        """What was called, without the folders of that run."""
        file = self.folder / "ran"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" STORE=")[0].replace(f"{self.folder}/bin/", "") for line in lines]

    def ran_beside(self) -> list[str]:
        return [line for line in self.ran if "-C" in line or "install-test" in line]


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    for name in THERE:
        machine.add(f"bin/{name}", "#!/bin/sh\n")
    machine.add("bin/make", MAKE)
    machine.add("checkout/hack/kubernetes/check.sh", CHECK)
    (tmp_path / "checkout/.ci").mkdir()
    shutil.copy(REPOSITORY / ".ci/run", tmp_path / "checkout/.ci/run")
    return machine


def test_everything_runs_with_the_oldest_and_the_tests_also_with_the_newest(machine):
    oldest, _, newest = machine.add_pythons(11, 12, 13)

    ended = machine.run()

    assert ended.returncode == 0, ended.stdout + ended.stderr
    beside = machine.ran_beside()
    assert [line for line in machine.ran if line not in beside] == [
        "make ",
        "make run PYTHON=python3.11",
        "make run PYTHON=python3.11",
        "make setup PYTHON=python3.11",
        "make check PYTHON=python3.11",
        "check.sh",
        "make browser-test PYTHON=python3.11",
        "make container-test PYTHON=python3.11",
        "make cluster NODES=2",
        "make cluster-test PYTHON=python3.11",
        "make cluster-down",
        "make test PYTHON=python3.11",
    ]
    assert [line.rpartition("/")[2] for line in beside] == [
        "tac-python3.13 setup PYTHON=python3.13",
        "tac-python3.13 test PYTHON=python3.13",
        "make install-test PYTHON=python3.11 ARGS=-p no:cacheprovider",
    ]
    lines = ended.stdout.splitlines()
    said = f"everything with {oldest}; the unit and contract tests also with {newest}"
    assert said in lines
    assert lines[-1] == "7 passed in 1.00s"


@pytest.mark.parametrize(
    ("minors", "asked", "main", "others"),
    [
        ((12,), "", "python3.12", []),
        ((11, 12), "", "python3.11", ["python3.12"]),
        ((11, 13), "python3.13", "python3.13", ["python3.11"]),
        ((11, 12, 13), "python3.12", "python3.12", ["python3.11", "python3.13"]),
    ],
)
def test_which_python_runs_what(machine, minors, asked, main, others):
    machine.add_pythons(*minors)

    ended = machine.run(PYTHON=asked)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert machine.ran[-1] == f"make test PYTHON={main}"
    tested = [line for line in machine.ran_beside() if " test " in line]
    assert [line.rpartition("=")[2] for line in tested] == others


def test_what_fails_beside_fails_the_run_and_is_shown_whole(machine):
    machine.add_pythons(11, 13)

    ended = machine.run(FAILS="tac-python3.13 test")

    assert ended.returncode == 3
    assert "make cluster-down" in machine.ran
    assert "make test PYTHON=python3.11" not in machine.ran
    lines = ended.stdout.splitlines()
    shown = lines.index("=== make setup, python3.13, beside")
    assert "tac-python3.13 test PYTHON=" in lines[shown + 5]
    times = [line.split() for line in lines[lines.index("=== timings") :]]
    codes = {" ".join(words[:-4]): words[-1] for words in times[1:]}
    assert codes["make test, python3.13, beside"] == "3"
    assert codes["make install-test, beside"] == "0"
    assert codes["waiting for what ran beside"] == codes["total"] == "3"


def test_what_ran_beside_is_shown_when_something_else_failed(machine):
    machine.add_pythons(11, 13)

    ended = machine.run(FAILS="container-test")

    assert ended.returncode == 3
    assert "=== make test, python3.13, beside" in ended.stdout.splitlines()
    assert "make cluster-test PYTHON=python3.11" not in machine.ran


def test_what_a_shell_holds_for_make_is_not_tested(machine):
    machine.add_pythons(11)
    options = {"DATE": "today", "STORE": "elsewhere", "ARGS": "-k nothing", "NODES": "9"}

    ended = machine.run(**options)

    assert ended.returncode == 0
    assert machine.ran[0] == "make "


def test_a_kubernetes_that_is_up_is_not_ended(machine):
    machine.add_pythons(11)
    machine.add("kubernetes/bin/kubectl", "#!/bin/sh\n")

    ended = machine.run()

    assert (ended.returncode, ended.stdout, machine.ran) == (2, "", [])
    assert ended.stderr == (
        f".ci/run: a Kubernetes is up in {machine.folder}/kubernetes, and would be ended by its "
        "check\nHint: make cluster-down\n"
    )


def test_what_runs_beside_ends_with_a_run_that_is_stopped(machine):
    machine.add_pythons(11, 13)
    process = machine.start(STAYS="tac-python3.13 test")
    stays = machine.folder / "ran.stays"
    runs.wait_until(lambda: stays.exists() and stays.read_text(), "the tests begin", 30)

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (143, "")
    assert "=== make test, python3.13, beside" in out.splitlines()
    assert not Path(f"/proc/{stays.read_text().strip()}").exists()
