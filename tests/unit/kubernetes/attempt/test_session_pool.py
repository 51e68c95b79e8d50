"""Which tasks of a process share a session, and when it is closed."""

import json

import pytest

from tac import settings
from tac.kubernetes.attempt import session_pool
from tac.kubernetes.attempt.session_pool import SessionKey, acquire, acquire_session, release

HERE, THERE = "https://here:6443", "https://there:6443"
CONTEXTS = {
    "here": {"cluster": "here", "user": "me", "namespace": "flights"},
    "same": {"cluster": "here-too", "user": "me-too", "namespace": "flights"},
    "unverified": {"cluster": "unverified", "user": "me", "namespace": "flights"},
    "another-user": {"cluster": "here", "user": "you", "namespace": "flights"},
    "there": {"cluster": "there", "user": "me", "namespace": "flights"},
}
CLUSTERS = {
    "here": {"server": HERE},
    "here-too": {"server": f"{HERE}/"},
    "unverified": {"server": HERE, "insecure-skip-tls-verify": True},
    "there": {"server": THERE},
}
USERS = {"me": {"token": "m"}, "me-too": {"token": "m"}, "you": {"token": "y"}}


def named(several, one):
    return [{"name": name, one: content} for name, content in several.items()]


def write_kubeconfig(path, current):
    config = {
        "current-context": current,
        "contexts": named(CONTEXTS, "context"),
        "clusters": named(CLUSTERS, "cluster"),
        "users": named(USERS, "user"),
    }
    path.write_text(json.dumps(config))
    return str(path)


@pytest.fixture
def config(monkeypatch, tmp_path):
    """A kubeconfig of API servers that are asked nothing; no session is left."""
    path = write_kubeconfig(tmp_path / "config", "here")
    monkeypatch.setenv("KUBECONFIG", path)
    settings.current.cache_clear()
    yield tmp_path
    session_pool.close_all()
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.mark.parametrize(
    ("context", "key", "is_same"),
    [
        ("here", SessionKey(), True),
        ("here", SessionKey("flights"), True),
        ("here", SessionKey("trains"), False),
        ("same", SessionKey(), True),
        ("unverified", SessionKey(), False),
        ("another-user", SessionKey(), False),
        ("there", SessionKey(), False),
    ],
)
def test_one_session_for_each_api_server_namespace_and_user_however_it_is_spelled(
    config, context, key, is_same
):
    first = acquire(SessionKey())
    path = write_kubeconfig(config / "another", context)

    second = acquire(SessionKey(key.namespace, kubeconfig=path))

    assert (second is first) == is_same


def test_another_kubeconfig_in_the_environment_is_another_spelling(config, monkeypatch):
    first = acquire(SessionKey())
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(config / "another", "there"))

    assert acquire(SessionKey()).client.place.server == THERE
    assert first.client.place.server == HERE


def test_one_user_that_closes_it_does_not_close_it_under_another(config):
    runner, task = acquire(SessionKey()), acquire(SessionKey())
    release(runner, close=True)

    assert acquire(SessionKey()) is task

    release(task)
    release(task, close=True)
    assert acquire(SessionKey()) is not task


def test_a_task_that_has_ended_leaves_it_to_the_next(config):
    with acquire_session(SessionKey()) as first:
        pass
    with acquire_session(SessionKey()) as second:
        session_pool.close_all()

    assert second is first
    assert acquire(SessionKey()) is not first


def test_jobs_are_left_by_all_users_or_by_none(config):
    one, other = acquire(SessionKey()), acquire(SessionKey("trains"))
    before = [one.keeps_jobs_on_stop, other.keeps_jobs_on_stop]

    session_pool.leave_on_stop()

    assert (before, [one.keeps_jobs_on_stop, other.keeps_jobs_on_stop]) == (
        [False, False],
        [True, True],
    )
