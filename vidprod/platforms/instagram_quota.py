"""How many posts Instagram takes of an account: so many in any 24 hours, counted at their publication.

Source: Meta, "Content publishing" of the Instagram platform.
"""

from typing import Any

from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms import graph
from vidprod.platforms.base import Grant
from vidprod.platforms.instagram_calls import Calls
from vidprod.platforms.wire import Answer

_QUOTA = 50  # where Instagram does not name it
_LIMIT = {"fields": "config,quota_usage"}
_ROLLS = "Instagram takes so many posts of an account in any 24 hours."
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000


class Quota:
    """Asked before a post is made public, and when one was refused for it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def check(self, grant: Grant) -> None:
        """Raises PlatformError: QUOTA; RETRY where it cannot be known now, as nothing was published yet."""
        try:
            answer = await self._calls.get(grant, f"{grant.external_id}/content_publishing_limit", _LIMIT)
        except Unanswered as error:
            raise PlatformError(str(error), kind="RETRY", code="not_asked") from None
        try:
            told = graph.taken(answer)
        except PlatformError as error:
            if error.kind in ("REAUTH", "RETRY", "POLICY") and graph.numbers(answer) != graph.NOT_TO_BE_SEEN:
                raise
            return  # not every application is told: media_publish itself says it as well
        limit = next(iter(graph.objects_of(told.get("data"))), {})
        used = graph.count_of(limit.get("quota_usage"))
        total = graph.count_of(graph.object_of(limit.get("config")).get("quota_total")) or _QUOTA
        if used >= total:
            full = PlatformError(f"{used} of {total} posts in 24 hours are used.", kind="QUOTA", code="9/2207042")
            raise await self.parked(grant, full, answer, over=used - total)

    async def parked(self, grant: Grant, error: PlatformError, answer: Answer, *, over: int = 0) -> PlatformError:
        """`error` with the time at which the post leaves the window of 24 hours that makes room for the next.

        Args:
            over: by how many posts the quota is exceeded.
        """
        now, ends = graph.at(answer), list[int]()
        try:
            listed = await self._calls.get(grant, f"{grant.external_id}/media", {"fields": "timestamp", "limit": "100"})
            ends = sorted(graph.time_of(one) + _DAY_MS for one in graph.objects_of(graph.taken(listed).get("data")))
        except PlatformError:  # then it is tried again in an hour
            pass
        ends = [end for end in ends if end > now]
        error.until = max(now + _MINUTE_MS, ends[min(over, len(ends) - 1)] if ends else now + _HOUR_MS)
        error.retry_after_s = (error.until - now) / 1000
        error.hint = _ROLLS
        return error

    async def taken(self, grant: Grant, answer: Answer) -> dict[str, Any]:
        """The object of a good answer. Raises PlatformError, with the time where a quota is used up."""
        if graph.ok(answer):
            return answer.json()
        error = graph.error_of(answer)
        raise await self.parked(grant, error, answer) if error.kind == "QUOTA" else error
