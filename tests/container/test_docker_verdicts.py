"""Each way in which a container can end, or not begin, with its remedy."""

import gc
import socket
import threading
from http.server import ThreadingHTTPServer

import pytest

from tac.verdict import Phase, Reason
from tests.support.docker_place import at, message, silent_registry
from tests.support.refusing_registry import Registry

__all__ = ["at", "silent_registry"]

NOT_BEGUN = (
    "step/x: stopped on request before it began\n"
    "Hint: run the same command again: what is finished is kept"
)


@pytest.mark.parametrize(
    ("script", "reason", "code", "detail"),
    [
        ("exit 0", Reason.DONE, 0, "done after"),
        ("echo so >&2; exit 1", Reason.BUG, 1, ": so"),
        ("echo 'Error: no'; echo 'Hint: yes'; exit 2", Reason.USAGE, 2, ", exit code 2: no"),
        ("echo 'Error: bad'; exit 65", Reason.BAD_DATA, 65, ", exit code 65: bad"),
        ("echo 'Error: away'; exit 75", Reason.TRY_AGAIN, 75, ": away"),
        ("exit 143", Reason.STOPPED, 143, "exit code 143 (SIGTERM), which did not come"),
        ("exit 7", Reason.UNKNOWN_EXIT, 7, "exit code 7, which has no meaning"),
        ("exit 137", Reason.KILLED, 137, "killed by exit code 137 (SIGKILL)"),
        ("no-such-program", Reason.CANNOT_START, 127, "no-such-program: not found"),
    ],
)
def test_a_step_is_judged_by_how_its_container_ended(at, script, reason, code, detail):
    verdict = at.sh(script)

    assert (verdict.reason, verdict.exit_code) == (reason, code)
    assert detail in verdict.detail


def test_a_step_at_its_memory_limit_names_the_setting_that_raises_it(at):
    verdict = at.run(
        "python", "-c", "print('begun', flush=True); bytearray(b'x') * (1 << 29)", memory="48Mi"
    )

    assert verdict.reason is Reason.OUT_OF_MEMORY
    assert message(verdict) == (
        "step/x: ran out of memory, exit code 137 (SIGKILL) after T s: begun\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 48Mi); "
        f"log: {at.path}/x.log"
    )


def test_a_program_that_the_image_has_not_is_named_with_the_image(at, image):
    verdict = at.run("no-python", "-m", "tac.fetch")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    first, hint = message(verdict).splitlines()
    assert first.startswith("step/x: could not be started, exit code 127: ")
    assert '"no-python": executable file not found in $PATH' in first
    assert hint == (
        f"Hint: build the program or module into the image '{image}', name another (`--image`), "
        f"or fix the command at the top of {at.path}/x.log"
    )


def test_a_file_that_is_no_program_is_named(at):
    verdict = at.run("/etc/passwd")

    assert (verdict.phase, verdict.reason, verdict.exit_code) == (
        Phase.PENDING,
        Reason.CANNOT_START,
        126,
    )
    assert "/etc/passwd" in verdict.detail
    assert "permission denied" in verdict.detail


def test_a_module_that_the_image_has_not_is_named_with_the_image(at, image):
    verdict = at.run("python", "-m", "no_such_step")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    assert verdict.detail.endswith("python: No module named no_such_step")
    assert (verdict.remedy or "").startswith(
        f"build the program or module into the image '{image}'"
    )


def test_a_missing_image_is_named_with_the_registrys_error(at):
    at.set(TAC_IMAGE="127.0.0.1:1/nobody/tac:none")

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.NO_IMAGE)
    first, hint = message(verdict).splitlines()
    assert first.startswith(
        "step/x: could not be started: there is no image '127.0.0.1:1/nobody/tac:none' here, "
        "and pulling it failed: "
    )
    assert "connection refused" in first
    assert hint == (
        "Hint: `docker build --tag 127.0.0.1:1/nobody/tac:none .` makes it from a checkout; "
        "`--image` names another"
    )


