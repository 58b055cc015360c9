"""What each operation type does: one module a type, which registers its handler by a decorator.

A new operation type is one new module here (and its tests) and nothing else: `asyncservice.service.load_handlers`
imports every module of the package.
"""
