"""What Luigi logs about itself: kept out of a run that has a view of its own."""

import logging
from pathlib import Path

import luigi

from tac import terminal

_LUIGI = str(Path(luigi.__file__).parent)


def silence_luigi(*, verbose: bool) -> None:
    """Drop what Luigi's own code logs, or with `verbose` show it; a task's own words stay."""
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
