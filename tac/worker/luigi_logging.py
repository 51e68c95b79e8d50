"""Luigi's own log records, which `tac run` does not show beside its view."""

import logging
from pathlib import Path

import luigi

from tac import terminal

_LUIGI = str(Path(luigi.__file__).parent)


def silence_luigi(*, verbose: bool) -> None:
    """Drop the log records of Luigi's own code, or with `verbose` show them; a task's own stay."""
    if verbose:
        handler = terminal.Handler()
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", handlers=[handler])
    for name in ("luigi-interface", "luigi", "luigi.scheduler"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO if verbose else logging.WARNING)
        if not verbose:
            logger.addFilter(_not_luigi_itself)


def _not_luigi_itself(record: logging.LogRecord) -> bool:
    return not record.pathname.startswith(_LUIGI)
