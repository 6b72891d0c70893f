"""How a command ends: an exit code, one clear sentence, and what to do about it."""

import contextlib
from collections.abc import Iterator
from typing import IO, Any

import click
import msgspec

from vidprod.errors import BadConfig, BadRequest, NoSpace, StoreError, Unavailable, VidProdError

OK = 0
REFUSED = 1  # an input was refused or its job failed; the others were done
USAGE = 2  # click's own code for wrong usage; wrong settings too
UNUSABLE = 3  # the volume, the database, the port or the daemon cannot be used
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class Ending(click.ClickException):
    """Ends the command: `message` and `hint` on stderr, `exit_code` to the shell."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = REFUSED) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    @classmethod
    def of(cls, error: VidProdError) -> "Ending":
        """The end that `error` means."""
        return cls(sentence(error), hint=error.hint, exit_code=exit_code(error))

    @classmethod
    def answered(cls, status: int, body: bytes, *, by: str) -> "Ending":
        """The end that a daemon's answer means: its own code, sentence and hint. Source: RFC 9457."""
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except msgspec.DecodeError:  # no daemon of ours: something before it, or another program
            problem = _Problem(detail=" ".join(body.decode(errors="replace").split())[:200])
        words = problem.detail or problem.title or "it gave no reason"
        return cls(": ".join(filter(None, [f"{by} says {status}", problem.code, words])), hint=problem.hint)

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"vidprod: {self.message}", err=True, file=file)
        if self.hint:
            click.echo(f"  → {self.hint}", err=True, file=file)


@contextlib.contextmanager
def files_in_words() -> Iterator[None]:
    """What the system says of files, as an ending."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Ending(f"{where}{error.strerror or error}", exit_code=UNUSABLE) from error


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    title: str = ""
    detail: str = ""
    code: str = ""
    hint: str = ""


def sentence(error: VidProdError) -> str:
    """The error as the API says it: the code for programs, then the sentence."""
    text = str(error)
    if isinstance(error, BadConfig):
        return "the settings are wrong:\n" + "\n".join(f"  {line}" for line in text.splitlines())
    return f"{error.code}: {text}"


def exit_code(error: VidProdError) -> int:
    """What the shell is told about `error`."""
    if isinstance(error, BadRequest):
        return USAGE
    if isinstance(error, (StoreError, NoSpace, Unavailable)) or error.code == NoSpace.code:
        return UNUSABLE  # the media child's "no space" comes as one of its failures, told by its code
    return REFUSED
