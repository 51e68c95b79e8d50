"""Addresses: which store they mean, and which are refused."""

import pytest

from tac import settings
from tac.errors import ConfigError
from tac.store import is_partial, store_of
from tac.store.files import Files
from tac.store.s3 import S3, _collection_of
from tac.store.s3_client import S3Location, location_of
from tac.store.s3_publish import root_of


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("a", Files),
        ("/a/b", Files),
        ("./a:b", Files),
        ("file:///a/b", Files),
        ("s3://bucket/key", S3),
    ],
)
def test_an_address_tells_its_store(address: str, kind: type):
    assert type(store_of(address)) is kind
    assert store_of(address) is store_of(address)


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        (
            "gs://bucket/key",
            "'gs://bucket/key': there is no store for gs:// addresses",
            "write a local path, or s3://bucket/key",
        ),
        (
            "S3://bucket/key",
            "'S3://bucket/key': there is no store for S3:// addresses",
            "write a local path, or s3://bucket/key",
        ),
    ],
)
def test_an_unknown_kind_of_store_is_refused(address: str, message: str, hint: str):
    with pytest.raises(ConfigError) as raised:
        store_of(address)
    assert (raised.value.message, raised.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://", "s3://: '' cannot be a bucket's name"),
        ("s3:///key", "s3:///key: '' cannot be a bucket's name"),
        ("s3://ab/key", "s3://ab/key: 'ab' cannot be a bucket's name"),
        ("s3://a b c/key", "s3://a b c/key: 'a b c' cannot be a bucket's name"),
        ("s3://bucket", "s3://bucket: names a folder, not an object"),
        ("s3://bucket/", "s3://bucket/: names a folder, not an object"),
        ("s3://bucket/a/", "s3://bucket/a/: names a folder, not an object"),
        ("s3://key:secret@bucket/a", "s3://***@bucket/a: credentials do not belong in an address"),
    ],
)
def test_what_cannot_be_an_object_is_refused(address: str, message: str):
    with pytest.raises(ConfigError) as raised:
        location_of(address)
    assert raised.value.message == message


def test_an_object_has_a_bucket_and_a_key():
    assert location_of("s3://bucket/a/b c?#%") == S3Location("bucket", "a/b c?#%")
    assert location_of("s3://bucket", prefix=True) == S3Location("bucket", "")
    assert str(location_of("s3://bucket/a/b")) == "s3://bucket/a/b"
    assert [location_of(f"s3://bucket/{key}").folder for key in ("a", "a/b", "a/b/c")] == [
        "",
        "a/",
        "a/b/",
    ]


@pytest.mark.parametrize(
    ("store", "root", "collection"),
    [
        ("tac-store", "", "team/"),
        ("s3://other/team", "", "team/"),
        ("s3://bucket", "", "team/"),
        ("s3://bucket/team", "team/", "team/predictions/"),
        ("s3://bucket/team/", "team/", "team/predictions/"),
        ("s3://bucket/team/predictions", "team/predictions/", "team/predictions/2023-03-01/"),
        ("s3://bucket/tea", "", "team/"),
    ],
)
def test_keys_are_listed_by_the_first_folder_below_the_store(
    monkeypatch: pytest.MonkeyPatch, store: str, root: str, collection: str
):
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(store=store))
    place = S3Location("bucket", "team/predictions/2023-03-01/logistic.parquet")

    assert (root_of(place), _collection_of(place)) == (root, collection)


def test_a_key_without_a_folder_is_listed_with_its_neighbours():
    assert _collection_of(S3Location("bucket", "a")) == ""


@pytest.mark.parametrize(
    ("name", "partial"),
    [(".a.0123.partial", True), ("a.partial", False), (".partial-a", False), ("a", False)],
)
def test_unfinished_files_are_recognised_by_their_names(name: str, partial: bool):
    assert is_partial(name) is partial
