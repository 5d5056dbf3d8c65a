"""The README: its code is the examples', word for word, and its tables leave nothing out."""

import ast
import re
from pathlib import Path

import pytest

from fake_server import Options
from pytest_sc_auth import plugin
from pytest_sc_auth.session import Session

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.py")))


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL), ids=lambda block: block[:40])
def test_code_is_an_examples(block: str) -> None:
    assert block in EXAMPLES


def test_every_how_to_is_shown() -> None:
    how_to = (ROOT / "examples" / "test_how_to.py").read_text(encoding="utf-8")
    tests = re.findall(r"^def (test_\w+)", how_to, re.MULTILINE)

    assert [name for name in tests if f"def {name}(" not in README] == []


def test_fixture_table_has_every_fixture() -> None:
    fixtures = {name for name in (*vars(plugin), *vars(Session)) if name.startswith("sc_auth_")}

    assert set(re.findall(r"^\| `(sc_auth_\w+)` \|", README, re.MULTILINE)) == fixtures


def test_option_table_has_every_option_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))

    for name in Options.names():
        shown = rows[name].strip("`")
        assert shown == "a GUID" or ast.literal_eval(shown) == getattr(Options(), name)
