"""What an upload asks for besides its bytes: the recipe, the priority, the file's name, where its segments go, whether
somebody looks at them before, and who hears of it."""

import unicodedata
from collections.abc import Iterable
from typing import cast, get_args

import msgspec

from vidprod.domain.job import Priority
from vidprod.domain.recipe import Recipe, parse_recipe
from vidprod.domain.target import FIELDS, Asked, parse_asked
from vidprod.errors import BadRecipe

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
WEBHOOK = {
    "webhook_url": "an address that hears of this job's events, signed after Standard Webhooks",
    "webhook_secret": "with which they are signed, in a form only; without it the answer has one",
}
REVIEW = {"review": "on: nothing is planned of a segment until somebody keeps it; off: as soon as it is ready"}
_MAX_NAME_BYTES = 255


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one upload, checked."""

    recipe: Recipe
    priority: Priority = "normal"
    filename: str | None = None
    publish: Asked = Asked()
    review: bool = False
    webhook_url: str | None = None
    webhook_secret: str | None = None


def read_order(fields: Iterable[tuple[str, str]]) -> Order:
    """The order in form fields or query parameters.

    Raises:
        BadRecipe: naming every fault at once.
    """
    given: dict[str, str] = {}
    faults: list[str] = []
    for name, value in fields:
        if name in given:
            faults.append(f"{name}: given more than once")
        given[name] = value
    filename = given.pop("filename", None)
    priority = given.pop("priority", "normal")
    if priority not in PRIORITIES:
        faults.append(f"priority={priority!r}: must be one of {', '.join(PRIORITIES)}")
    publish = parse_asked({name: given.pop(name) for name in FIELDS if name in given}, faults=faults)
    review = given.pop("review", "") or "off"
    if review not in ("on", "off"):
        faults.append(f"review={review[:60]!r}: must be one of on, off")
    webhook_url, webhook_secret = (given.pop(name, None) or None for name in WEBHOOK)
    if webhook_secret is not None and webhook_url is None:
        faults.append("webhook_secret: there is no webhook_url")
    recipe = Recipe()
    try:
        recipe = parse_recipe(given)
    except BadRecipe as error:
        faults.append(str(error))
    if faults:
        raise BadRecipe("; ".join(faults), hint="Leave an option out to get its default.")
    return Order(
        recipe=recipe,
        priority=cast(Priority, priority),
        filename=filename,
        publish=publish,
        review=review == "on",
        webhook_url=webhook_url,
        webhook_secret=webhook_secret,
    )


def clean_filename(name: str | None) -> str:
    """A client's file name as data to show: the last part, composed, without what does not print, at most 255 bytes.

    Never a path of ours. Direction overrides go too: "gpj.exe" must not read as "exe.jpg".
    """
    last = unicodedata.normalize("NFC", name or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    shown = shown.strip()
    if shown in ("", ".", ".."):
        return "video"
    stem, dot, extension = shown.rpartition(".")
    if not dot or len(extension) > 16:
        stem, extension = shown, ""
    tail = f".{extension}" if extension else ""
    room = _MAX_NAME_BYTES - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail
