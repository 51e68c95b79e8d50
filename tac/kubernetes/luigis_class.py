"""Luigi's KubernetesJobTask, without pykube: what only subclasses it need not load a client.

Luigi's module imports pykube at its head, which takes some 50 ms; its class uses it in its own
`run()`, which ours replaces. Whoever uses that class itself gets pykube at its first use.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LuigisKubernetesJobTask"]

_MODULES = ("pykube.config", "pykube.http", "pykube.objects")
"""From these it imports classes: luigi 3.8.1, luigi/contrib/kubernetes.py."""


class _OnUse:
    """A class that is imported when it is called, or asked for an attribute."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._load()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)

    def _load(self) -> Any:
        module, name = self._place
        return getattr(importlib.import_module(module), name)


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks for
            raise AttributeError(name)
        return _OnUse(self.__name__, name)


@contextlib.contextmanager
def _pykube_on_use() -> Iterator[None]:
    if "pykube" in sys.modules:
        yield
        return
    sys.modules.update({name: _Module(name) for name in _MODULES})
    try:
        yield
    finally:
        for name in _MODULES:
            del sys.modules[name]


with _pykube_on_use():
    from luigi.contrib.kubernetes import KubernetesJobTask as LuigisKubernetesJobTask
