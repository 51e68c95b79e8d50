"""What is refused where others read a command: a secret among its words."""

import json

import pytest

from tac import settings
from tac.errors import ConfigError
from tac.runners.detached import refuse_secrets
from tac.runners.docker import DockerRunner
from tac.runners.kubernetes import KubernetesRunner

SOURCE = "https://me:hush@host/{date}.parquet"


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """Let a test choose settings, and a Kubernetes that gets no request."""
    kubeconfig = {
        "current-context": "there",
        "contexts": [{"name": "there", "context": {"cluster": "c", "namespace": "flights"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://there:6443"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    def choose(**values):
        monkeypatch.setattr(settings, "current", lambda: settings.Settings(**values))

    return choose


@pytest.mark.parametrize(
    "word",
    [
        *("https://me:hush@host/x", "https://hush@host/x", "--in=https://host/x?token=hush"),
        *("https://host/x?X-Amz-Signature=hush", "postgresql://me:hush@db/x"),
    ],
)
def test_a_word_with_a_secret_is_refused_and_not_quoted(word):
    with pytest.raises(ConfigError) as caught:
        refuse_secrets(["python", word], about="others read it", hint="leave it out")

    assert caught.value.message.endswith(": has a password or a key in it, and others read it")
    assert "hush" not in repr(caught.value)


def test_arguments_without_a_secret_are_accepted():
    words = ["https://host/{date:%Y}.csv?page=3", "s3://bucket/a@b", "ssh://me@host", "a:b@c"]

    refuse_secrets(words, about="", hint="")


def test_a_source_with_a_password_is_refused_before_anything_runs_in_docker(chosen):
    chosen(source=SOURCE)

    with pytest.raises(ConfigError) as caught:
        DockerRunner().preflight()

    assert (caught.value.message, caught.value.hint) == (
        "'https://***@host/{date}.parquet': has a password or a key in it, and everyone with access"
        " to the engine can read a container's command",
        "leave it out, and set TAC_SOURCE_AUTHORIZATION, such as 'Bearer …': containers get it in"
        " a file that only you can read",
    )


@pytest.mark.parametrize(
    ("secret", "where"),
    [
        (
            "tac-s3",
            "the Secret tac-s3: `kubectl --context there --namespace flights edit secret tac-s3`",
        ),
        ("", "a Secret, named by TAC_KUBERNETES_SECRET"),
    ],
)
def test_a_source_with_a_password_is_refused_before_anything_runs_on_kubernetes(
    chosen, secret, where
):
    chosen(source=SOURCE, store="s3://bucket/prefix", kubernetes_secret=secret)

    with pytest.raises(ConfigError) as caught:
        KubernetesRunner().preflight()

    assert (caught.value.message, caught.value.hint) == (
        "'https://***@host/{date}.parquet': has a password or a key in it, and whoever may read"
        " the Jobs of namespace flights reads their commands",
        f"leave it out, and put TAC_SOURCE_AUTHORIZATION, such as 'Bearer …', into {where}",
    )
