"""What is given in a body: JSON as the shape that a handler wants, or words for what is wrong with it."""

from typing import Any, TypeVar

import msgspec

from vidprod.errors import BadRequest
from vidprod.web.desk import HttpRequest

T = TypeVar("T")


class BadBody(BadRequest):
    """The body is not what is wanted here."""

    code = "bad_body"
    status = 422


async def given(request: HttpRequest, shape: type[T]) -> T:
    """The body, read as `shape`; an empty one is an empty object. Raises BadBody."""
    body = await request.body()
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadBody(f"The body cannot be read: {error}.", hint="Send JSON, as /docs shows it.") from error


def converted(value: Any, shape: type[T]) -> T:
    """A value that was read from JSON, as `shape`. Raises BadBody."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise BadBody(f"The body cannot be taken: {error}.", hint="/docs shows what can be given.") from error
