"""Names that clients give to files, and ids in paths: neither becomes a header line nor a path of ours."""

import email.message
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.web.conftest import Live
from tests.web.made import complete
from vidprod.web.files import disposition
from vidprod.web.pages import static_directory

# what a name must not do, tried by names
NAMES = [
    "a.mov\r\nSet-Cookie: evil=1",
    "a.mov\nX-Evil: 1",
    'a".mov; filename="evil.exe',
    "a.mov\x00.exe",
    "..\\..\\evil.bat",
    "../../../etc/passwd",
    "/etc/passwd",
    "a\u202egnp.exe.mov",
    "\u2028X-Evil: 1",
    "a%0d%0aX-Evil: 1.mov",
    "a.mov\u0085X-Evil: 1",
    "ü" * 300 + ".mov",
]


def faults_of(header: str) -> list[str]:
    """What a browser could be made to do by this Content-Disposition."""
    faults = [f"a control character: {c!r}" for c in header if ord(c) < 32 or ord(c) == 127]
    faults += [f"not ASCII: {c!r}" for c in header if ord(c) > 126]
    if faults:
        return faults
    parsed = email.message.Message()
    parsed["Content-Disposition"] = header
    if parsed.get_content_disposition() != "attachment":
        faults.append("not an attachment")
    # all that may be there is a plain name and a full one, once each
    names = [name for name, _ in (parsed.get_params(header="content-disposition") or [])[1:]]
    if sorted(names) not in (["filename"], ["filename", "filename"], ["filename", "filename*"]):
        faults.append(f"parameters: {names}")
    plain = header.partition('filename="')[2].partition('"')[0]
    rest = header.partition('filename="')[2].partition('"')[2]
    if not rest.startswith("; filename*=UTF-8''") or set(rest.removeprefix("; filename*=UTF-8''")) & set("\"';, \\"):
        faults.append(f"after the plain name: {rest[:40]!r}")
    if "%" in plain or "\\" in plain:
        faults.append("a plain name that browsers decode")
    return faults


@pytest.mark.parametrize("name", NAMES)
def test_a_name_becomes_no_header(name: str) -> None:
    assert faults_of(disposition(name, attachment=True)) == []


def naive(name: str) -> str:
    return f'attachment; filename="{name}"'


def without_quotes(name: str) -> str:
    plain = name.replace('"', "").replace("\r", "").replace("\n", "")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{plain}"


def escaped_by_backslash(name: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() else "_" for c in name).replace('"', '\\"')
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


@pytest.mark.parametrize("weak", [naive, without_quotes, escaped_by_backslash])
def test_weaker_ways_to_name_a_file_are_caught(weak: Callable[[str], str]) -> None:
    assert any(faults_of(weak(name)) for name in NAMES)


async def test_a_take_with_such_a_name_is_downloaded_under_a_harmless_one(live: Live) -> None:
    for name in NAMES:
        (segment_id,) = await complete(live, await live.upload(filename=name[:200]), segments=1)
        answer = await live.client.get(f"/v1/segments/{segment_id}/video?download=1")
        assert answer.status_code == 200
        (header,) = answer.headers.get_list("content-disposition")
        assert faults_of(header) == [], name
        assert not {"set-cookie", "x-evil"} & set(answer.headers)
        assert (answer.headers["x-content-type-options"], answer.headers["content-type"]) == ("nosniff", "video/mp4")
        assert "sandbox" in answer.headers["content-security-policy"]


# what lies beside the page's files, by ways that were thought of before
OUTSIDE = "pyproject.toml"
WAYS = [
    f"../{OUTSIDE}",
    f"..%2f{OUTSIDE}",
    f"%2e%2e/{OUTSIDE}",
    f"%2e%2e%2f{OUTSIDE}",
    f"..%5c{OUTSIDE}",
    f"./.././{OUTSIDE}",
    f"page.css/../../{OUTSIDE}",
    f"/{OUTSIDE}",
    f"//{OUTSIDE}",
    f"....//{OUTSIDE}",
    f"..%c0%af{OUTSIDE}",
    f"..%252f{OUTSIDE}",
    "..%2fvidprod.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..%00/",
    "index.html%00.png",
    "a" * 5000,
]


async def test_no_path_leads_out_of_the_pages_files(live: Live) -> None:
    for way in WAYS:
        status, out = await live.curl("--path-as-is", "-o", "-", "-w", "\n%{http_code}", f"{live.url}/static/{way}")
        assert (status, out.splitlines()[-1]) in {(0, "404"), (0, "400"), (0, "414")}, way
        assert "[project]" not in out
        assert "root:" not in out


def test_the_file_they_try_to_reach_is_there() -> None:
    """The twin: whoever joined the path without a look would hand it out."""
    reached = [way for way in WAYS if _joined(way).is_file()]
    assert any("pyproject" in way for way in reached)


def _joined(way: str) -> Path:
    try:
        path = Path(f"{static_directory()}/{way}")
        path.is_file()
    except (ValueError, OSError):
        return static_directory()
    return path


IDS = [
    "..",
    "../..",
    "%2e%2e",
    "..%2f..%2fvidprod.db",
    "job_..%2f..%2f",
    "job_" + "0" * 25 + "/",
    "job_" + "0" * 27,
    "*",
]


async def test_what_has_not_the_shape_of_an_id_names_nothing(live: Live) -> None:
    for given in IDS:
        for path in ("/v1/jobs/{}", "/v1/jobs/{}/segments.zip", "/v1/segments/{}/video", "/public/{}.mp4"):
            address = live.url + path.format(given)
            status, out = await live.curl("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", address)
            assert (status, out) == (0, "404"), address
