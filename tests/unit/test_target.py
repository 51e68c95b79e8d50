"""Where a path in the store may lead: nowhere else, in any kind of store."""

import pytest

from tac import settings
from tac.errors import ConfigError
from tac.target import in_store


@pytest.fixture(params=["/data/store", "s3://bucket/prefix/", "file:///data/store"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TAC_STORE", request.param)
    settings.current.cache_clear()
    yield request.param.rstrip("/")
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.mark.parametrize("path", ["a", "d/a.txt", "d/", "d/a..b", "...", ".hidden", "d/..a", "a:b"])
def test_a_path_in_the_store_is_below_its_root(root: str, path: str):
    assert in_store(path).path == f"{root}/{path}"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../x", "may lead out of the store by '..'"),
        ("..", "may lead out of the store by '..'"),
        ("d/../../x", "may lead out of the store by '..'"),
        ("d/../x", "may lead out of the store by '..'"),
        ("d/..", "may lead out of the store by '..'"),
        ("./x", "may lead out of the store by '.'"),
        ("/etc/x", "is no path inside the store"),
        ("//x", "is no path inside the store"),
        ("s3://other/x", "is no path inside the store"),
        ("file:///etc/x", "is no path inside the store"),
    ],
)
def test_a_path_that_may_lead_out_of_the_store_is_refused(root: str, path: str, why: str):
    with pytest.raises(ConfigError) as raised:
        in_store(path)

    assert (raised.value.message, raised.value.hint) == (
        f"in_store({path!r}): {why}",
        "write it as from the store's root, such as 'counts/2023-03-01.csv'; "
        "target_at() takes any address",
    )
