"""A machine whose memory runs out: the kernel ends the media child, not the daemon."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.acceptance.group import Group, NoGroups, memory_group

LIMIT_BYTES = 160 << 20

# A parent that holds more than its child ever gets, and a child that takes memory until something ends.
PARENT = """
import os, subprocess, sys
held = [os.urandom(1 << 20) for _ in range(90)]
status = subprocess.call([sys.executable, "-c", *sys.argv[1:]])
print("the child ended with", status, flush=True)
"""
CHILD = """
import os, sys
from vidprod.pipeline import sandbox
if sys.argv[1] == "offered":
    sandbox.offer_to_the_oom_killer()
held = []
while True:
    held.append(os.urandom(1 << 20))
"""


@pytest.fixture
def group() -> Iterator[Group]:
    try:
        with memory_group(LIMIT_BYTES) as group:
            yield group
    except NoGroups as error:
        pytest.skip(str(error))


def _run(group: Group, how: str) -> subprocess.CompletedProcess[str]:
    command = [*group.prefix(), sys.executable, "-c", PARENT, CHILD, how]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_kernel_ends_the_child_first(group: Group) -> None:
    """Although the daemon is larger."""
    made = _run(group, "offered")
    assert (made.returncode, made.stdout) == (0, "the child ended with -9\n"), made.stderr
    assert group.kills() == 1


def test_a_child_that_is_not_offered_takes_its_parent_along(group: Group) -> None:
    """The twin: the kernel ends whoever is largest."""
    made = _run(group, "not offered")
    assert made.returncode == -9
    assert made.stdout == ""
