"""A real Docker engine, and the image under test in it.

The engine is the one that DOCKER_HOST names or that answers here; else one is started, by root,
with its data in the user's cache, so that a second session builds nothing anew. Sessions that run
at once share it, and the last one stops it.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

import tac

REPOSITORY = Path(__file__).parents[2]
HELPERS = REPOSITORY / "hack/docker"
CONTEXT = (
    "Dockerfile",
    ".dockerignore",
    "LICENSE",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
)
"""What an image is built from, beside the package."""

DEFAULT_BASE = "python:3.13-slim"
TAG = os.environ.get("TAC_TEST_TAG", "tac:test")  # noqa: TID251 # two checkouts on one machine
ANSWER_SECONDS = 30
BUILD_SECONDS = 1200
# Debian's client builds as this file asks; a newer one elsewhere on the path may want a plugin.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers."""

    host: str

    def client(self) -> docker.DockerClient:
        """The docker package's client; the caller closes it."""
        return docker.DockerClient(base_url=self.host, timeout=ANSWER_SECONDS)

    def command(self, *words: str, timeout: float = ANSWER_SECONDS) -> str:
        """Run a command of docker's own command line and return what it prints."""
        return _run("docker", *words, environment=self.environment(), timeout=timeout)

    def environment(self) -> dict[str, str]:
        """What another process needs to reach it."""
        return {"DOCKER_HOST": self.host}


def build_image(engine: Engine, context: Path, tag: str, *options: str) -> None:
    """Build the Dockerfile of a folder as this machine can: its base, its pip's settings."""
    with contextlib.ExitStack() as stack:
        secret = stack.enter_context(_file_of(pip_settings()))
        engine.command(
            "build",
            "--quiet",
            f"--tag={tag}",
            # Packages are fetched as this machine fetches them, wherever its network ends.
            "--network=host",
            f"--build-arg=BASE={base_image(engine)}",
            f"--build-arg=VERSION={tac.__version__}",
            f"--secret=id=pip.conf,src={secret}",
            *options,
            str(context),
            timeout=BUILD_SECONDS,
        )


def base_image(engine: Engine) -> str:
    """The base of the image: the one that is named, or there, or can be made without a registry."""
    environment = os.environ  # noqa: TID251 # not a setting of tac's
    named = environment.get("TAC_TEST_BASE", DEFAULT_BASE)
    if "TAC_TEST_BASE" in environment or _image_id(engine, named):
        return named
    script = str(HELPERS / "base-image.sh")
    made = _run(script, environment=engine.environment(), timeout=BUILD_SECONDS)
    return made.splitlines()[-1]


def pip_settings() -> str:
    """How pip reaches its index from here, as a pip.conf; settings of the user alone stay out."""
    kept = {"cert", "index-url", "extra-index-url", "trusted-host", "proxy", "timeout"}
    listed = _run(sys.executable, "-m", "pip", "config", "list", environment={}, timeout=60)
    settings = dict(line.partition("=")[::2] for line in listed.splitlines())
    lines = {
        f"{name} = {value[1:-1]}"
        for name, value in ((key.rpartition(".")[2], value) for key, value in settings.items())
        if name in kept
    }
    return "\n".join(["[global]", *sorted(lines), ""])


def _image_id(engine: Engine, name: str) -> str:
    """The id of an image, or nothing when there is none of that name."""
    return engine.command("images", "--quiet", "--no-trunc", name).strip()


@contextlib.contextmanager
def _file_of(text: str) -> Iterator[Path]:
    """A file that only its owner reads, until the block ends."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def _run(*command: str, environment: dict[str, str], timeout: float) -> str:
    own = os.environ  # noqa: TID251 # a child's environment
    ended = subprocess.run(
        command,
        env={**own, "DOCKER_BUILDKIT": "1", **environment, "PATH": f"{PATH}:{own.get('PATH', '')}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {ended.returncode}\n{ended.stderr[-4000:]}")
    return ended.stdout


def _running_engine() -> str | None:
    """The address of the engine that the docker command finds, if it answers."""
    with contextlib.suppress(RuntimeError, FileNotFoundError):
        _run("docker", "version", environment={}, timeout=ANSWER_SECONDS)
        named = os.environ.get("DOCKER_HOST")  # noqa: TID251 # Docker's own
        return (
            named
            or _run(
                "docker",
                "context",
                "inspect",
                "--format",
                "{{.Endpoints.docker.Host}}",
                environment={},
                timeout=ANSWER_SECONDS,
            ).strip()
        )
    return None


@contextlib.contextmanager
def _own_engine(folder: Path) -> Iterator[str]:
    """An engine in `folder`, started by the first session that asks and stopped by the last one."""
    script = str(HELPERS / "engine.sh")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users.lock").open("w") as users, (folder / "starting.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        host = _run(script, "start", str(folder), environment={}, timeout=120).strip()
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(alone, fcntl.LOCK_UN)
        try:
            yield host
        finally:
            fcntl.flock(alone, fcntl.LOCK_EX)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _run(script, "stop", str(folder), environment={}, timeout=120)


@contextlib.contextmanager
def running_engine() -> Iterator[Engine]:
    """The engine that answers here, or one of our own until the block ends."""
    running = _running_engine()
    if running is not None:
        yield Engine(running)
        return
    with _own_engine(Path.home() / ".cache/tac-docker/engine") as host:
        yield Engine(host)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine; none to be had is an error that says what to install."""
    with running_engine() as found:
        yield found


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The tag of the image under test: the one that TAC_TEST_IMAGE names, or this checkout's."""
    named = os.environ.get("TAC_TEST_IMAGE")  # noqa: TID251 # not a setting of tac's
    if named:
        return named
    before = _image_id(engine, TAG)
    build_image(engine, REPOSITORY, TAG)
    if before and before != _image_id(engine, TAG):
        with contextlib.suppress(RuntimeError):  # another session may be using it
            engine.command("image", "rm", before)
    return TAG
