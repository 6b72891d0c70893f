"""Where the segments of a job go, as an upload says it."""

import json
from datetime import UTC, datetime

import pytest

from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.post import Wording
from vidprod.domain.target import Asked, Moment, Target, check_accounts, parse_asked, parse_when, resolve
from vidprod.errors import BadTarget

ONE, TWO = (new_id("acc", now=now, entropy=b"\0" * 10) for now in (1, 2))


def account(account_id: str, *, automatic: bool = False, connected: bool = True) -> Account:
    return Account(
        id=account_id,
        platform="youtube",
        external_id="UC1",
        name="Channel",
        state="connected" if connected else "disconnected",
        settings=AccountSettings(automatic=automatic),
        connected_at=0,
    )


def asked(**fields: str) -> Asked:
    faults: list[str] = []
    parsed = parse_asked(fields, faults=faults)
    assert faults == []
    return parsed


def faults_of(**fields: str) -> list[str]:
    faults: list[str] = []
    parse_asked(fields, faults=faults)
    return faults


def test_without_a_word_segments_go_to_the_automatic_accounts() -> None:
    accounts = [account(ONE, automatic=True), account(TWO)]
    assert resolve(asked(), accounts) == [Target(account_id=ONE)]
    assert resolve(asked(), []) == []


def test_none_is_none() -> None:
    assert resolve(asked(publish="none"), [account(ONE, automatic=True)]) == []


def test_what_is_said_is_said_to_every_account() -> None:
    wanted = asked(publish=f"{ONE}, {TWO}", title="Talk", hashtags="#a, b c", privacy="unlisted", publish_when="now")
    said = Wording(title="Talk", hashtags=["#a", "b", "c"], privacy="unlisted")
    assert resolve(wanted, []) == [Target(account_id=name, when="now", wording=said) for name in (ONE, TWO)]
    assert resolve(asked(title="Talk"), [account(ONE, automatic=True)])[0].wording == Wording(title="Talk")


def test_each_target_may_say_it_in_its_own_words() -> None:
    targets = [{"account_id": ONE, "when": "now", "wording": {"title": "Short"}}, {"account_id": TWO}]
    wanted = asked(targets=json.dumps(targets), title="Long", caption="c")
    assert resolve(wanted, []) == [
        Target(account_id=ONE, when="now", wording=Wording(title="Short", caption="c")),
        Target(account_id=TWO, wording=Wording(title="Long", caption="c")),
    ]


def test_an_empty_field_of_a_browsers_form_says_nothing() -> None:
    assert asked(publish="", publish_when=" ", title="", hashtags="", privacy="", targets="") == Asked()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"publish": ","}, "must be accounts, separated by commas, or none"),
        ({"publish": "acc_1"}, "an account's id begins with acc_"),
        ({"publish": f"{ONE},{ONE}"}, "named more than once"),
        ({"publish": ONE, "targets": "[]"}, "say it in targets"),
        ({"targets": "{}"}, "is not a JSON array"),
        ({"targets": "[" * 100_000}, "is not a JSON array"),
        ({"targets": f'[{{"account_id": "{ONE}", "at": 1}}]'}, "unknown field `at`"),
        ({"publish_when": "tomorrow"}, 'publish_when=\'tomorrow\': must be "slot", "now" or a time'),
        ({"title": "{titel}"}, 'there is no field "{titel}"'),
        ({"privacy": "secret"}, "must be one of public, unlisted"),
        ({"title": "x" * 5001}, "5000"),
    ],
)
def test_what_cannot_be_read_says_what_is_wrong_and_what_would_be_right(fields: dict[str, str], told: str) -> None:
    (fault,) = faults_of(**fields)
    assert told in fault


def test_all_faults_are_told_at_once() -> None:
    assert len(faults_of(publish="acc_1", publish_when="soon", caption="{", privacy="x")) == 4


def test_a_time_says_its_offset() -> None:
    at = round(datetime(2026, 12, 1, 17, tzinfo=UTC).timestamp() * 1000)
    for text in ("2026-12-01T18:00:00+01:00", "2026-12-01T17:00:00Z", "2026-12-01T18:00 01:00", "20261201T170000Z"):
        assert parse_when(text) == Moment(when="at", at=at)
    with pytest.raises(BadTarget, match="does not say of which zone"):
        parse_when("2026-12-01T18:00:00")


@pytest.mark.parametrize("text", ["", "2026-13-01T00:00Z", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "12:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadTarget, match="like 2026-12-01T18:00:00"):
        parse_when(text)


def test_accounts_that_nothing_can_go_to_are_named() -> None:
    wanted = asked(publish=f"{ONE},{TWO}")
    check_accounts(wanted, [account(ONE), account(TWO)])
    with pytest.raises(BadTarget) as caught:
        check_accounts(wanted, [account(TWO, connected=False)])
    assert f"no account {ONE}" in str(caught.value)
    assert "(Channel) is disconnected" in str(caught.value)
