"""Parts of an object that are made when they are first asked for."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["made_once"]

T = TypeVar("T")


class made_once(Generic[T]):
    """A property that is made at its first use, once for all threads. It can also be assigned.

    `functools.cached_property` has had no lock since Python 3.12. A part's lock is shared by all that have it, so that
    making one must take no time and call nobody's code.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "made_once[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object, owner: type) -> "made_once[T] | T":
        if instance is None:
            return self
        parts = vars(instance)
        with self._lock:
            if self._name not in parts:
                parts[self._name] = self._make(instance)
            part: T = parts[self._name]
        return part
