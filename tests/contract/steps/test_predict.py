"""`python -m tac.predict`: the same bytes wherever it runs, and the model beside them if asked."""

import pytest

from tac.flights import BASELINE, MODELS
from tac.flights.features import FEATURES, build_features
from tac.flights.predictions import predict
from tac.flights.saved_model import load
from tac.flights.schema import PREDICTIONS
from tac.flights.table import read_table
from tests.support.flights import encode, predicted, run_step, schedule, window


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "features.parquet"
    path.write_bytes(encode(build_features(window(), schedule())))
    return path


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("model", [*MODELS, BASELINE])
def test_the_bytes_do_not_depend_on_the_threads_of_the_machine(tmp_path, features, model, threads):
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    result = run_step(
        "predict",
        *(tmp_path / "out.parquet", features, "--model", model),
        environment=dict.fromkeys(variables, threads),
    )

    assert result.returncode == 0, result.stderr
    expected = encode(predicted(model, window(), schedule()))
    assert (tmp_path / "out.parquet").read_bytes() == expected


def test_features_and_predictions_may_be_csv(tmp_path, features):
    table = read_table("f.parquet", features.read_bytes(), FEATURES)
    (tmp_path / "f.csv").write_bytes(encode(table, ".csv"))

    result = run_step("predict", "-", tmp_path / "f.csv", "--model", BASELINE)

    assert result.returncode == 0, result.stderr
    read = read_table("out.csv", result.stdout.encode(), PREDICTIONS)
    assert read.equals(predicted(BASELINE, window(), schedule()))


def test_the_model_is_published_with_its_description(tmp_path, features):
    model = tmp_path / "m.joblib"
    result = run_step(
        "predict", tmp_path / "out.parquet", features, "--model", "logistic", "--save-model", model
    )

    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *("out.parquet", "m.joblib", "m.joblib.json"),
    }
    table = read_table("f.parquet", features.read_bytes(), FEATURES)
    assert encode(predict(load(str(model)), table)) == (tmp_path / "out.parquet").read_bytes()


def test_an_address_that_is_none_for_a_model_is_refused_first(tmp_path):
    result = run_step(
        "predict",
        *(tmp_path / "out.parquet", "/nowhere.parquet", "--model", "logistic"),
        *("--save-model", "m.pickle"),
    )

    assert (result.returncode, result.stderr) == (
        2,
        "Error: --save-model m.pickle: does not end in .joblib\n"
        "Hint: --save-model model.joblib also writes model.joblib.json\n",
    )


def test_a_table_that_is_no_feature_table_is_named(tmp_path):
    (tmp_path / "f.csv").write_text("date,carrier\n2023-03-01,B6\n")

    result = run_step("predict", tmp_path / "o.csv", tmp_path / "f.csv", "--model", "logistic")

    names = [column.name for column in FEATURES if column.name not in {"date", "carrier"}]
    assert (result.returncode, result.stderr) == (
        65,
        f"Error: {tmp_path}/f.csv: has no columns {', '.join(names)}; its 2 columns are date,"
        " carrier\n",
    )
    assert not (tmp_path / "o.csv").exists()


def test_an_unknown_model_is_a_usage_error(tmp_path):
    result = run_step("predict", tmp_path / "o.csv", "f.csv", "--model", "oracle")

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "Error: Invalid value for '--model': 'oracle' is not one of 'logistic',"
        " 'gradient_boosting', 'carrier_hour_rate'."
    )
