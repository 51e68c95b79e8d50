"""Defaults of parameters that were set for this run: in Luigi's configuration, in every process.

A task that has a process of its own makes tasks too, and does not inherit what was set here.
"""

from collections.abc import Mapping

from luigi.configuration import LuigiConfigParser, get_config

Defaults = Mapping[tuple[str, str], str]
"""By task family and parameter."""

_set: dict[tuple[str, str], str] = {}


def set_defaults(defaults: Defaults) -> None:
    """Let the tasks of a family have a value, if nobody gives them another."""
    config = get_config()
    for (family, name), text in defaults.items():
        percents = isinstance(config, LuigiConfigParser)  # it fills in %(name)s
        config.set(family, name, text.replace("%", "%%") if percents else text)
    _set.update(defaults)


def defaults() -> Defaults:
    """Return all that were set in this process."""
    return dict(_set)
