"""minikube.sh before it comes to its minikube: what it asks for, and what it would run.

The programs are stand-ins that write down their words; what the words do is tested in the tier
`cluster`, where k8s/deploy.sh runs on a real Kubernetes.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import tac

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "minikube.sh"
NEEDED = ("awk", "bash", "cat", "dirname", "env", "git", "grep", "sed")
NAMESPACE = r"kind: Namespace\nmetadata:\n  name: tac\n"


@dataclass(frozen=True)
class Machine:
    """A path with nothing on it but what the script needs of every system, and stand-ins."""

    path: Path

    def add(self, name: str, code: int = 0, *, of: str = "status", says: str = "") -> None:
        """Put a stand-in on the path that ends with this exit code when it is asked how it is.

        Or when it is asked something else; before it ends, it prints what it `says`.
        """
        program = self.path / name
        program.write_text(
            "#!/usr/bin/env bash\n"
            f"printf '%s' '{name}' >>'{self.path}/ran'\n"
            f"printf ' %q' \"$@\" >>'{self.path}/ran'\n"
            f"printf '\\n' >>'{self.path}/ran'\n"
            f"[[ $* != {of}* ]] || {{ printf '{says}'; exit {code}; }}\n"
        )
        program.chmod(0o755)

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SCRIPT), *words],
            env={"PATH": str(self.path), "HOME": str(self.path), **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def ran(self) -> list[str]:
        """What the stand-ins were asked to do, but for what changes nothing."""
        file = self.path / "ran"
        lines = file.read_text().splitlines() if file.exists() else []
        asks = ("minikube status", "minikube version", "kubectl version", "kubectl kustomize")
        return [line for line in lines if not line.startswith(asks)]


@pytest.fixture
def machine(tmp_path):
    for name in NEEDED:
        found = shutil.which(name, path=os.defpath) or shutil.which(name)
        assert found is not None, name
        (tmp_path / name).symlink_to(found)
    return Machine(tmp_path)


def test_everything_that_is_missing_is_named_at_once(machine):
    ended = machine.run("up")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "minikube.sh: this machine cannot run it:",
        "  minikube: not found; https://minikube.sigs.k8s.io/docs/start",
        "  kubectl: not found; https://kubernetes.io/docs/tasks/tools",
    ]


def test_only_what_is_missing_is_named(machine):
    machine.add("minikube")

    ended = machine.run("status")

    assert (ended.returncode, machine.ran) == (2, [])
    assert ended.stderr.splitlines() == [
        "minikube.sh: this machine cannot run it:",
        "  kubectl: not found; https://kubernetes.io/docs/tasks/tools",
    ]


def test_what_is_too_old_is_said(machine):
    machine.add("minikube", of="version", says=r"v1.31.2\n")
    machine.add("kubectl")

    ended = machine.run("up")

    assert (ended.returncode, machine.ran) == (2, [])
    assert ended.stderr.splitlines() == [
        "minikube.sh: this machine cannot run it:",
        "  minikube: is 1.31, not 1.32 or newer; https://minikube.sigs.k8s.io/docs/start",
    ]


def test_a_kubectl_that_is_too_old_is_said(machine):
    machine.add("minikube")
    machine.add("kubectl", of="version", says=r"clientVersion:\n  major: \"1\"\n  minor: \"30\"\n")

    ended = machine.run("status")

    assert (ended.returncode, machine.ran) == (2, [])
    assert ended.stderr.splitlines() == [
        "k8s/deploy.sh: kubectl: is 1.30, not 1.31 or newer",
        "Hint: https://kubernetes.io/docs/tasks/tools",
    ]


@pytest.mark.parametrize(
    "verb", ["image", "deploy", "run", "status", "logs", "dashboard", "s3", "cancel"]
)
def test_a_minikube_that_does_not_run_is_started_by_up(machine, verb):
    machine.add("minikube", 7)
    machine.add("kubectl")

    ended = machine.run(verb)

    assert (ended.returncode, machine.ran) == (2, [])
    assert ended.stderr == ("minikube.sh: minikube tac: does not run\nHint: ./minikube.sh up\n")


def test_the_image_is_built_inside_with_its_version(machine):
    machine.add("minikube")
    machine.add("kubectl")

    ended = machine.run("image")

    assert ended.returncode == 0, ended.stderr
    forgotten, built, looked = machine.ran
    file = "/var/lib/minikube/tac-image.json"
    assert forgotten == f"minikube ssh --profile tac -- sudo rm -f {file}"
    assert looked == f"minikube ssh --profile tac -- sudo test -e {file}"
    commit = r"[0-9a-f]{40}(-dirty)?" if (REPOSITORY / ".git").exists() else "unknown"
    assert re.fullmatch(
        "minikube image build --profile tac --tag docker.io/library/tac:latest --file Dockerfile "
        f"--build-opt opt=build-arg:VERSION={re.escape(tac.__version__)} "
        f"--build-opt opt=build-arg:REVISION={commit} "
        f"--build-opt metadata-file={file} {re.escape(str(REPOSITORY))}",
        built,
    )
    assert ended.stderr == f"+ {forgotten}\n+ {built}\n"


def test_a_build_that_failed_ends_there_although_minikube_calls_it_done(machine):
    machine.add("minikube", 1, of="'ssh --profile tac -- sudo test'")
    machine.add("kubectl")

    ended = machine.run("up")

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-2:] == [
        "minikube.sh: image docker.io/library/tac:latest: was not built",
        "Hint: what stands above says why; ./minikube.sh image tries it again",
    ]
    assert [line for line in machine.ran if line.startswith("kubectl")] == []


def test_up_starts_it_builds_and_then_deploys_with_the_options_it_was_given(machine):
    machine.add("minikube")
    machine.add("kubectl", of="kustomize", says=NAMESPACE)

    ended = machine.run("up", "--cpus", "4", MINIKUBE_PROFILE="other")

    assert ended.returncode == 0, ended.stderr
    started, _, built, _, first, *_ = machine.ran
    place = "kubectl --context other --namespace tac"
    overlay = f"{REPOSITORY}/k8s/overlays/minikube"
    assert started == "minikube start --profile other --container-runtime containerd --cpus 4"
    assert built.startswith("minikube image build --profile other ")
    assert first == (f"{place} apply -k {overlay} --selector app.kubernetes.io/component=namespace")
    assert f"{place} apply -k {overlay}" in machine.ran


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        ((), "minikube stop --profile tac"),
        (("--with-data",), "minikube delete --profile tac"),
    ],
)
def test_down_keeps_the_data_by_default(machine, words, ran):
    machine.add("minikube", 7)  # stopped already
    machine.add("kubectl")

    ended = machine.run("down", *words)

    assert (ended.returncode, ended.stderr, machine.ran) == (0, f"+ {ran}\n", [ran])


def test_down_where_there_is_none_is_done(machine):
    machine.add("minikube", 85)
    machine.add("kubectl")

    ended = machine.run("down")

    assert (ended.returncode, ended.stderr, machine.ran) == (0, "minikube tac: there is none\n", [])


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["upp"], "there is no verb 'upp'", "./minikube.sh --help lists them"),
        (["down", "--all"], "down: there is no option '--all'", "./minikube.sh --help"),
        (["down", "--with-data", "x"], "down: there is no option 'x'", "./minikube.sh --help"),
        (["deploy", "--force"], "deploy: there is no option '--force'", "./minikube.sh --help"),
    ],
)
def test_a_slip_changes_nothing(machine, words, error, hint):
    machine.add("minikube")
    machine.add("kubectl")

    ended = machine.run(*words)

    assert (ended.returncode, machine.ran) == (2, [])
    assert ended.stderr == f"minikube.sh: {error}\nHint: {hint}\n"


def test_help_needs_nothing_and_lists_the_verbs(machine):
    ended = machine.run("--help")

    assert (ended.returncode, ended.stderr) == (0, "")
    verbs = [line.split()[0] for line in ended.stdout.splitlines() if line.startswith("  ")]
    listed = [verb for verb in verbs if not verb.startswith("`")]
    assert listed == [
        *("up", "image", "deploy", "run", "status", "logs", "dashboard", "s3", "cancel", "down")
    ]
