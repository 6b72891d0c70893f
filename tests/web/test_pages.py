"""The page, what it is made of, and the description of the API."""

import inspect
import re
from html.parser import HTMLParser

import pytest
from litestar.routes import HTTPRoute

from tests.web.conftest import Live
from vidprod.domain.account import AccountSettings
from vidprod.web import docs
from vidprod.web.app import routed
from vidprod.web.pages import static_directory


async def test_the_page_and_all_it_names_are_served(live: Live) -> None:
    page = await live.client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert named
    for path in named:
        answer = await live.client.get(path)
        assert answer.status_code == 200, path
        assert answer.content == (static_directory() / path.removeprefix("/static/")).read_bytes()


@pytest.mark.parametrize(("path", "title"), [("/login", "Sign in"), ("/setup", "Set up")])
async def test_a_page_at_the_door_is_the_frame_with_its_panel(live: Live, path: str, title: str) -> None:
    page = await live.client.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    assert f"<title>{title} · VidProd</title>" in page.text
    assert f'action="{path}"' in page.text
    assert "$" not in page.text
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert f"/static{path}.js" in named
    for one in named:
        assert (await live.client.get(one)).status_code == 200, one


async def test_files_have_the_types_browsers_insist_on(live: Live) -> None:
    types = {}
    for path in static_directory().rglob("*"):
        if path.is_file():
            answer = await live.client.get(f"/static/{path.relative_to(static_directory()).as_posix()}")
            assert answer.status_code == 200, path
            types[path.suffix] = answer.headers["content-type"]
    assert types[".js"] == "text/javascript; charset=utf-8"
    assert types[".css"] == "text/css; charset=utf-8"
    assert types[".svg"] == "image/svg+xml"


async def test_the_page_goes_packed_to_who_can_unpack_it(live: Live) -> None:
    """A phone's line is slow: a third of the bytes."""
    plain = await live.client.get("/static/page.js", headers={"Accept-Encoding": "br, gzip;q=0"})
    packed = await live.client.get("/static/page.js", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]  # other bytes


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"other", {}', "*"])
async def test_an_unchanged_page_is_not_sent_again(live: Live, tags: str) -> None:
    first = await live.client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = await live.client.get("/", headers={"If-None-Match": tags.format(first.headers["etag"])})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pyproject.toml",
        "/static/..%2fpyproject.toml",
        "/static/%2e%2e/vidprod/config.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/nothing.js",
        "/static/",
        "/static/index.html%00.js",
        f"/static/{'x' * 300}.js",  # longer than a name may be
        f"/static/{'x/' * 3000}x.js",  # longer than a path may be
        "/static/%ff.js",
    ],
)
async def test_nothing_outside_the_page_is_served(live: Live, path: str) -> None:
    status, out = await live.curl("--path-as-is", "-w", "\n%{http_code}", f"{live.url}{path}")
    assert status == 0
    assert out.rpartition("\n")[2] in {"400", "404"}
    assert "root:" not in out
    assert "[project]" not in out


@pytest.mark.parametrize("path", ["/openapi.json", "/docs/openapi.json"])
async def test_the_document_describes_every_route(live: Live, path: str) -> None:
    document = (await live.client.get(path)).json()
    assert document["openapi"].startswith("3.")
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert {
        ("/upload", "post"),
        ("/upload", "put"),
        ("/status/{job_id}", "get"),
        ("/v1/jobs", "get"),
        ("/v1/jobs/{job_id}", "get"),
        ("/v1/jobs/{job_id}", "delete"),
        ("/v1/jobs/{job_id}/cancel", "post"),
        ("/v1/jobs/{job_id}/retry", "post"),
        ("/v1/jobs/{job_id}/segments.zip", "get"),
        ("/v1/segments/{segment_id}/{kind}", "get"),
        ("/v1/events", "get"),
        ("/v1/events/stream", "get"),
        ("/health", "get"),
        ("/ready", "get"),
        ("/metrics", "get"),
    } <= described
    for item in document["paths"].values():
        for operation in item.values():
            assert operation.get("description"), operation
    upload = document["paths"]["/upload"]
    assert "multipart/form-data" in upload["post"]["requestBody"]["content"]
    assert {"segment_s", "snap", "frame", "filename", "priority", "Idempotency-Key"} <= {
        parameter["name"] for parameter in upload["put"]["parameters"]
    }
    assert "application/problem+json" in upload["put"]["responses"]["415"]["content"]


class _Requests(HTMLParser):
    """Every address a browser would ask for, or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "inline script"
            assert name != "style", "inline style"
            if name in ("href", "src") and value:
                self.addresses.append(value)
            if name == "id" and value:
                self.ids.add(value)


async def test_the_description_is_readable_and_asks_nobody_else(live: Live) -> None:
    answer = await live.client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = _Requests()
    page.feed(answer.text)
    assert not page.tags & {"script", "style", "iframe", "img"}
    for address in page.addresses:
        assert address.startswith(("/", "#")), address
        if address.startswith("#"):
            assert address[1:] in page.ids, address
        else:
            assert (await live.client.get(address)).status_code == 200, address
    assert "/v1/jobs/{job_id}/segments.zip" in answer.text
    assert "segment_s" in answer.text


def test_every_body_that_is_read_is_described() -> None:
    read: dict[tuple[str, str], str] = {}
    for route in routed().routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            shape = re.search(r"await given\(request, (\w+)", inspect.getsource(handler.fn))
            if shape is not None:
                path = re.sub(r":\w+}", "}", route.path)
                read |= {(method.lower(), path): shape[1] for method in handler.http_methods}
    told = {at: "dict" if shape is AccountSettings else shape.__name__ for at, shape in docs._BODIES.items()}
    assert len(read) > 15
    assert told == read
