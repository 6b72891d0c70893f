"""Memory and descriptors, as the kernel's files tell them."""

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from vidprod.services.machine import Machine, Memory, raise_file_limit

MIB = 1 << 20
MEMINFO = "MemTotal:        {total} kB\nMemFree:          1000 kB\nMemAvailable:    {left} kB\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "proc/meminfo", MEMINFO.format(total=24 << 20, left=23 << 20))
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def in_version_2(root: Path, group: str, *, limit: str, used: int, stat: str = "") -> None:
    write(root, "proc/self/cgroup", f"0::{group}\n")
    directory = f"sys/fs/cgroup{group}"
    write(root, f"{directory}/memory.max", f"{limit}\n")
    write(root, f"{directory}/memory.current", f"{used}\n")
    write(root, f"{directory}/memory.stat", stat)


def test_a_machine_without_groups_is_asked_itself(root: Path) -> None:
    write(root, "proc/pressure/memory", "some avg10=9.00 avg60=1.00\nfull avg10=4.50 avg60=1.00 avg300=0.00 total=7\n")
    assert Machine(root).memory() == Memory(23 << 30, 24 << 30, 4.5)


def test_pages_of_files_can_be_taken_back(root: Path) -> None:
    stat = f"anon {300 * MIB}\nfile {150 * MIB}\ninactive_file {100 * MIB}\nactive_file {40 * MIB}\n"
    in_version_2(root, "/app", limit=str(512 * MIB), used=460 * MIB, stat=stat)
    write(root, "sys/fs/cgroup/app/memory.pressure", "some avg10=50.00\nfull avg10=12.25 avg60=0\n")
    write(root, "proc/pressure/memory", "full avg10=99.00\n")
    assert Machine(root).memory() == Memory((512 - 460 + 100 + 20) * MIB, 512 * MIB, 12.25)


def test_the_narrowest_of_the_groups_around_counts(root: Path) -> None:
    in_version_2(root, "/slice/app", limit="max", used=10 * MIB)
    in_version_2(root, "/slice", limit=str(256 * MIB), used=200 * MIB)
    write(root, "proc/self/cgroup", "0::/slice/app\n")
    assert Machine(root).memory() == Memory(56 * MIB, 256 * MIB, None)


def test_a_group_without_a_limit_is_none(root: Path) -> None:
    in_version_2(root, "/", limit="max", used=10 * MIB)
    assert Machine(root).memory() == Memory(23 << 30, 24 << 30, None)


def test_version_1_is_read_too(root: Path) -> None:
    write(root, "proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n")
    write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n")
    write(root, "sys/fs/cgroup/memory/memory.stat", "")
    write(root, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", f"{512 * MIB}\n")
    write(root, "sys/fs/cgroup/memory/box/memory.usage_in_bytes", f"{400 * MIB}\n")
    stat = f"inactive_file 1\ntotal_inactive_file {20 * MIB}\ntotal_active_file {10 * MIB}\n"
    write(root, "sys/fs/cgroup/memory/box/memory.stat", stat)
    assert Machine(root).memory() == Memory((512 - 400 + 25) * MIB, 512 * MIB, None)


def test_a_container_may_see_the_hosts_path_and_only_its_own_group(root: Path) -> None:
    in_version_2(root, "/", limit=str(512 * MIB), used=412 * MIB)
    write(root, "proc/self/cgroup", "0::/docker/0123abcd\n")
    memory = Machine(root).memory()
    assert memory is not None
    assert memory.left_bytes == 100 * MIB


def test_a_group_that_is_used_to_its_end_has_nothing_left(root: Path) -> None:
    in_version_2(root, "/app", limit=str(512 * MIB), used=513 * MIB)
    memory = Machine(root).memory()
    assert memory is not None
    assert memory.left_bytes == 0


def test_a_system_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    assert Machine(tmp_path).memory() is None


def test_this_machine_has_memory_and_descriptors_left() -> None:
    machine = Machine()
    memory, files = machine.memory(), machine.files()
    assert memory is not None
    assert 0 < memory.left_bytes < memory.limit_bytes
    assert files is not None
    assert 0 < files < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with open("/dev/null"):
        assert machine.files() == files - 1


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    """In a process of its own: the limit is the whole process's."""
    script = """
import resource
from vidprod.services.machine import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
print(raise_file_limit(), resource.getrlimit(resource.RLIMIT_NOFILE), raise_file_limit(200))
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "300 (300, 300) 300"


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raise_file_limit(min(soft, 64)) == soft


PASSWORDS = """
import asyncio, psutil
from vidprod.passwords import Passwords
from vidprod.services.machine import give_large_memory_back
{first}

async def verified() -> None:
    keeper = Passwords()
    await keeper.verify(None, "wrong")
    before = psutil.Process().memory_info().rss
    await asyncio.gather(*[keeper.verify(None, "wrong") for _ in range(4)])
    print(psutil.Process().memory_info().rss - before)

asyncio.run(verified())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing")
@pytest.mark.parametrize(("first", "is_kept"), [("give_large_memory_back()", False), ("", True)])
def test_what_passwords_took_is_given_back(first: str, is_kept: bool) -> None:
    said = subprocess.run([sys.executable, "-c", PASSWORDS.format(first=first)], capture_output=True, check=True)
    assert (int(said.stdout) > 10 * MIB) == is_kept
