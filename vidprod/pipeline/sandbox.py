"""The walls around one request: after `enter` this process reads its source (and the track of its faces) and its
libraries, writes its work directory, and reaches nothing else.

Landlock (files, TCP, signals), a small seccomp filter (no sockets, no processes, no looking into others),
`no_new_privs` and resource limits. What the kernel lacks is left out, and `available` says so.
Sources: landlock(7), seccomp(2), linux/landlock.h and linux/audit.h of Linux 6.12.
"""

import ctypes
import os
import platform
import resource
import struct
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import vidprod
from vidprod.domain.step import Limits

ADDRESS_SPACE_HEADROOM_BYTES = 1 << 30  # thread stacks (8 MiB each), two malloc arenas, lazily mapped libraries
OPEN_FILES = 256
NICENESS = 10  # answers to people come first
CPU_GRACE_S = 5  # between SIGXCPU, which names the reason, and SIGKILL

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same on every machine
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1

# linux/landlock.h, LANDLOCK_ACCESS_FS_*
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_RIGHTS_OF_A_FILE = 1 << 0 | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_READING = _READ_FILE | _READ_DIR
_WORKING = _READING | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE


def available() -> dict[str, int]:
    """What this kernel gives: the Landlock ABI (0: none) and whether there is a seccomp filter for this machine."""
    return {"landlock_abi": _landlock_abi(), "seccomp": int(_machine() is not None and _kernel_has_seccomp())}


