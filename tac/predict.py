"""The step that fits one model on a feature table and predicts the day at its end."""

from __future__ import annotations

import click

from tac.flights import BASELINE, MODELS
from tac.step import Output, progress, step


@step(suffixes=(".parquet", ".csv"))
@click.argument("features")
@click.option("--model", required=True, type=click.Choice((*MODELS, BASELINE)), help="Which model.")
@click.option(
    "--save-model",
    metavar="ADDRESS",
    help="Also publish the fitted model, *.joblib, and what it was made of, *.joblib.json.",
)
def main(out: Output, features: str, model: str, save_model: str | None) -> None:
    """Fit a model on the ten days in FEATURES, and write each flight's chance to be late to OUT.

    OUT has one row for each flight of the day: its probability, and in the columns because_… what
    distinguishes it from a typical flight, in log-odds.

    \b
    python -m tac.predict predictions.csv features.parquet --model logistic
    python -m tac.predict s3://bucket/p.parquet features.parquet --model gradient_boosting
    python -m tac.predict p.parquet features.parquet --model logistic --save-model m.joblib
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.saved_model import check_address, save
    from tac.flights.table import read_files, write_table

    if save_model:
        check_address(save_model)
    with progress(model, total=4) as bar:
        from tac.flights.features import FEATURES
        from tac.flights.models import build_model, fit_model, one_thread
        from tac.flights.predictions import predict

        ((_, table),) = read_files([features], FEATURES, done=bar.advance)
        fitted = build_model(model)
        with one_thread():
            fit_model(fitted, table)
            bar.advance("fitted")
            if save_model:
                save(save_model, model, fitted, table)
            predictions = predict(fitted, table)
        bar.advance(f"{predictions.num_rows} flights")
        with out.create() as file:
            write_table(file, out.suffix, predictions)
        bar.advance(out.address)


if __name__ == "__main__":
    main()
