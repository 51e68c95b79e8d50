"""Defaults of parameters that were set for this run, in Luigi's configuration of every process.

A task in a process of its own creates tasks too, and does not inherit the configuration set here.
"""

from collections.abc import Mapping

from luigi.configuration import LuigiConfigParser, get_config

Defaults = Mapping[tuple[str, str], str]
"""By task family and parameter."""

_set: dict[tuple[str, str], str] = {}


def set_defaults(defaults: Defaults) -> None:
    """Set the default value of parameters of task families."""
    config = get_config()
    for (family, name), text in defaults.items():
        percents = isinstance(config, LuigiConfigParser)  # it fills in %(name)s
        config.set(family, name, text.replace("%", "%%") if percents else text)
    _set.update(defaults)


def defaults() -> Defaults:
    """Return those that were set in this process."""
    return dict(_set)
