"""The digest of a source: the same wherever it lies, another once a module of it differs."""

from pathlib import Path

import pytest

import tac
from tac.build_id import STORED, build_id, compute_digest, source_digest

MODULES = {
    "__init__.py": b"__version__ = '1'\n",
    "step.py": b"x = 1\ny = 2\n",
    "store/__init__.py": b"",
    "store/files.py": b"z = 3\n",
}


def package(folder: Path, modules: dict[str, bytes]) -> Path:
    for name, text in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return folder


@pytest.fixture
def before(tmp_path) -> str:
    return compute_digest(package(tmp_path / "before", MODULES))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"step.py": b"x = 1\r\ny = 2\r\n"},
        {"__pycache__/step.cpython-311.pyc": b"x", "store/__pycache__/files.pyc": b"x"},
        {"py.typed": b"", "flights/year/flights.parquet": b"x", "page.css": b"x"},
        {".#step.py": b"x", "step (copy).py": b"x", "step.py~": b"x", "notes/x.py": b"x"},
    ],
    ids=["nothing", "ends of lines", "bytecode", "other files", "files beside the package"],
)
def test_what_is_no_text_of_a_module_does_not_change_it(tmp_path, before, more):
    assert compute_digest(package(tmp_path / "after", MODULES | more)) == before


def test_the_order_in_which_files_were_made_does_not_change_it(tmp_path, before):
    turned = dict(reversed(MODULES.items()))

    assert compute_digest(package(tmp_path / "after", turned)) == before


@pytest.mark.parametrize(
    "changed",
    [
        {**MODULES, "step.py": b"x = 1\ny = 3\n"},
        {**MODULES, "store/files.py": b"z = 3\n\n"},
        {**MODULES, "store/new.py": b""},
        {name: text for name, text in MODULES.items() if name != "store/files.py"},
        {**MODULES, "step.py": MODULES["store/files.py"], "store/files.py": MODULES["step.py"]},
        # The same bytes one after another, divided between the names at another place.
        {**MODULES, "step.py": b"x = 1\n", "store/__init__.py": b"y = 2\n"},
    ],
    ids=["a byte", "deeper", "one more", "one less", "exchanged", "moved"],
)
def test_every_change_of_a_module_changes_it(tmp_path, before, changed):
    assert compute_digest(package(tmp_path / "after", changed)) != before


def test_what_was_stored_at_the_build_is_believed(tmp_path):
    folder = package(tmp_path, {**MODULES, STORED: b"0123456789ab\n"})

    assert source_digest(folder) == "0123456789ab"


def test_without_it_the_modules_are_read(tmp_path, before):
    assert source_digest(package(tmp_path / "after", MODULES)) == before


def test_a_checkout_has_nothing_stored_and_names_its_version_and_its_digest():
    folder = Path(tac.__file__).parent

    assert not (folder / STORED).exists()
    assert build_id() == f"{tac.__version__}+{compute_digest(folder)}"
