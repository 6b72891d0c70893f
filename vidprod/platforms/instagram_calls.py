"""Asking the Graph API for an account: with the page's token or the person's, and not beyond a budget unseen.

Of Facebook Login there are two tokens. The page's is asked with; where it is shown nothing (100/33, as for weeks in
2026) or is dead, the person's is.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from vidprod.domain.account import Flavour
from vidprod.platforms import graph
from vidprod.platforms.base import Grant
from vidprod.platforms.wire import Answer, Wire
from vidprod.telemetry import log

READ_S = 30.0

By = Literal["page", "user"]

_logger = log.get(__name__)


class Calls:
    """Of the accounts of one of the two logins."""

    def __init__(self, wire: Wire, *, flavour: Flavour, version: str) -> None:
        self.used: dict[str, int] = {}  # by account: how much of its budget of calls, in per cent
        self._wire = wire
        self._flavour = flavour
        host = graph.FACEBOOK if flavour == "facebook_login" else graph.INSTAGRAM
        self._base = f"{host}/{version}"

    async def get(self, grant: Grant, path: str, params: Mapping[str, str]) -> Answer:
        answer, _ = await self.call(grant, "GET", path, params=params, timeout_s=READ_S)
        return answer

    async def call(
        self,
        grant: Grant,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        timeout_s: float,
        by: By = "page",
        looks_twice: bool = False,
    ) -> tuple[Answer, By]:
        """One request; again with the other token only where asking twice does no harm."""

        async def ask(token: str) -> Answer:
            answer = await self._wire.call(
                method,
                f"{self._base}/{path}",
                headers={"Authorization": f"Bearer {token}"},
                params=params,
                form=form,
                timeout_s=timeout_s,
            )
            self._note(grant, answer)
            return answer

        return await self.with_tokens(grant, ask, by=by, looks_twice=method == "GET" or looks_twice)

    async def with_tokens(
        self, grant: Grant, ask: Callable[[str], Awaitable[Answer]], *, by: By, looks_twice: bool = False
    ) -> tuple[Answer, By]:
        """Ask with the page's token, where there is one, then with the person's: where the first is dead, or
        (`looks_twice`) is shown nothing. A dead one of the person is renewed once."""
        page = ""
        if by == "page" and self._flavour == "facebook_login":
            page = await grant.extra("page_token")  # noqa: S610  # Django's is meant
        if page:
            answer = await ask(page)
            blind = looks_twice and graph.numbers(answer) == graph.NOT_TO_BE_SEEN
            if not blind and not graph.is_dead(answer):
                return answer, "page"
        token = await grant.token()
        answer = await ask(token)
        if graph.is_dead(answer):
            answer = await ask(await grant.renew(token))
        return answer, "user"

    def _note(self, grant: Grant, answer: Answer) -> None:
        """Say once when a budget of calls is nearly used."""
        used = graph.used(answer)
        if not used:
            return
        if used >= graph.NEARLY_USED > self.used.get(grant.account_id, 0):
            _logger.warning(
                "the budget of calls is nearly used", platform="instagram", account=grant.account_id, used=used
            )
        self.used[grant.account_id] = used
