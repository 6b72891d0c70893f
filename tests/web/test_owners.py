"""What a request makes is its asker's: rows bear the user whose key or session it came with."""

from pathlib import Path

from tests.web.conftest import Live, mp4
from tests.web.people import guarded, key_for, strange
from vidprod.domain.user import OWNER_ID
from vidprod.store.sqlite import Tables

ANN = "usr_" + "a" * 26
TUS = {"Tus-Resumable": "1.0.0"}
PART = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


async def another(live: Live) -> dict[str, str]:
    """The header of a second user's key."""

    def add(db: Tables) -> None:
        db.users._run("insert into user (id, name, created_at) values (:id, 'Another', 0)", id=ANN)

    await live.store.write(add)
    return await key_for(live, "upload", "admin", user_id=ANN)


async def owners(live: Live, table: str) -> list[str]:
    """Of the rows of a table, in the order they were made."""
    rows = await live.store.read(lambda db: db.users._all(f"select user_id from {table} order by rowid"))
    return [row["user_id"] for row in rows]


async def test_a_row_that_a_request_makes_bears_its_user(tmp_path: Path) -> None:
    hook = {"webhook_url": "https://hooks.example.com/vidprod"}
    async with guarded(tmp_path) as live, strange(live) as client:
        for key in (await another(live), await key_for(live, "upload", "admin")):
            stored = await client.put("/upload", params=hook, content=mp4(1000), headers=key)
            assert stored.status_code == 202, stored.text
            added = await client.post("/v1/endpoints", json={"url": hook["webhook_url"]}, headers=key)
            assert added.status_code == 201, added.text
        for table in ("video", "job"):
            assert await owners(live, table) == [ANN, OWNER_ID]
        assert await owners(live, "endpoint") == [ANN, ANN, OWNER_ID, OWNER_ID]


async def test_an_upload_over_several_requests_becomes_a_job_of_whoever_began_it(tmp_path: Path) -> None:
    body = mp4(1000)
    async with guarded(tmp_path) as live, strange(live) as client:
        hers, ours = await another(live), await key_for(live, "upload")
        begun = await client.post("/files/", headers={**TUS, **hers, "Upload-Length": str(len(body))})
        assert begun.status_code == 201, begun.text
        sent = await client.patch(begun.headers["location"], content=body, headers={**TUS, **PART, **ours})
        assert sent.status_code == 204, sent.text
        part = await client.post(
            "/files/",
            content=body,
            headers={**TUS, **PART, **hers, "Upload-Length": str(len(body)), "Upload-Concat": "partial"},
        )
        final = f"final;{part.headers['location']}"
        joined = await client.post("/files/", headers={**TUS, **hers, "Upload-Concat": final})
        assert joined.status_code == 201, joined.text
        assert await owners(live, "upload") == [ANN] * 3
        assert await owners(live, "job") == [ANN] * 2
