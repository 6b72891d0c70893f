"""What is given in a body: JSON as the shape that a handler wants, or words for what is wrong with it."""

import difflib
import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from vidprod.errors import BadRequest
from vidprod.web.desk import HttpRequest

T = TypeVar("T")

MOST_BYTES = 128 << 10  # of a body that is read whole; the longest captions there are have a tenth of it

_SAID = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)  # as msgspec says it
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_EXPECTED = re.compile(r"Expected `(?P<kind>[^`]+)`(?:, got `\w+`)?(?P<limit>.*)")
_MOMENT = "a time with its offset, like 2026-12-01T18:00:00+01:00"
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": _MOMENT,
    "null": "null",
}
_HINT = "/docs shows what can be given."
_NOT_REPEATED = frozenset({"secret", "password", "current", "code", "setup_code"})


class BadBody(BadRequest):
    """The body is not what is wanted here."""

    code = "bad_body"
    status = 422


async def given(request: HttpRequest, shape: type[T]) -> T:
    """The body, read as `shape`; an empty one is an empty object. Raises BadBody."""
    try:
        value = msgspec.json.decode(await request.body() or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadBody(f"The body cannot be read: {error}.", hint="Send JSON, as /docs shows it.") from error
    except RecursionError:
        raise BadBody("The body cannot be read: it is nested too deeply.", hint=_HINT) from None
    return converted(value, shape)


def converted(value: Any, shape: type[T]) -> T:
    """A value that was read from JSON, as `shape`. Raises BadBody."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise BadBody(f"The body cannot be taken: {_in_words(str(error), value, shape)}.", hint=_HINT) from error


def _in_words(error: str, value: Any, shape: Any) -> str:
    """What is wrong, the value, and what would be right; the error itself names the place, and Python's types."""
    said = _SAID.fullmatch(error)
    assert said is not None  # whatever is said, all of it is `what`
    what, path = said["what"], said["path"] or ""
    steps = [name or int(number) for name, number in _STEP.findall(path)]
    place, kind = path.removeprefix("."), _kind_at(shape, steps)
    if what.startswith("Object contains unknown field"):
        return _no_such_field(what.split("`")[1], place, kind)
    if what.startswith("Object missing required field"):
        return f"{place}.{what.split('`')[1]} is missing".lstrip(".")
    return f"{place or 'the body'}{_shown(value, steps)}: {_right(what, kind)}"


def _no_such_field(name: str, place: str, kind: inspect.Type | None) -> str:
    fields = [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    near = difflib.get_close_matches(name[:60], fields)
    there = f"near it is {' or '.join(near)}" if near else f"there are {', '.join(fields)}"
    return f"there is no field {name[:60]!r}{f' in {place}' if place else ''}; {there}"


def _right(what: str, kind: inspect.Type | None) -> str:
    """What would be right there."""
    if what.startswith("Invalid enum value"):
        choices = [
            str(value) or '""' for one in _kinds(kind) if isinstance(one, inspect.LiteralType) for value in one.values
        ]
        return f"must be one of {', '.join(choices)}"
    if what.startswith("Invalid RFC3339"):
        return f"must be {_MOMENT}"
    expected = _EXPECTED.fullmatch(what)
    if expected is None:
        return what
    kinds = [_KINDS.get(one, one) for one in expected["kind"].split(" | ")]
    limit = "" if _MOMENT in kinds else expected["limit"]
    return f"must be {' or '.join(kinds)}{limit}"


def _kind_at(shape: Any, steps: list[str | int]) -> inspect.Type | None:
    """What `shape` wants at a place: the names of fields, and numbers of items, that lead there."""
    kind: inspect.Type | None = inspect.type_info(shape)
    for step in steps:
        inner: inspect.Type | None = None
        for one in _kinds(kind):
            if isinstance(one, inspect.ListType):
                inner = one.item_type
            elif isinstance(one, inspect.StructType):
                inner = next((field.type for field in one.fields if field.encode_name == step), inner)
        kind = inner
    return next((one for one in _kinds(kind) if isinstance(one, inspect.StructType)), kind)


def _kinds(kind: inspect.Type | None) -> list[inspect.Type]:
    while isinstance(kind, inspect.Metadata):  # descriptions
        kind = kind.type
    if kind is None:
        return []
    return list(kind.types) if isinstance(kind, inspect.UnionType) else [kind]


def _shown(value: Any, steps: list[str | int]) -> str:
    """What was given at a place, where that is short, and no secret."""
    for step in steps:
        value = value[step]
    if not steps or isinstance(value, dict | list) or not _NOT_REPEATED.isdisjoint(steps):
        return ""
    return f"={value[:60]!r}" if isinstance(value, str) else f"={msgspec.json.encode(value).decode()[:60]}"