@pytest.fixture
def refusing_registry():
    """The address of a registry that refuses every image as its name says."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_credentials_that_a_registry_rejects_are_not_a_missing_right(at, refusing_registry):
    failures = {}
    for status in (401, 403):
        at.set(TAC_IMAGE=f"{refusing_registry}/{status}/x:y")
        failures[status] = message(at.run("true"))

    assert failures[401] == (
        f"step/x: could not be started: there is no image '{refusing_registry}/401/x:y' here, "
        f"and pulling it failed: {refusing_registry} rejected the credentials (401 Unauthorized): "
        f"unauthorized: unauthorized\nHint: `docker login {refusing_registry}`"
    )
    assert failures[403] == (
        f"step/x: could not be started: there is no image '{refusing_registry}/403/x:y' here, "
        f"and pulling it failed: pull access denied for {refusing_registry}/403/x, "
        "repository does not exist or may require 'docker login': denied: denied\n"
        f"Hint: `docker build --tag {refusing_registry}/403/x:y .` makes it from a checkout; "
        "`--image` names another"
    )


@pytest.mark.filterwarnings("ignore:docker-credential-nowhere not installed:UserWarning")
def test_unreadable_credentials_of_a_registry_are_not_an_outage_of_the_engine(at):
    (at.path / "config.json").write_text('{"credsStore": "nowhere"}')
    at.set(TAC_IMAGE="127.0.0.1:1/nobody/tac:none", DOCKER_CONFIG=str(at.path))

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.NO_IMAGE)
    assert message(verdict) == (
        "step/x: could not be started: there is no image '127.0.0.1:1/nobody/tac:none' here, "
        "and pulling it failed: the registry's credentials cannot be read: "
        "docker-credential-nowhere not installed or not available in PATH\n"
        "Hint: install the program that it names, or take `credsStore` and `credHelpers` "
        "out of ~/.docker/config.json"
    )


def test_a_driver_that_waits_for_a_registry_can_be_stopped(at, silent_registry):
    at.set(TAC_IMAGE=f"{silent_registry.address}/nobody/tac:none")

    with at.running("true") as first, at.running("echo another") as second:
        assert silent_registry.asked.wait(60)
        at.stop.set()

    assert [message(verdict) for verdict in first + second] == [NOT_BEGUN, NOT_BEGUN]


def test_a_runner_that_is_closed_waits_for_no_registry(at, silent_registry):
    at.set(TAC_IMAGE=f"{silent_registry.address}/nobody/tac:none")

    with at.running("true") as verdicts:
        assert silent_registry.asked.wait(60)
        at.close()

    assert [message(verdict) for verdict in verdicts] == [NOT_BEGUN]


START = (
    "start it (`sudo systemctl start docker`, or Docker Desktop), name another by DOCKER_HOST, "
    "or use `--runner local`"
)


# The docker package forgets to close a socket that it could not connect.
leaves_a_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def collected():
    yield
    gc.collect()


@leaves_a_socket
@pytest.mark.usefixtures("collected")
def test_no_engine_is_a_verdict_that_says_how_to_get_one(at):
    at.set(DOCKER_HOST=f"unix://{at.path}/none.sock")

    verdict = at.run("true")

    assert verdict.reason is Reason.NO_ENGINE
    assert message(verdict) == (
        f"step/x: could not be started: docker engine at unix://{at.path}/none.sock: "
        f"does not answer: No such file or directory\nHint: {START}"
    )


@leaves_a_socket
@pytest.mark.usefixtures("collected")
def test_an_engine_that_left_its_socket_behind_is_no_engine(at):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("d.sock")
        at.set(DOCKER_HOST=f"unix://{at.path}/d.sock")

        verdict = at.run("true")

    assert message(verdict) == (
        f"step/x: could not be started: docker engine at unix://{at.path}/d.sock: "
        f"does not answer: Connection refused\nHint: {START}"
    )


def test_a_limit_that_is_no_amount_is_a_wrong_setting(at):
    verdict = at.run("true", memory="much")

    assert message(verdict) == (
        "step/x: could not be started: memory: 'much' is not an amount\n"
        "Hint: write it like 512Mi or 2Gi"
    )


def test_the_processors_of_a_step_are_limited(at):
    with at.running("sleep 600", cpu="500m", memory="64Mi"):
        limits = at.container()["HostConfig"]
        at.stop.set()

    assert (limits["NanoCpus"], limits["Memory"]) == (500_000_000, 64 << 20)
