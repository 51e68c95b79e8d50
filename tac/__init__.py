"""tac: Luigi pipelines whose every task is one container."""

__version__ = "0.1.0"
