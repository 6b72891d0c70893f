"""A target: where the segments of a job go, when, and what is said with them.

An upload names its targets in a few fields (`publish`, `publish_when`, `title`, …) or whole in `targets`. Without any,
segments go to the accounts whose setting `automatic` is on.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, get_args

import msgspec

from vidprod.domain.account import Account
from vidprod.domain.ids import is_id
from vidprod.domain.post import Privacy, Wording, check_wording, merge
from vidprod.domain.publication import When
from vidprod.errors import BadTarget, BadWording

FIELDS: dict[str, str] = {  # of an upload's form or query, and what each is
    "publish": "accounts to publish to, separated by commas, or none; not given: those that are automatic",
    "publish_when": "slot: in the weekly slots, at once where there are none; now: at once; or a time with its offset, "
    "2026-12-01T18:00:00+01:00, from which on",
    "title": "of the take, from which the title of each segment is made; or a template: {title}, {n}, {total}, "
    "{filename}, {date}",
    "caption": "a template, as `title`",
    "hashtags": "separated by commas",
    "privacy": f"{', '.join(get_args(Privacy))}: as far as the platform knows it",
    "targets": "all of it as a JSON array: [{account_id, when, wording}]",
}
MAX_TARGETS = 50

_RIGHT_WHEN = 'must be "slot", "now" or a time with its offset, like 2026-12-01T18:00:00+01:00'
_PLUS_LOST = re.compile(r" (\d\d:\d\d)$")  # a plus sign in a query that was not escaped


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account that segments of a job go to."""

    account_id: str
    when: Annotated[
        str, msgspec.Meta(max_length=60, description="slot, now, or a time with its offset, from which on")
    ] = "slot"
    wording: Wording = Wording()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload says of where its segments go."""

    targets: list[Target] | None = None  # None: not named: the accounts that are automatic
    when: str = "slot"
    wording: Wording = Wording()


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When something shall go out, as it was asked for."""

    when: When
    at: int | None = None  # unix ms, of "at"


def parse_when(text: str) -> Moment:
    """Raises BadTarget for what is neither "slot" nor "now" nor a time with its offset."""
    if text in ("slot", "now"):
        return Moment(when="slot" if text == "slot" else "now")
    try:
        moment = datetime.fromisoformat(_PLUS_LOST.sub(r"+\1", text))
    except ValueError:
        raise BadTarget(f"when={text[:60]!r}: {_RIGHT_WHEN}") from None
    if moment.tzinfo is None:
        raise BadTarget(f"when={text[:60]!r}: it does not say of which zone; {_RIGHT_WHEN}")
    if not 1970 < moment.year < 9999:
        raise BadTarget(f"when={text[:60]!r}: nobody will be there; {_RIGHT_WHEN}")
    return Moment(when="at", at=round(moment.timestamp() * 1000))


def parse_asked(fields: Mapping[str, str], *, faults: list[str]) -> Asked:
    """What the `FIELDS` of an upload ask for; one that is empty, as in a browser's form, asks for nothing.

    Args:
        faults: each fault is added here: the option, its value, what would be right.
    """
    fields = {name: value for name, value in fields.items() if value.strip()}
    targets = _targets(fields, faults)
    asked = Asked(targets=targets, when=fields.get("publish_when", "slot"), wording=_wording(fields, faults))
    for text in dict.fromkeys([asked.when, *(target.when for target in targets or [])]):
        try:
            parse_when(text)
        except BadTarget as error:
            faults.append(f"publish_{error}")
    for said in [asked.wording, *(target.wording for target in targets or [])]:
        try:
            check_wording(said)
        except BadWording as error:
            faults.append(str(error))
    return asked


def check_accounts(asked: Asked, accounts: Iterable[Account]) -> None:
    """Raises BadTarget, naming every account that there is not, or that is disconnected."""
    known = {account.id: account for account in accounts}
    faults = []
    for target in asked.targets or []:
        account = known.get(target.account_id)
        if account is None:
            faults.append(f"there is no account {target.account_id}")
        elif account.state == "disconnected":
            faults.append(f"the account {account.id} ({account.name}) is disconnected")
    if faults:
        raise BadTarget("; ".join(faults), hint="GET /v1/accounts lists the accounts there are.")


def resolve(asked: Asked, accounts: Iterable[Account]) -> list[Target]:
    """The targets that are meant, with what is said for all of them."""
    if asked.targets is not None:
        return [
            msgspec.structs.replace(target, wording=merge(target.wording, asked.wording)) for target in asked.targets
        ]
    return [
        Target(account_id=account.id, when=asked.when, wording=asked.wording)
        for account in accounts
        if account.settings.automatic and account.state != "disconnected"
    ]


def _targets(fields: Mapping[str, str], faults: list[str]) -> list[Target] | None:
    if "targets" in fields:
        if others := [name for name in ("publish", "publish_when") if name in fields]:
            faults.append(f"targets and {' and '.join(others)}: say it in targets")
        named = _decoded(fields["targets"], faults)
    elif "publish" in fields:
        named = _named(fields["publish"], when=fields.get("publish_when", "slot"), faults=faults)
    else:
        return None
    if wrong := [target.account_id[:60] for target in named if not is_id(target.account_id, "acc")]:
        faults.append(f"publish={', '.join(wrong)}: an account's id begins with acc_; GET /v1/accounts lists them")
    if len({target.account_id for target in named}) < len(named):
        faults.append("publish: an account is named more than once")
    if len(named) > MAX_TARGETS:
        faults.append(f"publish: {len(named)} accounts, at most {MAX_TARGETS} are taken")
    return named


def _decoded(text: str, faults: list[str]) -> list[Target]:
    try:
        return msgspec.json.decode(text, type=list[Target])
    except (msgspec.MsgspecError, RecursionError) as error:
        faults.append(f"targets is not a JSON array of targets: {error}")
        return []


def _named(text: str, *, when: str, faults: list[str]) -> list[Target]:
    if text.strip() == "none":
        return []
    ids = [name.strip() for name in text.split(",") if name.strip()]
    if not ids:
        faults.append(f"publish={text[:60]!r}: must be accounts, separated by commas, or none")
    return [Target(account_id=name, when=when) for name in ids]


def _wording(fields: Mapping[str, str], faults: list[str]) -> Wording:
    said: dict[str, Any] = {name: fields[name] for name in ("title", "caption", "privacy") if name in fields}
    if (hashtags := fields.get("hashtags")) is not None:
        said["hashtags"] = [hashtag for hashtag in hashtags.replace(" ", ",").split(",") if hashtag]
    good: dict[str, Any] = {}
    for name, value in said.items():
        try:
            msgspec.convert({name: value}, Wording)
            good[name] = value
        except msgspec.ValidationError as error:
            choices = f"must be one of {', '.join(get_args(Privacy))}" if name == "privacy" else str(error)
            faults.append(f"{name}={fields[name][:60]!r}: {choices}")
    return msgspec.convert(good, Wording)
