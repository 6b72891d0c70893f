"""Whoever asks the simulated Instagram, without our adapter between."""

from typing import Any

import httpx

from tests.platforms.instagram_stage import Stage

V = "v26.0"
FACEBOOK, INSTAGRAM = "graph.facebook.com", "graph.instagram.com"
REELS = {"media_type": "REELS"}
BYTES = {**REELS, "upload_type": "resumable"}


class Caller:
    """Whoever asks, without our adapter between."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.host = FACEBOOK if on.flavour == "facebook_login" else INSTAGRAM
        self.token = on.grant.page_token or on.grant.tokens[0]
        self.me = on.grant.external_id
        self.client = httpx.AsyncClient(transport=on.gate, base_url=on.world.base_url)

    async def get(self, path: str, *, token: str | None = None, **params: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return await self.client.get(f"/{self.host}/{path}", params=params, headers=headers)

    async def post(self, path: str, form: dict[str, str], *, token: str | None = None) -> httpx.Response:
        return await self.client.post(
            f"/{self.host}/{path}", data={"access_token": self.token if token is None else token, **form}
        )

    async def create(self, **form: str) -> httpx.Response:
        return await self.post(f"{V}/{self.me}/media", {**BYTES, **form})

    async def upload(self, container: str, body: bytes, **headers: str) -> httpx.Response:
        given = {"Authorization": f"OAuth {self.token}", "offset": "0", "file_size": str(len(body)), **headers}
        return await self.client.post(
            f"/rupload.facebook.com/ig-api-upload/{V}/{container}", content=body, headers=given
        )

    async def finished(self, body: bytes | None = None, **form: str) -> str:
        """A container that can be published."""
        container = str((await self.create(**form)).json()["id"])
        await self.upload(container, self.on.body if body is None else body)
        self.on.wall.pass_s(self.on.sim.uploads.processing_s)
        return container

    async def publish(self, container: str) -> httpx.Response:
        return await self.post(f"{V}/{self.me}/media_publish", {"creation_id": container})

    async def status(self, container: str) -> dict[str, Any]:
        told: dict[str, Any] = (await self.get(f"{V}/{container}", fields="status_code,status")).json()
        return told


def numbers(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "code", "fbtrace_id"}
    return f"{error['code']}/{error['error_subcode']}" if "error_subcode" in error else str(error["code"])
