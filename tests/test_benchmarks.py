"""The benchmarks: README's table is of those that there are."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_table_in_readme_has_every_benchmark() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "tests" / "benchmarks", "--list"], check=True, capture_output=True, text=True
    ).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- benchmarks -->")[2].partition("<!-- /benchmarks -->")[0]

    assert set(re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE)) - {"benchmark"} == set(told.split())
