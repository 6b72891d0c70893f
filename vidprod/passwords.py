"""Passwords: argon2id, a rule for new ones, and no more of that at once than the machine can bear.

One verification takes 19 MiB and a thirtieth of a second of a core: one runs at a time, twenty may wait, and more are
refused. A name that nobody has is verified too, against a hash of ours, so that it takes as long as any other.
Source: OWASP, Password Storage; OWASP ASVS 5.0, 6.2.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

from vidprod.errors import BadRequest, Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

SHORTEST, LONGEST = 8, 1000  # characters
MEMORY_KIB, TIMES, LANES = 19_456, 2, 1
AT_ONCE, MOST_WAITING = 1, 20
COMMON = "common_passwords.txt"  # the 3,000 commonest of at least 8 characters, of the lists that leaked over the years

# of a password that nobody knows, with the parameters above
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$gDUf37DokyIA2E1LkJBQ8g$5khaLKC6dEEYTrKfCugp17q/cGztqI9OJ7ZVkaHQMYA"


class BadPassword(BadRequest):
    """The password is none that could be taken."""

    code = "bad_password"
    status = 422


def check(password: str, *, name: str) -> None:
    """Whether it may be somebody's password. There is no rule about which characters it has. Raises BadPassword."""
    if len(password) < SHORTEST:
        raise BadPassword(
            f"The password has {len(password)} characters; it needs {SHORTEST} at least.",
            hint="A few words that nobody else would put together are good: 15 characters and more.",
        )
    if len(password) > LONGEST:
        raise BadPassword(f"The password has {len(password)} characters; {LONGEST} are the most.")
    folded = password.casefold()
    if folded in _common():
        raise BadPassword(
            "The password is one of the commonest: it would be tried first.",
            hint="A few words that nobody else would put together are good.",
        )
    if folded in {name.casefold(), name.casefold() * 2, "vidprod!", "vidprod1", "vidprodvidprod"}:
        raise BadPassword("The password is the name, or the program's.", hint="Choose one that has to do with neither.")


class Passwords:
    """Hashes and verifies in a thread of its own, which is not there before the first one."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """Raises Unavailable when too many wait."""
        return await self._in_thread(lambda: _hasher().hash(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password that was hashed. None: nobody's, which takes as long. Raises Unavailable."""
        right = await self._in_thread(lambda: _verify(hashed or _NOBODYS, password))
        return right and hashed is not None

    def close(self) -> None:
        """What is under way ends by itself."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._under_way >= AT_ONCE + MOST_WAITING:
            raise Unavailable("Too many passwords are being verified.", code="busy")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._under_way += 1
        doing = self._pool.submit(work)
        # counted until the thread has done it: who went away meanwhile has not given its memory back
        loop = asyncio.get_running_loop()
        doing.add_done_callback(lambda _: _tell(loop, self._done))
        return await asyncio.wrap_future(doing)

    def _done(self) -> None:
        self._under_way -= 1


def is_outdated(hashed: str) -> bool:
    """Whether it was hashed with other parameters than are used now."""
    return _hasher().check_needs_rehash(hashed)


def _tell(loop: asyncio.AbstractEventLoop, done: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(done)


def _verify(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # loaded with the first password: a daemon that asks nobody never needs it

    return PasswordHasher(time_cost=TIMES, memory_cost=MEMORY_KIB, parallelism=LANES)


def _common() -> frozenset[str]:
    """Read each time: it is needed once in years."""
    return frozenset(resources.files("vidprod").joinpath(COMMON).read_text("utf-8").splitlines())
