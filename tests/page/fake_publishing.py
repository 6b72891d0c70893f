"""What the far end knows of accounts, publications and endpoints. Texts are composed and counted by the daemon's own
functions; everything else is what the test says."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from vidprod.domain.account import AccountSettings
from vidprod.domain.post import Fields, Wording, compose, counts, default_wording, faults, merge

Json = dict[str, Any]
Answer = tuple[int, Any]

_FACTS: Json = {
    "needs_approval": False,
    "approved_at": None,
    "missed_at": None,
    "wait": None,
    "phase": None,
    "attempt": 0,
    "failures": 0,
    "errors": [],
    "sha256": "",
    "size": 0,
    "said": "",
    "privacy_seen": "",
    "remote_id": None,
    "url": None,
    "deadline_at": None,
    "published_at": None,
    "finalized_at": None,
    "retry_at": None,
}
_OVER = ("published", "rejected", "cancelled")
LOGINS: list[Json] = [
    {"platform": "youtube", "flavour": "", "name": "YouTube", "configured": True, "hint": ""},
    {"platform": "tiktok", "flavour": "", "name": "TikTok", "configured": True, "hint": ""},
    {
        "platform": "instagram",
        "flavour": "instagram_login",
        "name": "Instagram",
        "configured": False,
        "hint": "Set instagram_app_id and instagram_app_secret.",
    },
]


def rfc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Refused(Exception):
    """The request is answered with a problem."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail


