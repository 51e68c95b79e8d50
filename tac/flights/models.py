"""The models, fitted on a feature table, which predict the day's flights.

A model is fitted on the rows with a known `late` and predicts the others.
Beside each probability stand the contributions, in log-odds: how far each group of features moves
the flight away from one with the mean features of the window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from tac.errors import ConfigError, DataError
from tac.flights import BASELINE, GROUPS
from tac.flights.features import GROUP_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tac.flights.table import Table

Array: TypeAlias = Any

SEED = 20230101

_NAMES = tuple(GROUP_OF)
_LEVEL = "level"  # of the day, in the last column
_COLUMNS = {
    group: np.array(
        [
            column
            for column, name in enumerate((*_NAMES, _LEVEL))
            if GROUP_OF.get(name, "yesterday") == group
        ]
    )
    for group in GROUPS
}
_LEVEL_PRIOR = 50.0  # flights
_LEVEL_SCALE = 3.0  # a larger feature is regularized less: the level is no detail
_YESTERDAY = 0.5
_CLIP = 3.0  # standard deviations: one strange route must not rule a linear model
_FEWEST_FLIGHTS = 100


class Model(Protocol):
    """A model that can be fitted, asked, explained, and saved."""

    parameters: Mapping[str, Any]

    def fit(self, flights: Table, late: Array) -> None:
        """Learn from flights whose outcome is known; `late` is an array of 0 and 1."""

    def probabilities(self, flights: Table) -> Array:
        """Return the chance of each flight to be late."""

    def contributions(self, flights: Table) -> dict[str, Array]:
        """Return for each group what it adds to the log-odds of each flight."""


def log_odds(probability: Array) -> Array:
    """Return the log-odds of a probability."""
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _matrix(flights: Table) -> Array:
    return np.column_stack([flights.column(name).to_numpy() for name in _NAMES])


class _DayLevels:
    """How late each day of the window was as a whole, and how much each says about the next day.

    A model with the level of a day as a feature need not derive it from the others, and learns
    from what differs within days. The level of the day to predict is not known: its flights are
    predicted once with the level of each day of the window, and the predictions are averaged.
    After a bad day comes another one more often than not, so yesterday counts as much as
    all days together: that alone lowers the log loss by 1.7 % (docs/models.md).
    """

    def __init__(self, flights: Table, late: Array) -> None:
        dates = np.array(flights.column("date").to_pylist())
        days, place = np.unique(dates, return_inverse=True)
        count, total = np.bincount(place), np.bincount(place, late)
        self.values = log_odds((total + _LEVEL_PRIOR * late.mean()) / (count + _LEVEL_PRIOR))
        self.of_flights = self.values[place]
        self.weights = np.full(len(days), (1 - _YESTERDAY) / len(days))
        self.weights[-1] += _YESTERDAY
        self.mean = float(self.values.mean())
        self.expected = float(self.weights @ self.values)

    def average(self, predict: Callable[[float], Array]) -> Array:
        """Return the weighted mean of `predict` at the level of each day."""
        answers = [predict(float(level)) for level in self.values]
        return self.weights @ np.array(answers)


@dataclass
class Logistic:
    """Logistic regression on standardized, clipped features: its contributions are exact."""

    parameters: Mapping[str, Any] = field(default_factory=lambda: {"C": 0.003, "max_iter": 300})

    def __post_init__(self) -> None:
        from sklearn.linear_model import LogisticRegression

        self._model = LogisticRegression(**self.parameters)

    def fit(self, flights: Table, late: Array) -> None:
        """Learn from flights whose outcome is known."""
        features = _matrix(flights)
        self._mean, self._scale = features.mean(axis=0), features.std(axis=0) + 1e-9
        self._levels = _DayLevels(flights, late)
        self._model.fit(self._standardized(features, self._levels.of_flights), late)

    def _standardized(self, features: Array, level: Array | float) -> Array:
        standardized = np.clip((features - self._mean) / self._scale, -_CLIP, _CLIP)
        shift = np.broadcast_to((level - self._levels.mean) * _LEVEL_SCALE, len(features))
        return np.column_stack([standardized, shift])

    def probabilities(self, flights: Table) -> Array:
        """Return the chance of each flight to be late."""
        features = _matrix(flights)
        return self._levels.average(
            lambda level: self._model.predict_proba(self._standardized(features, level))[:, 1]
        )

    def contributions(self, flights: Table) -> dict[str, Array]:
        """Return coefficients times features, which are differences from the mean already."""
        standardized = self._standardized(_matrix(flights), self._levels.expected)
        parts = standardized * self._model.coef_[0]
        return {group: parts[:, columns].sum(axis=1) for group, columns in _COLUMNS.items()}


@dataclass
class GradientBoosting:
    """Small trees, in which a worse record can only mean a higher chance.

    Larger and freer ones learn the days of the window by heart.
    """

    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {
            "max_iter": 80,
            "learning_rate": 0.05,
            "max_leaf_nodes": 8,
            "min_samples_leaf": 60,
            "l2_regularization": 5.0,
            "max_features": 0.25,
            "monotonic_cst": [int(_is_record(name)) for name in (*_NAMES, _LEVEL)],
            "early_stopping": False,
            "random_state": SEED,
        }
    )

    def __post_init__(self) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self._model = HistGradientBoostingClassifier(**self.parameters)

    def fit(self, flights: Table, late: Array) -> None:
        """Learn from flights whose outcome is known."""
        self._levels = _DayLevels(flights, late)
        features = np.column_stack([_matrix(flights), self._levels.of_flights])
        self._typical = features.mean(axis=0)
        self._model.fit(features, late)

    def probabilities(self, flights: Table) -> Array:
        """Return the chance of each flight to be late."""
        features = _matrix(flights)
        return self._levels.average(
            lambda level: self._model.predict_proba(_with_level(features, level))[:, 1]
        )

    def contributions(self, flights: Table) -> dict[str, Array]:
        """Return the change when the group's features are those of a typical flight."""
        features = _with_level(_matrix(flights), self._levels.expected)
        own = self._model.decision_function(features)
        found = {}
        for group, columns in _COLUMNS.items():
            without = features.copy()
            without[:, columns] = self._typical[columns]
            found[group] = own - self._model.decision_function(without)
        return found


