"""How an account stands, and whether anything is published at all: moves with their events. Each runs inside one
transaction, whoever asks for it."""

from vidprod.domain.account import Account
from vidprod.store.sqlite.tables import Tables


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
    """Nothing of it goes out until it is resumed."""
    if (account := db.accounts.get(account_id)).paused_at is not None:
        return account
    account = db.accounts.pause(account_id, now=now)
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


def about(account: Account) -> dict[str, str]:
    """What an event says of an account."""
    return {"account_id": account.id, "platform": account.platform, "name": account.name}
