"""The drawing at the head of tac/errors.py is the tree of all errors, with their exit codes."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import tac
from tac import errors
from tac.errors import TacError

PACKAGE = Path(tac.__file__).parent
LINE = re.compile(r" {4}(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<code>\d+) {3}(?P<then>\S.*)")


def drawn() -> dict[str, tuple[str, int]]:
    """Each class of the drawing with its parent and its exit code."""
    found: dict[str, tuple[str, int]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if each := LINE.fullmatch(line):
            del above[len(each["branch"]) // 4 :]
            found[each["name"]] = (above[-1] if above else "Exception", int(each["code"]))
            above.append(each["name"])
    return found


def classes() -> dict[str, type[TacError]]:
    members = inspect.getmembers(errors, inspect.isclass)
    return {name: each for name, each in members if issubclass(each, TacError)}


def subclasses_elsewhere() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        if path != Path(errors.__file__):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                    yield from (f"{path}: {node.name}({base})" for base in bases & {*classes()})


def test_the_drawing_is_the_tree():
    assert drawn() == {
        name: (each.__bases__[0].__name__, each.exit_code) for name, each in classes().items()
    }


def test_no_error_is_defined_in_another_module_but_one_that_luigi_knows_too():
    assert list(subclasses_elsewhere()) == [f"{PACKAGE}/target.py: TargetMissing(InputMissing)"]


def test_each_error_says_what_happened():
    assert all(each.__doc__ for each in classes().values())
