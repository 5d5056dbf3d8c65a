"""The ids of tokens: no two are the same, whatever a test does to the random module, also over a fork."""

import os
import random
import subprocess
import sys

import pytest

from fake_server.dialects.identifiers import random_hex, random_text

_FORK = """
import os
from fake_server.dialects.identifiers import random_text
child = os.fork()
if child:
    os.waitpid(child, 0)  # or the two lines might come as one
print(random_text(8), flush=True)
"""


def test_ids_have_the_length_of_their_octets() -> None:
    assert [len(random_hex(16)), len(random_text(24)), len(random_text(16))] == [32, 32, 22]


def test_seed_of_the_tests_own_repeats_no_id() -> None:
    ids = set()
    for _ in range(3):
        random.seed(1)
        ids |= {random_text(16), random_hex(16)}

    assert len(ids) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_processes_that_are_forked_make_other_ids() -> None:
    done = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, check=True)

    assert len(set(done.stdout.split())) == 2