class Publishing:
    """Accounts, publications, endpoints and deliveries, by id."""

    def __init__(self, emit: Callable[[str, Json], None], jobs: Callable[[], dict[str, Json]]) -> None:
        self.accounts: dict[str, Json] = {}
        self.publications: dict[str, Json] = {}
        self.endpoints: dict[str, Json] = {}
        self.deliveries: dict[str, Json] = {}
        self.attempts: dict[str, list[Json]] = {}
        self.logins = LOGINS
        self.paused_at: str | None = None
        self.stands_at: datetime | None = None  # its clock stands still; None: it goes as ours
        self.refusals: dict[str, Refused] = {}  # by the end of a path: the next change asked of it is refused so
        self.sent: list[tuple[str, str, Any]] = []  # method, path and body of what changed something
        self.test_status = 204
        self.choices: Json = {"privacy": ["public", "friends", "private"], "comments": True, "duet": True}
        self.choices |= {"stitch": True, "longest_s": 600}  # of every TikTok account
        self.away = ""  # where connecting leads
        self._emit, self._jobs = emit, jobs
        self._numbers = count(1)

    # What the test does.

    def add_account(self, name: str, platform: str = "youtube", **changes: Any) -> str:
        account_id = f"acc_{next(self._numbers):026d}"
        settings = msgspec.to_builtins(AccountSettings()) | changes.pop("settings", {})
        self.accounts[account_id] = {
            "id": account_id,
            "platform": platform,
            "flavour": "",
            "external_id": name,
            "name": name,
            "username": name.lower().replace(" ", ""),
            "state": "connected",
            "scopes": [],
            "notices": [],
            "settings": settings,
            "connected_at": rfc(datetime.now(UTC)),
            "access_expires_at": None,
            "refresh_expires_at": None,
            "refreshed_at": None,
            "paused_at": None,
            "parked_until": None,
            "fault": None,
            **changes,
        }
        return account_id

    def plan(self, segment_id: str, account_id: str, *, due: datetime, **changes: Any) -> str:
        """A publication; without changes it is scheduled."""
        publication_id = f"pub_{next(self._numbers):026d}"
        account = self.accounts[account_id]
        job_id, job, segment = self._segment(segment_id)
        publication = {
            "id": publication_id,
            "segment_id": segment_id,
            "segment_index": segment["index"],
            "filename": job["source"]["filename"],
            "job_id": job_id,
            "account_id": account_id,
            "account_name": account["name"],
            "platform": account["platform"],
            "state": "scheduled",
            "post": msgspec.to_builtins(self._compose(segment_id, account_id, {})),
            "when": "at",
            "due_at": rfc(due),
            "run_at": rfc(due),
            "created_at": rfc(datetime.now(UTC)),
            **_FACTS,
            **changes,
        }
        if publication["state"] in _OVER:
            publication["finalized_at"] = publication["finalized_at"] or rfc(datetime.now(UTC))
        self.publications[publication_id] = publication
        return publication_id

    def move(self, publication_id: str, event: str, **changes: Any) -> None:
        """Changes a publication and tells the page."""
        publication = self.publications[publication_id]
        publication.update(changes)
        if publication["state"] in _OVER:
            publication["finalized_at"] = rfc(datetime.now(UTC))
        self._emit(event, {"publication_id": publication_id, "account_id": publication["account_id"]})

    def change_account(self, account_id: str, event: str, **changes: Any) -> None:
        self.accounts[account_id].update(changes)
        self._emit(event, {"account_id": account_id})

    def add_endpoint(self, url: str, **changes: Any) -> str:
        endpoint_id = f"end_{next(self._numbers):026d}"
        self.endpoints[endpoint_id] = {
            "id": endpoint_id,
            "url": url,
            "types": [],
            "job_id": None,
            "state": "enabled",
            "disabled_reason": None,
            "description": "",
            "created_at": rfc(datetime.now(UTC)),
            "failing_since": None,
            "failed_at": None,
            "held_until": None,
            "rotated_at": None,
            "older_secret_until": None,
            "waiting": 0,
            **changes,
        }
        return endpoint_id

    def deliver(self, endpoint_id: str, event_type: str, *statuses: int | None, state: str = "delivered") -> str:
        """A delivery with an attempt for each status; None: there was no answer."""
        delivery_id = f"msg_{next(self._numbers):026d}"
        now = datetime.now(UTC)
        self.deliveries[delivery_id] = {
            "id": delivery_id,
            "endpoint_id": endpoint_id,
            "event_id": 1,
            "event_type": event_type,
            "state": state,
            "attempt": len(statuses),
            "run_at": rfc(now + timedelta(minutes=5)) if state == "pending" else None,
            "created_at": rfc(now),
            "finalized_at": None if state == "pending" else rfc(now),
        }
        self.attempts[delivery_id] = [_attempt(number, status) for number, status in enumerate(statuses, 1)]
        return delivery_id

    # What the page asks.

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Status and body. Raises Refused."""
        given = json.loads(body) if body else None
        if method != "GET":
            self.sent.append((method, path, given))
            for end in [end for end in self.refusals if path.endswith(end)]:
                raise self.refusals.pop(end)
        parts = path.removeprefix("/v1/").split("/")
        noun, rest = parts[0], parts[1:]
        ask: Callable[..., Answer] = getattr(self, f"_{noun}")
        return ask(method, rest, query, given)

    def _accounts(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        if not rest:
            listed = list(self.accounts.values())
            publishing = {"paused_at": self.paused_at}
            clock = {"now": rfc(self.stands_at or datetime.now(UTC)), "speed": 0 if self.stands_at else 1}
            return 200, {"accounts": listed, "logins": self.logins, "publishing": publishing, "clock": clock}
        if rest == ["connect"]:
            return 200, {"url": self.away}
        account = self._found(self.accounts, rest[0])
        if rest[1:] == ["choices"]:
            return 200, {"name": account["name"], "username": account["username"], **self.choices}
        if method == "PATCH":
            wording = given.get("wording", {})
            settings = {**account["settings"], **given, "wording": {**account["settings"]["wording"], **wording}}
            account["settings"] = msgspec.to_builtins(msgspec.convert(settings, AccountSettings))
        elif method == "DELETE":
            account.update(state="disconnected")
        else:
            account["paused_at"] = rfc(datetime.now(UTC)) if rest[1] == "pause" else None
        return 200, account

    def _publishing(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        self.paused_at = rfc(datetime.now(UTC)) if rest == ["pause"] else None
        return 200, {"paused_at": self.paused_at}

    def _publications(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        if not rest and method == "POST":
            due = datetime.now(UTC) if given["when"] in ("now", "slot") else datetime.fromisoformat(given["when"])
            publication_id = self.plan(given["segment_id"], given["account_id"], due=due, when=given["when"][:4])
            publication = self.publications[publication_id]
            publication["post"].update(given["wording"])
            return 201, publication
        if not rest:
            return 200, self._page(query)
        publication = self._found(self.publications, rest[0])
        if method == "PATCH":
            publication["post"].update(given.get("wording", {}))
            if "when" in given:
                publication.update(due_at=rfc(datetime.fromisoformat(given["when"])), missed_at=None)
        elif method == "POST":
            now, url = rfc(datetime.now(UTC)), (given or {}).get("url")
            becomes: dict[str, Json] = {
                "approve": {"approved_at": now, "wait": None},
                "cancel": {"state": "cancelled", "finalized_at": now},
                "retry": {"state": "scheduled", "finalized_at": None, "errors": []},
                "settle": {"state": "published", "published_at": now, "url": url}
                if url
                else {"state": "rejected", "finalized_at": now},
                "check": {"said": "still looking"},
                "publish": {"due_at": now, "missed_at": None, "state": "uploading"},
            }
            publication.update(becomes[rest[1]])
        return 200, publication

    def _calendar(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        found = self._between(self.publications.values(), query)
        days: dict[str, list[Json]] = {}
        for publication in sorted(found, key=lambda one: str(one["due_at"])):
            days.setdefault(publication["due_at"][:10], []).append(publication)
        return 200, {"days": [{"date": day, "publications": some} for day, some in days.items()], "zone": "UTC"}

    def _posts(self, method: str, rest: list[str], query: dict[str, str], given: Json) -> Answer:
        post = self._compose(given.get("segment_id"), given["account_id"], given["wording"])
        account = self.accounts[given["account_id"]]
        platform, settings = account["platform"], account["settings"]
        return 200, {
            "post": msgspec.to_builtins(post),
            "counts": msgspec.to_builtins(counts(post, platform)),
            "faults": faults(post, platform, direct=settings["delivery"] == "direct"),
        }

    def _endpoints(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        if not rest and method == "GET":
            return 200, {"endpoints": list(self.endpoints.values())}
        if not rest:
            endpoint_id = self.add_endpoint(given["url"], types=given["types"], description=given["description"])
            return 201, {**self.endpoints[endpoint_id], "secret": "whsec_made-up-once"}
        endpoint = self._found(self.endpoints, rest[0])
        what = rest[1] if len(rest) > 1 else ""
        if method == "PATCH":
            endpoint.update(given)
            return 200, endpoint
        if method == "DELETE":
            del self.endpoints[endpoint["id"]]
            return 204, None
        if what == "deliveries":
            mine = [one for one in reversed(self.deliveries.values()) if one["endpoint_id"] == endpoint["id"]]
            shown = [one for one in mine if query.get("state", one["state"]) == one["state"]]
            older = [one for one in shown if one["id"] < query.get("cursor", "~")]
            limit = int(query["limit"])
            return 200, {
                "deliveries": older[:limit],
                "next_cursor": older[limit - 1]["id"] if len(older) > limit else None,
            }
        if what == "test":
            delivery_id = self.deliver(endpoint["id"], "endpoint.test", self.test_status)
            return 202, self.deliveries[delivery_id]
        if what == "rotate":
            endpoint["older_secret_until"] = rfc(datetime.now(UTC) + timedelta(days=1))
            return 200, {**endpoint, "secret": "whsec_made-up-twice"}
        if what == "replay":
            return 200, {"replayed": len(self.deliveries)}
        off = what == "disable"
        endpoint.update(state="disabled" if off else "enabled", disabled_reason="disabled by hand" if off else None)
        return 200, endpoint

    def _deliveries(self, method: str, rest: list[str], query: dict[str, str], given: Any) -> Answer:
        delivery = self._found(self.deliveries, rest[0])
        if method == "POST":
            delivery.update(state="pending", run_at=rfc(datetime.now(UTC)), finalized_at=None)
            return 202, delivery
        return 200, {**delivery, "attempts": self.attempts[rest[0]]}

    def _page(self, query: dict[str, str]) -> Json:
        found = list(reversed(self.publications.values()))
        if "state" in query:
            found = [one for one in found if one["state"] in query["state"].split(",")]
        for name, field in {"job": "job_id", "segment": "segment_id", "account": "account_id"}.items():
            if name in query:
                found = [one for one in found if one[field] == query[name]]
        older = [one for one in self._between(found, query) if one["id"] < query.get("cursor", "~")]
        limit = int(query["limit"])
        return {"publications": older[:limit], "next_cursor": older[limit - 1]["id"] if len(older) > limit else None}

    def _between(self, found: Any, query: dict[str, str]) -> list[Json]:
        start, end = query.get("from", ""), query.get("to", "~")
        return [one for one in found if start <= one["due_at"] < end]

    def _compose(self, segment_id: str | None, account_id: str, wording: Json) -> Any:
        account = self.accounts[account_id]
        if segment_id is None:
            total, index, name, synthetic = 12, 0, "my_take.mov", False
        else:
            _, job, segment = self._segment(segment_id)
            total, index, name = len(job["segments"]), segment["index"], job["source"]["filename"]
            synthetic = segment["synthetic"]
        said = merge(
            msgspec.convert(wording, Wording),
            msgspec.convert(account["settings"]["wording"], Wording),
            default_wording(account["platform"], total=total),
        )
        fields = Fields(title=name.rpartition(".")[0], n=index + 1, total=total, filename=name, date="2026-11-21")
        return compose(said, fields, synthetic=synthetic)

    def _segment(self, segment_id: str) -> tuple[str, Json, Json]:
        for job_id, job in self._jobs().items():
            for segment in job["segments"]:
                if segment["segment_id"] == segment_id:
                    return job_id, job, segment
        raise Refused(404, "Not found", f"There is no segment {segment_id}.")

    @staticmethod
    def _found(rows: dict[str, Json], row_id: str) -> Json:
        if row_id not in rows:
            raise Refused(404, "Not found", f"There is no {row_id}.")
        return rows[row_id]


def _attempt(number: int, status: int | None) -> Json:
    return {
        "number": number,
        "at": rfc(datetime.now(UTC)),
        "took_ms": 12,
        "status": status,
        "error": "the connection was refused" if status is None else "" if status < 300 else f"it answered {status}",
        "answer": "" if status is None or status < 300 else "no <b>such</b> thing",
    }
