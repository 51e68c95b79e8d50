"""The domain of the reference pipeline: flights out of New York, and which of them will be late.

Only constants live here, so that naming a model or a day loads no library.
"""

import datetime

FIRST_DAY = datetime.date(2023, 1, 1)
LAST_DAY = datetime.date(2023, 12, 31)
"""The bundled year."""

WINDOW_DAYS = 10
"""Days before the predicted one that a model learns from."""

LATE_MINUTES = 15
"""A flight is late when it arrives more than so many minutes after its time."""

MODELS = ("logistic", "gradient_boosting")
"""The models whose average is the prediction."""

BASELINE = "carrier_hour_rate"
"""What they are held against: how often each carrier was late at each hour of the window."""

BUNDLED = "bundled"
"""The source that stands for the year that comes with tac."""

ZONE = "America/New_York"
"""Where the flights leave: their times, and the days of the pipeline, are local there."""

GROUPS = ("hour", "carrier", "origin", "dest", "distance", "yesterday", "flight")
"""What can make a flight likelier to be late; each has a column `because_…` in a prediction."""
