"""No untrusted text reaches a terminal with its escape sequences, whatever shows it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.faults import Answer, running_proxy
from tests.support.flights import run_step
from tests.support.hostile import HOSTILE, IN_XML, answering, unseen
from tests.support.luigid import luigid
from tests.support.runs import Ended, command, environment, tac
from tests.support.s3 import Bucket
from tests.support.terminal import terminal

TASKS = "tests.support.hostile_tasks"
SHOWN = "overwritten [bold][link=http://evil.example]markup[/link] ends"
"""What is left of the text for a person."""

_OURS = re.compile(r"\x1b\[(?:\?25[lh]|2K|\d*A|0m|1m|2m|[34]\dm|38;5;\d+m|\d+(?:;\d+)*m)|\r")
"""What rich writes to draw a table anew: the cursor up, a line cleared, colours."""


def run(at: Path, *words: object, **more: Any) -> Ended:
    return tac(at, "run", "--module", TASKS, *words, **more)


@pytest.mark.parametrize(
    "words",
    [
        ("Says",),
        ("Says", "--verbose"),
        ("Raises",),
        ("Raises", "--verbose"),
        ("RaisesInProcess",),
        ("RaisesInProcess", "--verbose"),
        ("CannotTell",),
        ("CannotTell", "--dry-run"),
    ],
    ids=" ".join,
)
def test_what_a_task_or_its_step_says_is_plain(tmp_path, words):
    ended = run(tmp_path, *words)

    assert unseen(ended.err + ended.out) == set()
    assert SHOWN in ended.err + ended.out


def test_a_value_of_a_parameter_is_plain_and_stays_on_its_line(tmp_path):
    ended = run(tmp_path, "Raises", "--value", f"{HOSTILE}\nError: forged")

    assert unseen(ended.err) == set()
    assert not re.search(r"^Error: forged", ended.err, re.MULTILINE)


def test_the_log_file_keeps_what_a_step_wrote(tmp_path):
    run(tmp_path, "Says")

    [log] = tmp_path.rglob("says-*.log")
    assert HOSTILE.encode() in log.read_bytes()
    assert b"\xff\xfe invalid \x9b31m\n" in log.read_bytes()


@pytest.mark.parametrize("task", ["Says", "Raises"])
def test_a_live_table_writes_what_is_its_own_and_nothing_else(tmp_path, task):
    with terminal(tmp_path, command("run", "--module", TASKS, task)) as screen:
        code = screen.end()
        text = screen.text

    assert code == 30
    assert unseen(_OURS.sub("", screen.written)) == set()
    assert SHOWN in text.replace("\n", "")


def test_the_dashboard_gets_plain_and_bounded_text(tmp_path):
    with luigid(tmp_path) as server:
        for task in ("Says", "Raises", "RaisesInProcess"):
            more = {"TAC_LOG_URL": "https://logs.example/{namespace}/{pod}"}
            run(tmp_path, task, "--luigid", server.url, **more)
        tasks = {task["name"]: task for task in server.tasks().values()}
        errors = {
            task["name"]: server.ask("fetch_error", task_id=key)["error"]
            for key, task in server.ask("task_list", status="", upstream_status="").items()
        }

    shown = [tasks[name]["status_message"] for name in tasks] + list(errors.values())
    assert {name for text in shown for name in unseen(str(text))} == set()
    assert max(map(len, shown)) <= 20_000
    assert "tracking_url" not in tasks["Says"] or not tasks["Says"]["tracking_url"]
    assert unseen(str(tasks["Raises"]["tracking_url"])) == set()


STEPS = {
    "a file's name": ("average", "out.parquet", f"{HOSTILE}.parquet".replace("\0", "")),
    "a file's name that is no UTF-8": ("average", "out.parquet", os.fsdecode(b"begins\x9b\xff")),
    "an output": ("average", f"{HOSTILE}.parquet/x.parquet", "a.parquet"),
    "an output of no known kind": ("average", f"{HOSTILE}.x", "a.parquet"),
    "an option": ("average", "out.parquet", f"--{HOSTILE}"),
}


@pytest.mark.parametrize("words", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_step_shows_what_it_was_given_plain(tmp_path, words, debug, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run_step(*words, *debug)

    assert ended.returncode == 2
    assert unseen(ended.stderr) == set()
    assert "begins" in ended.stderr


def test_a_step_shows_who_made_what_is_there_plain(tmp_path):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"x")
    os.setxattr(out, "user.tac.version", HOSTILE.encode())

    ended = run_step("average", out, "a.parquet")

    assert (ended.returncode, unseen(ended.stderr)) == (0, set())
    assert f"{SHOWN}; nothing to do" in re.sub(r"\s+", " ", ended.stderr)


@pytest.mark.parametrize("text", [HOSTILE, f"{HOSTILE},b\n1,2\n", f"year,month\n{HOSTILE},1\n"])
def test_a_step_shows_what_it_has_read_plain(tmp_path, text):
    (tmp_path / "in.csv").write_bytes(text.encode())

    ended = run_step("average", tmp_path / "out.parquet", tmp_path / "in.csv")

    assert ended.returncode == 65
    assert unseen(ended.stderr) == set()


@pytest.mark.parametrize("status", [b"404", b"403", b"500"])
def test_a_step_shows_what_a_server_answers_plain(tmp_path, status):
    reason = HOSTILE.replace("\n", "").replace("\r", "").encode("utf-8")
    with answering(status + b" " + reason, [], HOSTILE.encode()) as place:
        source = f"http://{place}/{{date:%Y-%m-%d}}.csv"
        ended = run_step("fetch", tmp_path / "out.csv", "--date", "2023-03-01", "--source", source)

    assert ended.returncode in {2, 75}
    assert unseen(ended.stderr) == set()


def test_a_step_shows_what_s3_answers_plain(tmp_path, bucket: Bucket):
    body = f"<Error><Code>{IN_XML}</Code><Message>{IN_XML}</Message></Error>".encode()
    with running_proxy(bucket.server.endpoint) as proxy:
        proxy.fault = lambda request: Answer(400, body) if request.method == "GET" else None
        environment = bucket.environment() | {"AWS_ENDPOINT_URL_S3": proxy.endpoint}
        ended = run_step(
            "average", tmp_path / "o.parquet", bucket.address("a.csv"), environment=environment
        )

    assert ended.returncode != 0
    assert unseen(ended.stderr) == set()
    assert "markup ends" in ended.stderr


def test_what_a_step_says_is_plain_in_luigis_own_log_too(tmp_path):
    words = ["-m", "luigi", "--module", TASKS, "Says", "--local-scheduler"]
    ended = subprocess.run(
        [sys.executable, *words, "--lock-pid-dir", str(tmp_path)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
    )

    shown = ended.stderr.decode()
    assert unseen(shown) == set()
    assert f"Hint: begins {SHOWN}" in shown


def test_what_stands_in_the_place_of_luigid_is_shown_plain(tmp_path):
    reason = HOSTILE.replace("\r", "").encode()
    with answering(b"404 " + reason, [], HOSTILE.encode()) as place:
        ended = run(tmp_path, "Raises", "--luigid", f"http://{place}")

    assert ended.code == 2
    assert unseen(ended.err) == set()
    assert "no luigid answers" in ended.err


def test_what_a_docker_engine_answers_is_shown_plain(tmp_path):
    body = json.dumps({"message": HOSTILE}).encode()
    with answering(b"500 no", [b"Content-Type: application/json"], body) as place:
        ended = run(tmp_path, "Says", "--runner", "docker", DOCKER_HOST=f"tcp://{place}")

    assert unseen(ended.err) == set()
    assert SHOWN in ended.err


def kubeconfig(
    at: Path, *, user: object, name: str = "one", place: str = "http://127.0.0.1:1"
) -> str:
    context = {"cluster": name, "user": name, "namespace": "n"}
    path = at / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": name,
                "contexts": [{"name": name, "context": context}],
                "clusters": [{"name": name, "cluster": {"server": place}}],
                "users": [{"name": name, "user": user}],
            }
        )
    )
    return str(path)


def test_what_an_exec_plugin_says_is_shown_plain(tmp_path):
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", 'printf %s "$SAID" >&2; exit 1'],
        "env": [{"name": "SAID", "value": HOSTILE.replace("\0", "")}],
        "interactiveMode": "Never",
    }
    # No plugin is asked for a token that would go over plain http.
    file = kubeconfig(tmp_path, user={"exec": plugin}, place="https://127.0.0.1:1")
    ended = run(tmp_path, "Job", KUBECONFIG=file)

    assert unseen(ended.err) == set()
    assert f"failed: exit code 1: begins {SHOWN}" in ended.err


def test_what_an_api_server_answers_and_a_kubeconfig_holds_is_shown_plain(tmp_path):
    status = {"kind": "Status", "apiVersion": "v1", "code": 403, "reason": "Forbidden"}
    body = json.dumps(status | {"message": HOSTILE}).encode()
    with answering(b"403 Forbidden", [b"Content-Type: application/json"], body) as place:
        file = kubeconfig(tmp_path, user={}, name=HOSTILE, place=f"http://{place}")
        ended = run(tmp_path, "Job", KUBECONFIG=file)

    assert unseen(ended.err) == set()
    assert "markup[/link] ends" in ended.err
