"""The elements of an environment, one class and one file each.

A function with `@planned` yields the elements of one kind that a plan asks for. Every module of this package
is imported for that, so a new kind of element is one new file here. Balancer, PostgreSQL and etcd have rooms
of their own; `infrastructure` says when an environment has them.
"""

from importlib import import_module
from pkgutil import iter_modules

from labkit.environment._plan import Plan
from labkit.environment.elements._registry import elements_of, planned

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Plan", "elements_of", "planned"]
