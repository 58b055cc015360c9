"""What each operation type does: one module a type, which registers its handler by a decorator.

A new operation type is one new module here (and its tests) and nothing else: `load` finds it.
"""

import pkgutil
from importlib import import_module

from asyncservice.operations.handling import Registry, registry


def load() -> Registry:
    """Import every module of this package, so that its handlers register. Safe to repeat."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return registry
