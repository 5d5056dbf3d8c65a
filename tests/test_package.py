"""The two packages: what is public is what `__all__` lists."""

from types import ModuleType

import pytest

import fake_server
import pytest_sc_auth

packages = pytest.mark.parametrize("package", [fake_server, pytest_sc_auth], ids=lambda package: package.__name__)


@packages
def test_public_names_are_sorted_and_exist(package: ModuleType) -> None:
    public = package.__all__

    homes = {name: getattr(getattr(package, name), "__module__", package.__name__) for name in public}

    assert sorted(set(public), key=lambda name: (not name.isupper(), name)) == public
    assert {home.partition(".")[0] for home in homes.values()} == {package.__name__}


@packages
def test_nothing_of_ours_is_public_but_what_is_listed(package: ModuleType) -> None:
    ours = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith(("fake_server", "pytest_sc_auth"))
    }

    assert ours <= set(package.__all__)


@packages
def test_unknown_attribute_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"^module '{package.__name__}' has no attribute 'no_such_name'$"):
        package.no_such_name  # noqa: B018


def test_names_that_come_late_are_offered_all_the_same() -> None:
    assert set(fake_server.__all__) <= set(dir(fake_server))
