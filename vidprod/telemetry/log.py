"""Structured log lines on stderr, for people (console) or machines (JSON), with everything secret masked.

`bind(job=..., attempt=...)` puts the job and the attempt on every line said inside it, whichever library says it.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

if "rich" in sys.modules:
    import structlog
else:  # structlog takes rich along for coloured tracebacks: 5 MB that a daemon never uses
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's way to say "not there"
    import structlog

    del sys.modules["rich"]

LogFormat = Literal["console", "json"]
Logger = structlog.stdlib.BoundLogger

MASK = "•••"

_SECRET_WORDS = frozenset(
    {"token", "secret", "authorization", "password", "passwd", "passphrase", "key", "cookie", "credential", "signature"}
)
_QUIET = ("httpx", "httpcore", "apscheduler", "asyncio", "granian.access")  # warnings only, unless the level is debug
_MUTED = ("aiosqlite",)  # warnings only, at any level: two lines for each thing the store does, which say nothing
# The values are masked and the names kept: names say which request it was, values may be signatures or tokens.
_QUERY = re.compile(r"""\?[^\s"'<>#?=&]+=[^\s"'<>#]*""")
_QUERY_VALUE = re.compile(r"=[^&]*")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class _OurHandler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `setup` replaces it and leaves other handlers of the root logger alone."""


def setup(format: LogFormat = "console", level: str = "info", *, stream: TextIO | None = None) -> None:  # noqa: A002
    """Send every log line of this process, ours and the libraries', to `stream` (stderr)."""
    out = stream if stream is not None else sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _OurHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(format, out)],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _OurHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in _MUTED:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def get(name: str) -> Logger:
    """The logger of one room, named as its module."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bind(**values: Any) -> Iterator[None]:
    """Put `values` (job, attempt, …) on every line said inside, in this task and those it starts."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def is_secret(name: str) -> bool:
    """Whether what goes by this name is never shown: api_key, Authorization, clientSecret, lease-token."""
    words = re.split(r"[^a-z0-9]+", _CAMEL.sub("_", name).lower())
    return any(word in _SECRET_WORDS or word.removesuffix("s") in _SECRET_WORDS for word in words)


def masked(value: Any) -> Any:
    """`value` without what should not be read by others: by name in mappings, by shape in texts."""
    if isinstance(value, str):
        return _mask_text(value)
    if isinstance(value, dict):
        return {k: MASK if isinstance(k, str) and is_secret(k) and v else masked(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: after tracebacks became text, before anything is printed."""
    for name, value in event.items():
        if not name.startswith("_"):  # _record and _from_structlog are structlog's own
            event[name] = MASK if is_secret(name) and value else masked(value)
    return event


def _mask_text(text: str) -> str:
    text = _QUERY.sub(lambda query: _QUERY_VALUE.sub("=" + MASK, query[0]), text)
    return _BEARER.sub(rf"\1 {MASK}", _USERINFO.sub(MASK, text))


def _renderer(format: LogFormat, out: TextIO) -> structlog.typing.Processor:  # noqa: A002
    if format == "json":
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), pad_event_to=32, exception_formatter=structlog.dev.plain_traceback
    )
