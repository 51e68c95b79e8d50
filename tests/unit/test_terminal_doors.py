"""Whatever tac prints goes through one of the doors of tac.terminal; each other place is listed."""

import ast
import re
from pathlib import Path

import pytest

TAC = Path(__file__).parents[2] / "tac"

DOORS = re.compile(
    r"print|pprint\.\w+|input|(click\.)?(echo\w*|secho|style|progressbar|confirm|prompt|edit)"
    r"|sys\.(__)?std(out|err)(__)?|os\.write|traceback\.print_\w+|logging\.basicConfig"
    r"|(logging\.)?StreamHandler|faulthandler\.\w+|(rich\.console\.)?Console|rich\.print|.*console\.(print|log|out)"
    r"|warnings\.showwarning|sys\.excepthook"
)
"""How a call is written that prints, and the streams that it prints to."""

SANCTIONED = {
    "terminal.py": "the doors themselves",
    "run_command.py": "a question with a number in it; whether there is a terminal; the view",
    "step.py": "data, a bar of plain text, clearing it, a signal handler's own sentence",
    "live.py": "a table of plain texts",
    "run/warned.py": "says warnings once, to those who watch the run",
    "worker/child.py": "sends warnings to the driver",
    "worker/handles.py": "shows those warnings in the driver",
    "worker/luigi_logging.py": "where log records go: to a handler of tac.terminal",
    "runners/step_server.py": "a step's own streams, which lead to its log file and no terminal",
    "runners/python_module.py": "the same",
}

CALLS = {
    "run_command.py": {"sys.stderr", "click.confirm", "Console", "rich.console.Console"},
    "step.py": {"sys.stdout", "sys.stderr", "os.write", "click.progressbar", "click.echo"},
    "live.py": {"rich.console.Console", "self._console.print"},
    "run/warned.py": {"warnings.showwarning"},
    "worker/child.py": {"warnings.showwarning"},
    "worker/handles.py": {"warnings.showwarning"},
    "worker/luigi_logging.py": {"logging.basicConfig"},
    "runners/step_server.py": {"os.write"},
    "runners/python_module.py": {"os.write", "sys.stdout", "sys.stderr", "sys.excepthook"},
}
"""What a sanctioned module uses; `terminal.py` may use everything."""


def doors_of(path: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            names.add(ast.unparse(node.func))
        elif isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if DOORS.fullmatch(name)}


def modules() -> list[str]:
    return sorted(str(path.relative_to(TAC)) for path in TAC.rglob("*.py"))


@pytest.mark.parametrize("module", [name for name in modules() if name != "terminal.py"])
def test_a_module_prints_by_the_doors_only(module):
    assert doors_of(TAC / module) == CALLS.get(module, set())


def test_every_module_that_is_sanctioned_is_there():
    assert set(SANCTIONED) - set(modules()) == set()
    assert set(CALLS) | {"terminal.py"} == set(SANCTIONED)


@pytest.mark.parametrize(
    "code",
    [
        "print('x')",
        "click.echo(x)",
        "click.secho(x)",
        "sys.stderr.write(x)",
        "sys.stdout.buffer.write(x)",
        "sys.__stderr__.writelines(x)",
        "f(file=sys.stderr)",
        "from sys import stdout",
        "from click import echo",
        "echo(x)",
        "os.write(2, x)",
        "traceback.print_exc()",
        "logging.basicConfig()",
        "logging.StreamHandler()",
        "Console().print(x)",
    ],
)
def test_a_new_door_is_found(code, tmp_path):
    (tmp_path / "new.py").write_text(f"def f(x):\n    {code}\n")

    assert doors_of(tmp_path / "new.py")


def test_only_text_objects_reach_richs_own_language():
    tree = ast.parse((TAC / "live.py").read_text())
    made = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Text"
    ]

    assert [ast.unparse(call) for call in made] == ["Text(plain(text))"]
