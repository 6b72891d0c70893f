"""Routes that are read: GET, and HEAD with the same answer without its body. RFC 9110, 9.1 wants both everywhere."""

from functools import partial

from litestar import route

read = partial(route, http_method=["GET", "HEAD"])
