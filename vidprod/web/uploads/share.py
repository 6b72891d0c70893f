"""What a phone's share sheet sends to the installed page, where no service worker took it: a form with the video.

A browser says of it what it says of an address that was typed: `Sec-Fetch-Site: none`, which no other site can make it
say. So the rule for every other request that changes something holds here too, without an exception.
"""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.uploads.form import take_form

TAKES = "/#takes"


@post("/share", request_max_body_size=None, status_code=303, include_in_schema=False)
async def post_share(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[None]:
    """Take the video, and show the page with its job."""
    await take_form(request, desk)
    return Redirect(TAKES, status_code=303)
