"""Errors as answers: RFC 9457 problem details, with our code and what to do."""

import math
from http import HTTPStatus
from typing import Any, get_args

import msgspec
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.params import KwargDefinition

from vidprod.errors import NoSpace, TooLarge, TooMany, Unavailable, VidProdError
from vidprod.telemetry import log
from vidprod.web.desk import HttpRequest
from vidprod.web.uploads.admission import InFlight

MEDIA_TYPE = "application/problem+json"

_log = log.get(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not done."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""


def problem(
    status: int, detail: str, *, code: str, hint: str = "", headers: dict[str, str] | None = None
) -> Response[Problem]:
    """The answer that says it."""
    body = Problem(title=_title(status), status=status, detail=detail, code=code, hint=hint)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def on_our_error(request: HttpRequest, error: VidProdError) -> Response[Problem]:
    """What the rooms raise says its status itself."""
    if error.status == 500:
        return on_any_error(request, error)
    headers = {"Retry-After": str(after_s)} if (after_s := _retry_after_s(error)) else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2: it has to say how; a browser asks nobody for it
    return problem(error.status, str(error), code=error.code, hint=error.hint, headers=headers)


def on_http_error(request: HttpRequest, error: HTTPException) -> Response[Problem]:
    """What Litestar refuses: no such route, method or parameter."""
    if error.status_code >= 500:
        return on_any_error(request, error)
    code = _title(error.status_code).lower().replace(" ", "_")
    detail, hint, headers = error.detail, "", dict(error.headers or {})
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        detail = "; ".join(_in_words(request, fault) for fault in error.extra) or detail
    elif isinstance(error, NotFoundException):
        detail, hint = f"There is nothing at {request.url.path[:100]}.", "/docs shows what there is."
    elif isinstance(error, MethodNotAllowedException):
        detail = f"{request.method} is not taken here."
        hint = f"Taken here: {', '.join(value for name, value in headers.items() if name.lower() == 'allow')}."
    elif isinstance(error, RequestEntityTooLarge):
        limit = request.route_handler.resolve_request_max_body_size()
        detail, code = f"The body is larger than {limit} bytes.", TooLarge.code
    return problem(error.status_code, detail, code=code, hint=hint, headers=headers)


def _in_words(request: HttpRequest, fault: dict[str, Any]) -> str:
    """What would be right, from the parameter's declaration: the fault itself speaks of Python's types."""
    name = fault.get("key", "")
    declared = request.route_handler.parsed_fn_signature.parameters.get(name)
    limits = None if declared is None else declared.kwarg_definition
    value = request.query_params.get(name)
    if declared is None or value is None or not isinstance(limits, KwargDefinition):
        return f"{name}: {fault.get('message', '')}"
    kinds = {declared.annotation, *get_args(declared.annotation)}  # one that may be left out is also None
    if int in kinds:
        right = f"a whole number from {limits.ge} to {limits.le}"
    elif bool in kinds:
        right = "1 or 0"
    else:
        right = f"a text of at most {limits.max_length} characters"
    return f"{name}={value[:60]!r}: must be {right}"


def on_any_error(request: HttpRequest, error: Exception) -> Response[Problem]:
    """A fault of ours: told to the log in full, to the client as little as can be."""
    _log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(
        500,
        "Something went wrong here; the log says what.",
        code=error.code if isinstance(error, VidProdError) else "internal",
    )


def _retry_after_s(error: VidProdError) -> int | None:
    if isinstance(error, InFlight):
        return 1
    if isinstance(error, TooMany):
        return max(1, math.ceil(error.retry_after_s))
    if isinstance(error, (NoSpace, Unavailable)):
        return error.retry_after_s
    return None


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


HANDLERS: dict[Any, Any] = {
    VidProdError: on_our_error,
    HTTPException: on_http_error,
    Exception: on_any_error,
}
