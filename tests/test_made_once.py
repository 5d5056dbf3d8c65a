"""A part of an object that is made at its first use."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fake_server.made_once import made_once


class Whole:
    """Has a part, and counts how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.all_have_come = threading.Barrier(2, timeout=5)
        self.two_make_it = threading.Barrier(2, timeout=0.05)

    @made_once
    def part(self) -> object:
        """A thing."""
        self.made += 1
        with contextlib.suppress(threading.BrokenBarrierError):
            self.two_make_it.wait()
        return object()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Two threads."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_part_is_made_when_it_is_asked_for_and_never_again() -> None:
    whole = Whole()

    assert whole.made == 0
    assert whole.part is whole.part
    assert whole.made == 1


def test_each_object_has_its_own() -> None:
    assert Whole().part is not Whole().part


def test_part_can_be_assigned_and_is_then_not_made() -> None:
    whole, part = Whole(), object()

    whole.part = part

    assert whole.part is part
    assert whole.made == 0


def test_threads_that_come_at_once_get_the_same(pool: ThreadPoolExecutor) -> None:
    whole = Whole()

    def ask() -> object:
        whole.all_have_come.wait()
        return whole.part

    asked = [pool.submit(ask) for _ in range(2)]

    assert asked[0].result() is asked[1].result()
    assert whole.made == 1


def test_class_itself_has_the_property_and_its_docstring() -> None:
    assert isinstance(Whole.part, made_once)
    assert Whole.part.__doc__ == "A thing."
