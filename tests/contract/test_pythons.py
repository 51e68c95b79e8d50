"""hack/pythons.sh: which Pythons start on a machine, whatever their names promise."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "hack/pythons.sh"
SHIM = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"
PRETENDS = """\
#!/bin/sh
exec {real} -c 'import sys
sys.version_info, sys.executable = {version}, "{path}"
exec(sys.argv[1])' "$2"
"""


@dataclass(frozen=True)
class Machine:
    """A path with nothing on it but what the script needs, and a folder of pyenv."""

    folder: Path

    def add(self, path: str, *version: int) -> str:
        """Put a Python there, of a version; of none, it starts nothing."""
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        pretends = PRETENDS.format(real=sys.executable, version=version, path=program)
        program.write_text(pretends if version else SHIM)
        program.chmod(0o755)
        return str(program)

    def found(self) -> list[str]:
        ended = subprocess.run(
            [str(SCRIPT)],
            env={"PATH": f"{self.folder}/bin", "PYENV_ROOT": f"{self.folder}/pyenv"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.splitlines()


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("bash", "env", "cut", "sort"):
        program = shutil.which(name)
        assert program is not None, name
        (tmp_path / "bin" / name).symlink_to(program)
    return Machine(tmp_path)


def test_what_starts_is_found_the_oldest_first(machine):
    newest = machine.add("bin/python3.13", 3, 13, 0)
    oldest = machine.add("bin/python3.11", 3, 11, 7)

    assert machine.found() == [f"3.11.7 {oldest}", f"3.13.0 {newest}"]


def test_a_name_that_starts_nothing_is_passed_over_for_one_that_does(machine):
    machine.add("bin/python3.13")
    hidden = machine.add("pyenv/versions/3.13.0/bin/python3.13", 3, 13, 0)

    assert machine.found() == [f"3.13.0 {hidden}"]


def test_of_two_of_one_version_that_of_the_path_is_taken(machine):
    machine.add("pyenv/versions/3.12.9/bin/python3.12", 3, 12, 9)
    first = machine.add("bin/python3.12", 3, 12, 1)

    assert machine.found() == [f"3.12.1 {first}"]


def test_a_plain_name_counts_where_no_other_is_of_its_version(machine):
    plain = machine.add("bin/python3", 3, 12, 1)

    assert machine.found() == [f"3.12.1 {plain}"]


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 11, 0), (3, 14, 0)])
def test_what_tac_does_not_run_on_is_none(machine, version):
    machine.add("bin/python3", *version)

    assert machine.found() == []
