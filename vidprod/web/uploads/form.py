"""The file in a form: `curl -F file=@take.mov -F segment_s=45 localhost:8000/upload`.

The parser pushes the file's bytes on as they come; nothing is spooled, and fields have limits of their own.
"""

from litestar import Response, post
from litestar.di import NamedDependency
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from vidprod.errors import BadRecipe, BadRequest, TooLarge
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.uploads.body import Body
from vidprod.web.uploads.order import Order, read_order
from vidprod.web.uploads.receive import Accepted, Sink, check_order, receive

FILE_FIELD = "file"
MAX_FIELDS = 32
MAX_FIELD_BYTES = 16 << 10  # a recipe as JSON is a few hundred
MAX_FIELDS_BYTES = 64 << 10  # together
_MAX_NAME = 100  # characters of a field's name
_MAX_BOUNDARY = 200  # RFC 2046 says 70

Fields = list[tuple[str, str]]


class NotAForm(BadRequest):
    """The body is not a form."""

    code = "not_a_form"
    status = 415
    hint = "Send multipart/form-data with the video in the field `file`, or PUT the video itself to /upload."


@post("/upload", request_max_body_size=None, status_code=202)
async def post_upload(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[Accepted]:
    """Upload a video in a form, in the field `file`. Other fields, and query parameters: `priority`, `filename`,
    where segments go (`publish`, …) and every recipe option, or `recipe` with all of them as one JSON object."""
    return await take_form(request, desk)


async def take_form(request: HttpRequest, desk: Desk) -> Response[Accepted]:
    """Receives the file of a form. Raises what `receive` does, and NotAForm."""
    boundary = _boundary(request)
    query = list(request.query_params.multi_items())
    await check_order(desk, read_order(query))  # faults are told before a byte is taken

    async def read_in(body: Body, upload: Sink) -> Order:
        return await _Form(desk, query, upload).read(body, boundary)

    return await receive(desk, request, read_in)


def _boundary(request: HttpRequest) -> str:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise NotAForm(f"The body is {kind or 'of no declared type'}, not multipart/form-data.")
    boundary: str = options.get("boundary", "")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise NotAForm("The form has no boundary.")
    return boundary


class _Form:
    """One form as it is read."""

    def __init__(self, desk: Desk, query: Fields, upload: Sink) -> None:
        self._desk = desk
        self._upload = upload
        self._fields: Fields = query
        self._filename: str | None = None
        self._has_file = False
        self._field: tuple[str, bytearray] | None = None  # the one being read; None: it is the file
        self._fields_bytes = 0

    async def read(self, body: Body, boundary: str) -> Order:
        """
        Raises:
            BadRequest: it is no whole form, or has no file or more than one.
            BadRecipe: naming every fault of the fields.
            TooLarge: a field, or all of them, are over the limits.
        """
        try:
            with PushMultipartParser(boundary, max_segment_count=MAX_FIELDS + 1) as parser:
                async for piece in body:
                    await self._take(parser, piece)
                    del piece  # as in `Body`
        except ParserLimitReached as error:
            raise TooLarge(f"The form is too large: {error}.", hint=f"At most {MAX_FIELDS} fields.") from error
        except MultipartError as error:
            raise BadRequest(f"The form cannot be read: {error}.", code="bad_form") from error
        if not self._has_file:
            raise _no_file()
        return self._order()

    async def _take(self, parser: PushMultipartParser, piece: bytes) -> None:
        for event in parser.parse(piece):
            await self._on(event)

    async def _on(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            await self._begin(event)
        elif event is None:
            self._end()
        elif self._field is None:
            await self._upload.write(event)
        else:
            self._gather(event)

    async def _begin(self, segment: MultipartSegment) -> None:
        name = segment.name
        if name == FILE_FIELD:
            await self._begin_file(segment)
        elif segment.filename is not None:
            raise BadRequest(
                f"The field {name[:_MAX_NAME]!r} has a file; it belongs into `{FILE_FIELD}`.", code="bad_form"
            )
        elif len(name) > _MAX_NAME:
            raise TooLarge(f"A field's name is longer than {_MAX_NAME} characters.")
        else:
            self._field = (name, bytearray())

    async def _begin_file(self, segment: MultipartSegment) -> None:
        if self._has_file:
            raise BadRequest("The form has more than one file.", code="bad_form", hint="Send one video a request.")
        self._has_file = True
        self._filename = segment.filename
        self._field = None
        order = self._order()  # faults of the fields before the file are told before its bytes are taken
        await check_order(self._desk, order)
        self._upload.begin(order)

    def _gather(self, data: bytes) -> None:
        assert self._field is not None
        name, value = self._field
        value += data
        self._fields_bytes += len(data)
        if len(value) > MAX_FIELD_BYTES or self._fields_bytes > MAX_FIELDS_BYTES:
            raise TooLarge(
                f"The field {name!r} is too large.",
                hint=f"A field has at most {MAX_FIELD_BYTES} bytes, all together {MAX_FIELDS_BYTES}.",
            )

    def _end(self) -> None:
        if self._field is None:
            if not self._filename and not self._upload.size:
                raise _no_file()  # a browser's form without a choice
            return
        name, value = self._field
        self._field = None
        try:
            self._fields.append((name, value.decode()))
        except UnicodeDecodeError as error:
            raise BadRecipe(f"{name}: is not UTF-8") from error

    def _order(self) -> Order:
        fields = self._fields
        if self._filename and not any(name == "filename" for name, _ in fields):
            fields = [*fields, ("filename", self._filename)]
        return read_order(fields)


def _no_file() -> BadRequest:
    return BadRequest("The form has no file.", code="no_file", hint=f"Put the video into the field `{FILE_FIELD}`.")
