"""Connecting an account, over HTTP: to the platform's own page, and back from there."""

from html import escape

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.config import Config
from vidprod.domain.account import Flavour, Platform
from vidprod.errors import Conflict, VidProdError
from vidprod.hosts import is_loopback, split_host
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.given import given


class ConnectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be connected. `flavour`: of Instagram, which login; `direct`: of TikTok, the permission to post
    directly is asked for too."""

    platform: Platform
    flavour: Flavour = ""
    direct: bool = False


class ConnectView(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go in a browser, within 10 minutes. Whoever opens it can connect their account here."""

    url: str


@post("/v1/accounts/connect", status_code=200)
async def connect(request: HttpRequest, desk: NamedDependency[Desk]) -> ConnectView:
    """Begin to connect an account: where to send a browser. The platform sends it back to `/oauth/{platform}`."""
    order = await given(request, ConnectOrder)
    if not (desk.config.public_url or is_loopback(_host(request)[0])):
        raise Conflict(
            "The platform could not find its way back here.",
            hint=f"Open {origin_of(request, desk.config)} on the machine where VidProd runs, or set public_url.",
        )
    url = await desk.connects.ask(
        order.platform,
        order.flavour,
        direct=order.direct,
        origin=origin_of(request, desk.config),
        user_id=who(request).user_id,
    )
    return ConnectView(url=url)


@get("/oauth/{platform:str}", include_in_schema=False)
async def finish_connecting(
    request: HttpRequest, desk: NamedDependency[Desk], platform: FromPath[str]
) -> Response[str]:
    """Where the platform sends the browser back to. Nothing but a page that a person went to is let in: not a picture,
    not a frame, not a script."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        return _page("Nothing was connected", "This address is for a browser's own window.", status=403)
    try:
        accounts = await desk.connects.finish(platform, dict(request.query_params))
    except VidProdError as error:
        words = str(error) if error.status < 500 else "Something went wrong here; the log says what."
        return _page("Nothing was connected", f"{words} {error.hint}".strip(), status=error.status)
    told = [note for account in accounts for note in account.notices]
    names = ", ".join(account.name for account in accounts)
    return _page("Connected", f"{names}: ready to be published to.", notes=list(dict.fromkeys(told)))


HANDLERS = [connect, finish_connecting]


def origin_of(request: HttpRequest, config: Config) -> str:
    """Where browsers reach this daemon. On this machine by its number, as platforms want it registered, and by the port
    that the browser uses, which may be another than ours in front of a container."""
    if config.public_url:
        return config.public_url
    host, port = _host(request)
    if not is_loopback(host):
        server = request.scope.get("server")
        port = str(server[1] if server else config.port)
    return f"http://127.0.0.1:{port}" if port else "http://127.0.0.1"


def _host(request: HttpRequest) -> tuple[str, str]:
    return split_host(request.headers.get("host", ""))


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{title} – VidProd</title><link rel="icon" href="/static/favicon.svg">
<link rel="stylesheet" href="/docs/style.css">{away}</head>
<body><main><h1>{title}</h1><p>{words}</p>{notes}<p><a href="/#accounts">Back to the accounts</a></p></main></body>
</html>"""
_AWAY = '<meta http-equiv="refresh" content="{seconds}; url=/#accounts">'


def _page(title: str, words: str, *, notes: list[str] | None = None, status: int = 200) -> Response[str]:
    """How it ended. One that went well goes back by itself, as soon as its notes can have been read."""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes or [])
    return Response(
        _PAGE.format(
            title=escape(title),
            words=escape(words),
            notes=f"<ul>{listed}</ul>" if listed else "",
            away=_AWAY.format(seconds=2 + 4 * len(notes or [])) if status == 200 else "",
        ),
        status_code=status,
        media_type=MediaType.HTML,
    )