def die_with_parent(signal_number: int, *, parent_pid: int) -> None:
    """Have the kernel send `signal_number` when the parent dies; ends at once when it already has."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os._exit(1)


def enter(*, source: Path, work_dir: Path, limits: Limits, also: Sequence[Path] = ()) -> None:
    """Shut this process in, for good. What it will import or load later must lie in the library directories.

    Args:
        also: files it may read besides its source.
    """
    offer_to_the_oom_killer()
    os.umask(0o077)
    os.chdir(work_dir)
    os.nice(NICENESS)
    set_limits(limits)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    if abi := _landlock_abi():
        _restrict_files_and_tcp(abi, files=[source, *also], work_dir=work_dir)
    if (machine := _machine()) is not None and _kernel_has_seccomp():
        _install_filter(machine)


def set_limits(limits: Limits) -> None:
    """Resource limits. The address space is a second line: the parent watches resident memory and names the figures."""
    address_space = _address_space_bytes() + limits.memory_bytes + ADDRESS_SPACE_HEADROOM_BYTES
    _lower(resource.RLIMIT_AS, address_space)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    if limits.cpu_s:
        _lower(resource.RLIMIT_CPU, limits.cpu_s, hard=limits.cpu_s + CPU_GRACE_S)


def _lower(which: int, soft: int, *, hard: int | None = None) -> None:
    _, highest = resource.getrlimit(which)
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(which, (soft, hard))


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def offer_to_the_oom_killer(score: int = 1000) -> None:
    """When the machine itself runs out of memory, the kernel should end this process and not the daemon.

    Args:
        score: 1000 goes first, whatever it holds.
    """
    try:
        Path("/proc/self/oom_score_adj").write_text(str(score))
    except OSError:
        return  # a container may mount /proc read-only; the parent's own watch remains


# Landlock


def _landlock_abi() -> int:
    abi: int = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION)
    return max(0, abi)


def _restrict_files_and_tcp(abi: int, *, files: Sequence[Path], work_dir: Path) -> None:
    handled = _handled_rights(abi)
    ruleset = _create_ruleset(abi, handled)
    try:
        for path in (*files, *readable()):
            _allow_beneath(ruleset, path, _READING & handled)
        _allow_beneath(ruleset, Path("/dev/null"), (_READ_FILE | _WRITE_FILE) & handled)
        _allow_beneath(ruleset, work_dir, _WORKING & handled)
        _check(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def readable() -> Iterator[Path]:
    """What any child may read: Python's and the system's libraries, what the machine is like.

    Never the directory the project stands in: the data directory often lies below it.
    """
    yield Path(vidprod.__file__).parent
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield Path(sysconfig.get_path(name))
    for text in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/urandom"):
        yield Path(text)
    for text in ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"):  # encoders choose their code by these
        yield Path(text)


def _handled_rights(abi: int) -> int:
    """Every right this ABI knows: what is handled and not allowed is denied."""
    highest = 16 if abi >= 5 else 15 if abi >= 3 else 14 if abi >= 2 else 13
    return (1 << highest) - 1


def _create_ruleset(abi: int, handled: int) -> int:
    bind_and_connect = 3 if abi >= 4 else 0
    abstract_sockets_and_signals = 3 if abi >= 6 else 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    attributes = struct.pack("QQQ", handled, bind_and_connect, abstract_sockets_and_signals)[:size]
    ruleset: int = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    _check(ruleset, "landlock_create_ruleset")
    return ruleset


def _allow_beneath(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _RIGHTS_OF_A_FILE
        rule = struct.pack("=Qi", rights, descriptor)  # struct landlock_path_beneath_attr is packed
        _check(
            _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0),
            f"landlock rule for {path}",
        )
    finally:
        os.close(descriptor)


# seccomp: Landlock knows TCP only, and says nothing about processes


class _Machine:
    """System call numbers of one architecture."""

    def __init__(self, *, audit: int, clone: int, denied: tuple[int, ...]) -> None:
        self.audit = audit
        self.clone = clone
        self.denied = denied


_CLONE3 = 435
_X32_BIT = 0x4000_0000
_MACHINES = {
    # socket, fork, vfork, ptrace, process_vm_readv, process_vm_writev, execve, execveat, bpf, io_uring_setup
    "x86_64": _Machine(audit=0xC000003E, clone=56, denied=(41, 57, 58, 101, 310, 311, 59, 322, 321, 425)),
    "aarch64": _Machine(audit=0xC00000B7, clone=220, denied=(198, 117, 270, 271, 221, 281, 280, 425)),
}
_ALLOW, _DENY, _NOT_IMPLEMENTED = 0x7FFF_0000, 0x0005_0000 | 1, 0x0005_0000 | 38  # SECCOMP_RET_ERRNO: EPERM, ENOSYS
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # struct seccomp_data
_CLONE_THREAD = 0x0001_0000
_SECCOMP_MODE_FILTER = 2


def _machine() -> _Machine | None:
    return _MACHINES.get(platform.machine())


def _kernel_has_seccomp() -> bool:
    return Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def _filter(machine: _Machine) -> bytes:
    """No sockets, no programs, no new processes (threads are fine), no looking into other processes."""

    def statement(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    program = [
        statement(_LOAD, _ARCHITECTURE_AT),
        statement(_JUMP_EQUAL, machine.audit, then=1),
        statement(_RETURN, _DENY),
        statement(_LOAD, _NUMBER_AT),
        statement(_JUMP_GREATER_EQUAL, _X32_BIT, otherwise=1),
        statement(_RETURN, _DENY),
    ]
    for number in machine.denied:
        program += [statement(_JUMP_EQUAL, number, otherwise=1), statement(_RETURN, _DENY)]
    program += [
        statement(_JUMP_EQUAL, _CLONE3, otherwise=1),
        statement(_RETURN, _NOT_IMPLEMENTED),  # its flags are out of a filter's sight; libc falls back to clone
        statement(_JUMP_EQUAL, machine.clone, otherwise=3),
        statement(_LOAD, _FIRST_ARGUMENT_AT),
        statement(_JUMP_SET, _CLONE_THREAD, then=1),
        statement(_RETURN, _DENY),
        statement(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def _install_filter(machine: _Machine) -> None:
    code = _filter(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0), "prctl(PR_SET_SECCOMP)")


def _check(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
