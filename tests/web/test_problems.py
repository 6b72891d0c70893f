"""Errors are problem details with a code, and say nothing of our insides."""

import pytest

from tests.web.conftest import Live
from vidprod.store.sqlite import Tables


async def test_what_is_not_there_is_a_problem_with_a_code(live: Live) -> None:
    for path in ("/nope", "/status/job_x", "/status/job_00000000000000000000000000", "/v1/segments/seg_x/video"):
        answer = await live.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) == {"type", "title", "status", "detail", "code", "hint"}
        assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Not Found", 404)
        assert problem["code"] == "not_found"


async def test_the_wrong_method_is_told_the_right_ones(live: Live) -> None:
    answer = await live.client.post("/health")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    problem = answer.json()
    assert problem["code"] == "method_not_allowed"
    assert problem["detail"] == "POST is not taken here."
    assert "GET" in problem["hint"]


async def test_what_is_at_no_address_is_named(live: Live) -> None:
    problem = (await live.client.get("/v1/takes")).json()
    assert problem["detail"] == "There is nothing at /v1/takes."
    assert "/docs" in problem["hint"]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/jobs?limit=0", "limit='0': must be a whole number from 1 to 100"),
        ("/v1/audit?before=0", "before='0': must be a whole number from 1 to 9223372036854775807"),
        ("/v1/jobs?limit=many", "limit='many': must be a whole number from 1 to 100"),
        (f"/v1/jobs?q={'x' * 201}", f"q='{'x' * 60}': must be a text of at most 200 characters"),
        ("/v1/events?limit=1001", "limit='1001': must be a whole number from 1 to 1000"),
        ("/v1/segments/seg_x/video?download=maybe", "download='maybe': must be 1 or 0"),
    ],
)
async def test_a_bad_parameter_is_named_with_what_would_be_right(live: Live, path: str, detail: str) -> None:
    answer = await live.client.get(path)
    assert answer.status_code == 400
    assert answer.json()["detail"] == detail


async def test_a_fault_of_ours_is_not_shown_in_detail(live: Live) -> None:
    def break_jobs(db: Tables) -> None:
        db.jobs._run("alter table job rename to secret_name")

    await live.store.write(break_jobs)
    answer = await live.client.get("/v1/jobs")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "job" not in answer.text.replace("jobs", "")
    assert "sqlite" not in answer.text.lower()
