"""Receivers of every kind at once, many deliveries, and what must hold when all is over."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

from standardwebhooks import Webhook

from tests.webhooks.post_office import FOR_EVER, PostOffice, post_office
from tests.webhooks.receiver import OK, Request, answer, receiving
from vidprod.domain.endpoint import GAPS_S, MAX_ATTEMPTS, Delivery, DeliveryAttempt, Endpoint

WAIT_S = 600  # that a busy receiver asks for

# what a receiver of each kind says to the first, second, … attempt of one delivery; the last again and again
KINDS: dict[str, tuple[bytes | str, ...]] = {
    "well": (OK,),
    "broken": (answer(500, b"out of order"), answer(500), OK),
    "busy": (answer(429, retry_after=str(WAIT_S)), OK),
    "redirect": (answer(302, location="http://169.254.169.254/latest/meta-data"),),
    "gone": (answer(410),),
    "hang": ("hang", OK),
    "reset": ("reset", "reset", OK),
    "huge": ("huge", OK),
}
HANGS_S = 0.12  # until an attempt is given up
ALWAYS_FAILS = ("redirect", "gone")


class Mixture:
    """Says to each attempt what its kind says; remembers who was told 2xx, and checks every signature."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()  # attempts, by webhook-id
        self.taken: Counter[str] = Counter()  # answered with 2xx
        self.forged = 0
        self.secrets: dict[str, str] = {}  # by path

    def __call__(self, request: Request) -> bytes | str:
        kind, message_id = request.path.split("/")[1], request.headers["webhook-id"]
        try:
            Webhook(self.secrets[request.path]).verify(request.body, request.headers)
        except Exception:
            self.forged += 1
        said = KINDS[kind][min(self.asked[message_id], len(KINDS[kind]) - 1)]
        self.asked[message_id] += 1
        if said == OK:
            self.taken[message_id] += 1
        return said


class Outcome:
    """What a run came to."""

    def __init__(self, *, deliveries: int) -> None:
        self.deliveries = deliveries
        self.attempts = 0
        self.lost = 0  # neither delivered, nor failed after all that was promised, nor waiting for who was disabled
        self.unheard = 0  # said to be delivered, and never taken
        self.doubles = 0  # taken more than once: allowed
        self.forged = 0
        self.untimely: list[tuple[str, float, float]] = []  # kind, seconds of a gap, and what it may be at least
        self.gaps = 0
        self.states: Counter[tuple[str, str]] = Counter()


async def run(folder: Path, *, deliveries: int, seed: int = 1, each: int = 2) -> Outcome:
    """So many deliveries in all, to `each` receivers of each kind, until nothing is due any more."""
    drawn = random.Random(seed)
    said = Mixture()
    async with receiving(said) as receiver, post_office(folder, whole_s=HANGS_S) as office:
        receiver.remembers = False
        endpoints: list[tuple[str, Endpoint]] = []
        for kind, number in itertools.product(KINDS, range(each)):
            endpoint, secret = await office.endpoint(receiver.url(f"/{kind}/{number}"), types=["job.*"])
            endpoints.append((kind, endpoint))
            said.secrets[f"/{kind}/{number}"] = secret
        for number in range(deliveries // len(endpoints)):
            await office.happens("job.completed", number=number, filler="x" * drawn.randrange(2000))
            if drawn.random() < 0.02:
                await office.settled(to=office.clock.now(), timeout_s=600)
        await office.settled(to=FOR_EVER, timeout_s=1800)
        return await _judged(office, endpoints, said)


async def _judged(office: PostOffice, endpoints: list[tuple[str, Endpoint]], said: Mixture) -> Outcome:
    happened = [
        event
        for event in await office.store.read(lambda db: db.events.after(0, limit=1_000_000))
        if event.type == "job.completed"
    ]
    outcome = Outcome(deliveries=0)
    outcome.forged = said.forged
    for kind, endpoint in endpoints:
        is_disabled = (await office.endpoint_now(endpoint)).state == "disabled"
        deliveries = await office.deliveries(endpoint)
        if not is_disabled and [one.event_id for one in deliveries] != [event.id for event in happened]:
            outcome.lost += 1
        for delivery in deliveries:
            outcome.deliveries += 1
            outcome.states[kind, delivery.state] += 1
            attempts = await office.attempts(delivery)
            outcome.attempts += len(attempts)
            outcome.lost += not _kept(kind, delivery, attempts, is_disabled=is_disabled)
            outcome.unheard += delivery.state == "delivered" and not said.taken[delivery.id]
            outcome.doubles += said.taken[delivery.id] > 1
            for failed, (before, after) in enumerate(itertools.pairwise(attempts), 1):
                outcome.gaps += 1
                gap_s = (after.at - before.at) / 1000
                if not _timely(kind, gap_s, failed, asked=before.status == 429):
                    outcome.untimely.append((kind, gap_s, GAPS_S[failed - 1]))
    return outcome


def _kept(kind: str, delivery: Delivery, attempts: list[DeliveryAttempt], *, is_disabled: bool) -> bool:
    if delivery.state == "pending":
        return is_disabled
    if delivery.state == "delivered":
        return attempts[-1].status == 200 and kind not in ALWAYS_FAILS
    return len(attempts) == MAX_ATTEMPTS or attempts[-1].status == 410


def _timely(kind: str, gap_s: float, failed: int, *, asked: bool) -> bool:
    """Within a tenth of what was promised. Who asks for time gets it, and is left alone meanwhile with all the rest."""
    planned_s = GAPS_S[failed - 1]
    if kind == "busy":
        return gap_s >= max(0.9 * planned_s, WAIT_S if asked else 0)
    return 0.9 * planned_s <= gap_s <= 1.1 * planned_s + 0.002


def told(outcome: Outcome) -> str:
    """The outcome as JSON, for who reads a log."""
    return json.dumps(
        {
            "deliveries": outcome.deliveries,
            "attempts": outcome.attempts,
            "lost": outcome.lost,
            "said to be delivered and never taken": outcome.unheard,
            "taken twice": outcome.doubles,
            "signatures that did not verify": outcome.forged,
            "gaps": outcome.gaps,
            "gaps more than a tenth off": len(outcome.untimely),
            "states": {f"{kind} {state}": count for (kind, state), count in sorted(outcome.states.items())},
        }
    )
