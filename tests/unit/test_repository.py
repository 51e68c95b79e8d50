"""The files around the code agree with it: the lock, the changelog, the documents, the menu."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tac

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt")
NOT_OURS = {"build", "dist", "tac-store", "tac-logs", "__pycache__"}
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs/**/*.md")
RETRIES = runpy.run_path(str(ROOT / "hack/retries.py"))
"""Run before a test does: what it imports opens a socket, to see whether there is IPv6."""


def own_files() -> list[Path]:
    """Every file of the repository that a person wrote, as far as a name can tell."""
    return sorted(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part in NOT_OURS
            or (part.startswith(".") and part not in {".ci", ".gitignore"})
            or part.endswith(".egg-info")
            for part in path.relative_to(ROOT).parts
        )
    )


def own_texts() -> dict[str, str]:
    """The text of each of these files, by path; not what a machine wrote or drew."""
    binary = {".parquet", ".png", ".jpg", ".webp", ".ico", ".gz"}
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in own_files()
        if path.suffix not in binary and path.name not in LOCKS
    }


def wanted() -> dict[str, Requirement]:
    """What setup.py says that tac needs, read without running it."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists = [
        keyword.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "install_requires"
    ]
    requirements = [Requirement(text) for text in ast.literal_eval(lists[0])]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def inputs(name: str) -> dict[str, Requirement]:
    """What a .in file asks for."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def locked(name: str) -> dict[str, str]:
    """What a lock installs: the version by name, for the systems that tac runs on."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("--hash")[0] for line in text.splitlines() if re.match(r"\w", line)]
    requirements = [Requirement(line) for line in lines]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"})
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_a_version_within_each_range_of_setup_py(lock):
    versions = locked(lock)
    outside = {
        name: f"{requirement} but {versions.get(name, 'nothing')} is locked"
        for name, requirement in (wanted() | inputs("requirements.in")).items()
        if name not in versions or not requirement.specifier.contains(versions[name])
    }
    assert outside == {}, "make lock"


def test_a_lock_holds_nothing_that_is_not_required():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    asked = re.findall(
        r"^([\w.-]+)==(?:(?!^\w).)*?tac \(setup\.py\)", text, re.MULTILINE | re.DOTALL
    )
    assert set(asked) == set(wanted())


def test_the_tools_run_with_the_versions_that_run():
    runs, tools = (locked(name) for name in LOCKS)
    assert {name: tools.get(name) for name in runs} == runs
    assert inputs("requirements-dev.in").keys() <= tools.keys()


# What is imported under another name than it is installed, or comes with what is installed.
COMES_WITH = {
    "botocore": "boto3",
    "joblib": "scikit-learn",
    "markupsafe": "jinja2",
    "pykube": "pykube-ng",
    "sklearn": "scikit-learn",
    "threadpoolctl": "scikit-learn",
    "yaml": "pyyaml",
}


def imported() -> set[str]:
    """Every package that tac imports, anywhere, other than its own and Python's."""
    names: set[str] = set()
    for path in (ROOT / "tac").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"tac"}


def test_setup_py_asks_for_everything_that_is_imported():
    assert {COMES_WITH.get(name, name) for name in imported()} - wanted().keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_package_has_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    bare = [
        entry.split()[0]
        for entry in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
        if "--hash=sha256:" not in entry
    ]
    assert bare == []
    assert re.findall(r"https?://\S+|file://\S+|--(?:extra-)?index-url|--find-links", text) == []


# Written in two halves so that this file does not find itself.
FORBIDDEN_WORDS = (
    ("a path of somebody's machine", r"/(?:ro" r"ot|ho" r"me/\w+|Us" r"ers/\w+|wo" r"rk)/"),
    ("a virtual environment outside the tree", r"/tmp/ve" r"nv"),
    ("a work note without a link", r"\b(?:TO" r"DO|FIX" r"ME)\b(?!.*https://)"),
    ("a merge that was not finished", r"^(?:<{7}|>{7}) "),
    ("a key", r"AKIA(?!IOSFODNN7EXAMPLE)[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY"),
)


@pytest.mark.parametrize(
    ("what", "pattern"), FORBIDDEN_WORDS, ids=[row[0] for row in FORBIDDEN_WORDS]
)
def test_no_file_holds(what, pattern):
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in own_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == [], what


def test_the_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert heads[1:2] in ([], [tac.__version__]), "the newest release is the version of the code"


def test_documents_name_only_make_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for glob in DOCUMENTS for path in ROOT.glob(glob)]
    texts.append((ROOT / ".ci/run").read_text(encoding="utf-8"))
    named = {
        name
        for text in texts
        for name in re.findall(r"(?:^ {4}|`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    assert named - targets == set()


def test_documents_link_only_to_files_that_exist():
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for glob in DOCUMENTS
        for path in ROOT.glob(glob)
        for link in re.findall(
            r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8")
        )
        if not (path.parent / link).exists()
    ]
    assert broken == []


def test_the_menu_explains_every_target_that_a_person_calls():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"\.PHONY: ((?:.*\\\n)*.*)", makefile)[0].replace("\\\n", " ").split())
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == targets
    assert targets - explained == {"menu", "format-check", "spell"}


def layout() -> set[str]:
    """The modules that the trees of docs/architecture.md name, with their paths."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set()
    for tree in re.findall(r"^```\n(tac/.*?)^```", text, re.MULTILINE | re.DOTALL):
        folders: list[tuple[int, str]] = []
        for line in filter(None, tree.splitlines()):
            indent = len(line) - len(line.lstrip())
            folders = [each for each in folders if each[0] < indent]
            if folder := re.match(r" *((?:[a-z_]+/)+)", line):
                folders.append((indent, folder[1]))
            at = "".join(each for _, each in folders)
            named |= {at + module for module in re.findall(r"\b\w+\.py\b", line)}
    return named


def test_the_layout_of_the_architecture_is_that_of_the_code():
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tac").rglob("*.py")
        if path.name != "__init__.py"
    }
    assert modules - layout() == set(), "not in docs/architecture.md"
    assert layout() - modules == set(), "no such module"


def test_documents_name_only_modules_that_exist():
    missing = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))
        for module in re.findall(r"`((?:tac|tests)/[\w/]+\.py)`", path.read_text(encoding="utf-8"))
        if not (ROOT / module).exists()
    ]
    assert missing == []


def test_the_page_of_retries_says_what_the_code_does():
    page = RETRIES["PAGE"].read_text(encoding="utf-8")

    assert page == RETRIES["write_tables"](page), "run `make docs`"
