"""A step that is forked from the warm server behaves as the same program does on its own."""

import re

import pytest

from tac.verdict import Reason
from tests.support.processes import place

PROGRAMS = {
    "nothing": "",
    "none": "import sys; sys.exit()",
    "words": "import sys; sys.exit('words')",
    "a structure": "import sys; sys.exit((1, 'two'))",
    "a large code": "import sys; sys.exit(256 + 65)",
    "a negative code": "import sys; sys.exit(-1)",
    "false": "import sys; sys.exit(False)",
    "an error": "def f():\n    raise ValueError('bad')\nf()",
    "a chain": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise OSError('x') from e",
    "a wrong syntax": "1 +",
    "a group": "raise ExceptionGroup('g', [ValueError('a'), OSError('b')])",
    "an interrupt": "import signal; signal.raise_signal(signal.SIGINT)",
    "at exit": "import atexit; atexit.register(print, 'bye'); print('hi')",
    "at exit, failing": "import atexit; atexit.register(lambda: 1 / 0)",
    "a thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
    "a pool": "from concurrent.futures import ThreadPoolExecutor as P\nP(2).submit(print, 'ran')",
    "unflushed": "import sys; sys.stdout.write('no line feed')",
    "a closed output": "import sys; sys.stdout.close()",
    "its name": "import sys; print(__name__, sys.modules['__main__'].__name__, __spec__.name)",
    "its file": "print(__file__, __package__, __loader__.name)",
    "arguments": "import sys; print(sys.argv)",
    "a child": "import multiprocessing as m\n"
    "def f(): print('in the child', flush=True)\n"
    "if __name__ == '__main__':\n"
    "    p = m.get_context('spawn').Process(target=f); p.start(); p.join()",
    "a hook": "import sys\nsys.excepthook = lambda *e: print('hooked', e[0])\n1 / 0",
    "encodings": "import sys; print(sys.stdout.encoding, sys.stderr.encoding, sys.stdout.errors)",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_warm_step_ends_as_a_cold_one(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAMS[program])
    seen = []
    for mode in ("cold", "warm"):
        with place(tmp_path / mode, mode) as at:
            verdict = at.run("python", "-m", "program", "a", "b c")
            words = [line for line in at.words.splitlines() if "<frozen runpy>" not in line]
            said = re.sub(r"0x[0-9a-f]+", "0x…", "\n".join(words))
            seen.append((verdict.exit_code, verdict.signal, said))

    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "module",
    ["no_such", "no.such", "package", "package.no_such", "package.part", "runs", "json.tool"],
)
def test_a_warm_step_is_found_as_a_cold_one(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("package/__init__.py", "package/part.py", "runs/__main__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("print(__name__)\n")
    seen = []
    for mode in ("cold", "warm"):
        with place(tmp_path / mode, mode) as at:
            verdict = at.run("python", "-m", module, "--help")
            seen.append((verdict.reason, verdict.exit_code, at.words))

    assert seen[0] == seen[1]


@pytest.mark.parametrize("mode", ["cold", "warm"])
def test_an_output_that_cannot_be_written_is_no_success(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.py").write_text("import sys; sys.stdout = open('/dev/full', 'w'); print(1)")
    with place(tmp_path, mode) as at:
        verdict = at.run("python", "-m", "full")

    # Python's own code; what it says before it differs from one version to the next.
    assert (verdict.reason, verdict.exit_code) == (Reason.UNKNOWN_EXIT, 120)
    assert verdict.detail.endswith(": OSError: [Errno 28] No space left on device")
