"""Errors of the Graph API: every row of the tables of both is of its class."""

import json
from typing import Any

import httpx
import pytest

from vidprod.platforms import graph
from vidprod.platforms.wire import Answer

DAY_S = 86_400


def answered(error: dict[str, Any], *, status: int = 400, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=httpx.Headers(headers or {}), body=json.dumps({"error": error}).encode())


def refusal(code: int, subcode: int = 0, **more: Any) -> Answer:
    error = {"message": "Something", "type": "OAuthException", "code": code, "fbtrace_id": "Abc"}
    return answered(error | ({"error_subcode": subcode} if subcode else {}), **more)


# errors: every row of the two tables


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (1, 0, "RETRY"),
        (2, 0, "RETRY"),
        (-1, 0, "RETRY"),
        (-2, 0, "RETRY"),
        *[(code, 0, "RETRY") for code in (4, 17, 32, 341, 613, 80002)],
        (4, 2207051, "POLICY"),
        *[(code, 0, "REAUTH") for code in (3, 10, 200, 230, 299)],
        (100, 0, "FIX"),
        (100, 33, "RETRY"),
        (102, 0, "REAUTH"),
        *[(190, subcode, "REAUTH") for subcode in (0, 458, 459, 460, 463, 464, 467, 492)],
        (368, 0, "POLICY"),
        (506, 0, "FIX"),
    ],
)
def test_an_error_of_the_graph_api_is_of_its_class(code: int, subcode: int, kind: str) -> None:
    error = graph.error_of(refusal(code, subcode))
    assert (error.kind, error.code, error.trace) == (kind, f"{code}/{subcode}" if subcode else str(code), "Abc")


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (-2, 2207003, "RETRY"),
        (-2, 2207020, "NEWHANDLE"),
        (-1, 2207001, "RETRY"),
        (-1, 2207032, "RETRY"),
        (-1, 2207053, "NEWHANDLE"),
        (1, 2207057, "FIX"),
        (4, 2207051, "POLICY"),
        (9, 2207042, "QUOTA"),
        (24, 2207006, "RECONCILE"),
        (24, 2207008, "RETRY"),
        (25, 2207050, "POLICY"),
        (100, 2207023, "FIX"),
        *[(100, subcode, "FIX") for subcode in (2207028, 2207035, 2207036, 2207037)],
        (100, 2207040, "FIX"),
        (352, 2207026, "FIX"),
        (9004, 2207052, "RETRY"),
        (9007, 2207027, "RETRY"),
        (36000, 2207004, "FIX"),
        (36001, 2207005, "FIX"),
        (36003, 2207009, "FIX"),
        (36004, 2207010, "FIX"),
        *[(-1, subcode, "NEWHANDLE") for subcode in (2207076, 2207077, 2207082)],
        *[(-1, subcode, "FIX") for subcode in (2207081, 2207085)],
    ],
)
def test_an_error_of_instagram_is_of_its_class(code: int, subcode: int, kind: str) -> None:
    assert graph.error_of(refusal(code, subcode)).kind == kind


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(status=502, headers=httpx.Headers(), body=b"<h1>Sorry</h1>"), "RETRY", "http_502"),
        (Answer(status=401, headers=httpx.Headers(), body=b""), "REAUTH", "http_401"),
        (Answer(status=200, headers=httpx.Headers(), body=b"[]"), "RETRY", "http_200"),
        (refusal(987654), "RETRY", "987654"),
        (answered({"code": "what", "message": 7}), "RETRY", "http_400"),
        (
            Answer(
                status=400,
                headers=httpx.Headers(),
                body=b'{"error_type":"OAuthException","code":400,"error_message":"Invalid authorization code"}',
            ),
            "REAUTH",
            "http_400",
        ),
    ],
)
def test_what_is_no_error_of_theirs_is_of_a_class_all_the_same(answer: Answer, kind: str, code: str) -> None:
    error = graph.error_of(answer)
    assert (error.kind, error.code) == (kind, code)


def test_a_limit_of_calls_is_waited_out_for_as_long_as_they_say() -> None:
    told = {"178": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 7}]}
    error = graph.error_of(refusal(80002, headers={"X-Business-Use-Case-Usage": json.dumps(told)}))
    assert error.retry_after_s == 420
    assert graph.error_of(refusal(4)).retry_after_s == 900
    assert graph.error_of(refusal(4, 2207051)).retry_after_s == DAY_S


def test_what_a_second_look_will_not_mend_is_not_tried_for_an_hour() -> None:
    assert graph.error_of(refusal(9004, 2207052)).tries == 3
    assert graph.error_of(refusal(-1, 2207001)).tries == 2
    assert graph.error_of(refusal(2)).tries is None


def test_an_error_holds_neither_a_token_nor_a_signed_address() -> None:
    token = "EAAB" + "x9" * 30
    error = graph.error_of(
        answered(
            {"code": 190, "message": f"Malformed access token {token} at https://daemon.example/public/a.sig.mp4?x=1"}
        )
    )
    assert str(error) == "Malformed access token … at https://daemon.example/…"


def test_their_words_for_people_are_preferred() -> None:
    told = {"code": 4, "message": "Application request limit reached", "error_user_title": "Action is blocked"}
    assert str(graph.error_of(answered(told))) == "Action is blocked"
    assert str(graph.error_of(answered({**told, "error_user_msg": "Wait."}))) == "Action is blocked: Wait."


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("2207003", "NEWHANDLE"),
        ("2207052", "NEWHANDLE"),
        ("2207026", "FIX"),
        ("2207051", "POLICY"),
        ("2207053", "NEWHANDLE"),
        ("2207057", "FIX"),
        ("2207076", "NEWHANDLE"),
        ("2207077", "NEWHANDLE"),
        ("2207081", "FIX"),
        ("2207082", "NEWHANDLE"),
        ("2207085", "FIX"),
        ("2207999", "NEWHANDLE"),
    ],
)
def test_a_container_that_failed_is_classed_by_the_number_in_its_words(number: str, kind: str) -> None:
    assert graph.of_container(f"Error: Media upload has failed with error code {number}")[:2] == (kind, number)


def test_a_container_that_failed_without_a_number_is_given_up() -> None:
    assert graph.of_container("Error: something") == ("NEWHANDLE", "container_error", "")