def _with_level(features: Array, level: float) -> Array:
    return np.column_stack([features, np.full(len(features), level)])


def _is_record(name: str) -> bool:
    return name.endswith(("_record", "_delay", "_gain", "_yesterday", _LEVEL))


@dataclass
class CarrierHourRate:
    """How often flights of this carrier were late at this hour, shrunk to the rate of all."""

    parameters: Mapping[str, Any] = field(default_factory=lambda: {"prior": 10.0})

    def fit(self, flights: Table, late: Array) -> None:
        """Learn from flights whose outcome is known."""
        self._all = float(late.mean())
        self._by_hour = self._rates(flights.column("hour").to_pylist(), late)
        pairs = zip(
            flights.column("carrier").to_pylist(), flights.column("hour").to_pylist(), strict=True
        )
        self._by_both = self._rates(list(pairs), late)

    def _rates(self, keys: list[Any], late: Array) -> dict[Any, float]:
        prior = self.parameters["prior"]
        sums: dict[Any, list[float]] = {}
        for key, was_late in zip(keys, late.tolist(), strict=True):
            cell = sums.setdefault(key, [prior * self._all, prior])
            cell[0] += was_late
            cell[1] += 1
        return {key: total / count for key, (total, count) in sums.items()}

    def probabilities(self, flights: Table) -> Array:
        """Return the rate of each flight's carrier and hour."""
        pairs = zip(
            flights.column("carrier").to_pylist(), flights.column("hour").to_pylist(), strict=True
        )
        return np.array([self._by_both.get(pair, self._all) for pair in pairs])

    def contributions(self, flights: Table) -> dict[str, Array]:
        """Return the contribution of the hour, and of the carrier at that hour."""
        hour = np.array(
            [self._by_hour.get(hour, self._all) for hour in flights.column("hour").to_pylist()]
        )
        found = {group: np.zeros(flights.num_rows) for group in GROUPS}
        found["hour"] = log_odds(hour) - log_odds(self._all)
        found["carrier"] = log_odds(self.probabilities(flights)) - log_odds(hour)
        return found


_MODELS: dict[str, Callable[[], Model]] = {
    "logistic": Logistic,
    "gradient_boosting": GradientBoosting,
    BASELINE: CarrierHourRate,
}


def build_model(name: str) -> Model:
    """Return the model `name`, not fitted; the libraries it needs are loaded afterwards.

    Raises:
        ConfigError: there is no such model.
    """
    if name not in _MODELS:
        raise ConfigError(f"model {name!r}: does not exist", hint=f"models: {', '.join(_MODELS)}")
    return _MODELS[name]()


def fit_model(model: Model, features: Table) -> None:
    """Fit `model` on the flights of a feature table whose outcome is known.

    Raises:
        DataError: too few flights with an outcome.
    """
    known = features.filter(features.column("late").is_valid())
    late = np.array(known.column("late").to_pylist(), dtype=float)
    if known.num_rows < _FEWEST_FLIGHTS or not 0 < late.sum() < len(late):
        raise DataError(
            f"the features: a model cannot be fitted: {known.num_rows} flights with an outcome"
            f" (at least {_FEWEST_FLIGHTS}), {int(late.sum())} of them late"
        )
    model.fit(known, late)


def one_thread() -> Any:
    """Return a context in which BLAS and OpenMP use one thread: then sums do not vary.

    It holds for the libraries that are loaded when it begins: build the model before.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
