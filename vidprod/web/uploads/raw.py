"""The file is the body: `curl -T take.mov 'localhost:8000/upload?filename=take.mov'`."""

from litestar import Response, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.uploads.body import Body
from vidprod.web.uploads.order import Order, read_order
from vidprod.web.uploads.receive import Accepted, Sink, check_order, receive


async def _put(request: HttpRequest, desk: Desk, name: str | None) -> Response[Accepted]:
    fields = list(request.query_params.multi_items())
    if name is not None and "filename" not in request.query_params:
        fields.append(("filename", name))
    order = read_order(fields)  # faults are told before a byte is taken
    await check_order(desk, order)

    async def read_in(body: Body, upload: Sink) -> Order:
        upload.begin(order)
        async for piece in body:
            await upload.write(piece)
            del piece  # as in `Body`
        return order

    return await receive(desk, request, read_in)


@put("/upload", request_max_body_size=None, status_code=202)
async def put_upload(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[Accepted]:
    """Upload a video as the request's body. Query parameters: `filename`, `priority`, where segments
    go (`publish`, …) and every recipe option."""
    return await _put(request, desk, None)


@put("/upload/{name:str}", request_max_body_size=None, status_code=202)
async def put_upload_named(
    request: HttpRequest, desk: NamedDependency[Desk], name: FromPath[str]
) -> Response[Accepted]:
    """The same with the file's name in the path: `curl -T take.mov localhost:8000/upload/` appends it."""
    return await _put(request, desk, name)
