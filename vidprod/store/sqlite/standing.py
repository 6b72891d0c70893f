"""How an account stands, and whether anything is published at all: moves with their events. Each runs inside one
transaction, whoever asks for it."""

import msgspec

from vidprod.domain.account import Account
from vidprod.domain.held import Held, Why
from vidprod.errors import Conflict
from vidprod.store.sqlite.tables import Tables

PAUSED_AT = "publishing_paused_at"  # of `facts`: unix ms
HELD = "publishing_held"

_MOVED = (
    "This home was moved to another machine, and that one publishes now. If it never began there, `vidprod move undo` "
    "takes it back."
)


def need_reauth(db: Tables, account_id: str, fault: str, *, now: int) -> Account:
    """Its tokens are dead, and somebody is told; one that is not connected stays as it is.

    Args:
        fault: why, in words, and what is to be done.
    """
    account = db.accounts.get(account_id)
    if account.state != "connected":
        return account
    account = db.accounts.need_reauth(account_id, fault)
    db.events.record("account.needs_reauth", data={**about(account), "fault": fault}, now=now)
    return account


def pause_account(db: Tables, account_id: str, *, now: int) -> Account:
    """Nothing of it goes out until it is resumed; what a platform was handed with its time is asked back."""
    if (account := db.accounts.get(account_id)).paused_at is not None:
        return account
    account = db.accounts.pause(account_id, now=now)
    db.publications.look_at_handed(account_id=account_id, now=now)
    db.events.record("account.paused", data=about(account), now=now)
    return account


def resume_account(db: Tables, account_id: str, *, now: int) -> Account:
    """As it was before the pause."""
    if (account := db.accounts.get(account_id)).paused_at is None:
        return account
    account = db.accounts.resume(account_id)
    db.events.record("account.resumed", data=about(account), now=now)
    return account


def disconnect_account(db: Tables, account_id: str, *, now: int) -> Account:
    """Its tokens are forgotten; what was planned for it waits. Raises Conflict when it is so already."""
    account = db.accounts.disconnect(account_id)
    db.events.record("account.disconnected", data=about(account), now=now)
    return account


def pause_publishing(db: Tables, *, now: int) -> int:
    """Nothing goes out anywhere, over restarts, until it is resumed. Since when that is so."""
    paused_at = db.facts.get(PAUSED_AT)
    if paused_at is not None:
        return int(paused_at)
    db.facts.set(PAUSED_AT, now)
    db.publications.look_at_handed(now=now)
    db.events.record("publishing.paused", now=now)
    return now


def resume_publishing(db: Tables, *, now: int) -> None:
    """What is due goes out again. Accounts that are paused by themselves stay so. Raises Conflict: it was moved to
    another home."""
    held = held_by(db)
    if held is not None and held.why == "moved":
        raise Conflict(held.message, code="moved", hint="Publish from the new home.")
    if db.facts.get(PAUSED_AT) is None and held is None:
        return
    db.facts.set(PAUSED_AT, None)
    db.facts.set(HELD, None)
    db.events.record("publishing.resumed", now=now)


def held_by(db: Tables) -> Held | None:
    """What holds all publishing, more than a pause does; None: nothing."""
    found = db.facts.get(HELD)
    return None if found is None else msgspec.convert(found, Held)


def hold_publishing(db: Tables, why: Why, message: str, *, now: int) -> None:
    """Nothing is asked of any platform, over restarts. To people it is a pause that says why."""
    paused_at = db.facts.get(PAUSED_AT)
    db.facts.set(HELD, msgspec.to_builtins(Held(why=why, since=now, message=message, paused_before=paused_at)))
    db.facts.set(PAUSED_AT, now if paused_at is None else paused_at)
    db.events.record("publishing.paused", data={"why": why, "message": message}, now=now)


def move_out(db: Tables, *, now: int) -> None:
    """From now on this home publishes nothing: another one does. One that was moved already stays so. Raises Conflict:
    it was restored, and nobody has said yet that it may publish."""
    held = held_by(db)
    if held is not None and held.why == "moved":
        return
    if held is not None:
        raise Conflict(held.message, code=held.why, hint="Resume publishing first.")
    hold_publishing(db, "moved", _MOVED, now=now)


def release_publishing(db: Tables, *, now: int) -> None:
    """As before it was held: a pause from before stays."""
    held = held_by(db)
    if held is None:
        return
    db.facts.set(HELD, None)
    db.facts.set(PAUSED_AT, held.paused_before)
    if held.paused_before is None:
        db.events.record("publishing.resumed", now=now)


def about(account: Account) -> dict[str, str]:
    """What an event says of an account."""
    return {"account_id": account.id, "platform": account.platform, "name": account.name}
