"""Saved models: they come back as they were, or not at all."""

import io
import json

import pytest

from tac.errors import ConfigError, DataError, StorageError
from tac.flights import BASELINE, MODELS
from tac.flights.features import build_features
from tac.flights.models import build_model, fit_model, one_thread
from tac.flights.predictions import predict
from tac.flights.saved_model import check_address, load, save
from tests.support.flights import encode, schedule, window


@pytest.fixture(scope="module")
def features():
    return build_features(window(), schedule())


@pytest.fixture
def saved(features, tmp_path):
    model = build_model("logistic")
    with one_thread():
        fit_model(model, features)
    save(str(tmp_path / "m.joblib"), "logistic", model, features)
    return tmp_path / "m.joblib"


@pytest.mark.parametrize("name", [*MODELS, BASELINE])
def test_a_saved_model_predicts_the_same(features, tmp_path, name):
    model = build_model(name)
    address = str(tmp_path / "m.joblib")
    with one_thread():
        fit_model(model, features)
        save(address, name, model, features)
        again = load(address)

        assert encode(predict(again, features)) == encode(predict(model, features))


def test_the_description_says_what_it_was_made_of(saved, features):
    description = json.loads(saved.with_name("m.joblib.json").read_text())

    assert list(description) == ["model", "sha256", "bytes", "parameters", "features", "versions"]
    assert description["model"] == "logistic"
    assert description["bytes"] == saved.stat().st_size
    assert description["parameters"] == {"C": 0.003, "max_iter": 300}
    assert description["features"]["first"] == "2023-02-19"
    assert description["features"]["last"] == "2023-03-01"
    assert description["features"]["rows"] == features.num_rows
    assert set(description["versions"]) == {
        *("tac", "python", "joblib", "numpy", "pyarrow", "scikit-learn", "scipy"),
    }


def test_saving_it_again_changes_nothing(saved, features):
    before = saved.read_bytes()
    model = build_model("logistic")
    with one_thread():
        fit_model(model, features)
    save(str(saved), "logistic", model, features)

    assert saved.read_bytes() == before


def test_another_model_is_not_overwritten(saved, features):
    model = build_model(BASELINE)
    fit_model(model, features)
    with pytest.raises(StorageError) as caught:
        save(str(saved), BASELINE, model, features)

    assert (caught.value.message, caught.value.hint) == (
        f"{saved}: another model is there, and nothing is overwritten",
        "give --save-model an address of its own",
    )


def test_a_file_that_is_not_the_described_one_is_never_loaded(saved):
    import joblib

    other = io.BytesIO()
    joblib.dump({"not": "a model"}, other)
    described = json.loads(saved.with_name("m.joblib.json").read_text())["sha256"]
    saved.unlink()
    saved.write_bytes(other.getvalue())

    with pytest.raises(
        DataError,
        match=rf"^{saved}: is not the model of its description: sha256 .+, not {described[:12]}…$",
    ):
        load(str(saved))


def test_another_version_is_named(saved):
    path = saved.with_name("m.joblib.json")
    description = json.loads(path.read_text())
    here = description["versions"]["scikit-learn"]
    description["versions"]["scikit-learn"] = "0.1"
    path.unlink()
    path.write_text(json.dumps(description))

    with pytest.raises(DataError) as caught:
        load(str(saved))

    assert (caught.value.message, caught.value.hint) == (
        f"{saved}: was made with scikit-learn 0.1, and here is {here}",
        "pip install 'scikit-learn==0.1', or fit the model again",
    )


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"[]", b"{}", b'{"sha256": 1, "versions": {}}', b"[" * 100_000, b"null"],
)
def test_what_is_no_description_is_bad_data(saved, text):
    path = saved.with_name("m.joblib.json")
    path.write_bytes(text)

    with pytest.raises(DataError) as caught:
        load(str(saved))

    assert (caught.value.message, caught.value.hint) == (
        f"{path}: is no description of a model",
        "--save-model writes one beside a model",
    )


def test_the_address_of_a_model_ends_in_joblib():
    check_address("s3://bucket/m.joblib")
    with pytest.raises(ConfigError) as caught:
        check_address("m.pickle")

    assert (caught.value.message, caught.value.hint) == (
        "--save-model m.pickle: does not end in .joblib",
        "--save-model model.joblib also writes model.joblib.json",
    )
