"""Uploads at rest: offsets only grow, and each ends once."""

import msgspec
import pytest

from tests.store.given import FAULT, NOW, an_upload
from vidprod.domain.upload import Upload
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store, Tables

LATER = NOW + 90_000_000


async def test_an_upload_grows_and_becomes_a_job(store: Store) -> None:
    upload = await store.write(lambda db: db.uploads.add(an_upload(), webhook_secret=b"sealed"))
    assert await store.read(lambda db: db.uploads.get(upload.id)) == upload
    assert await store.read(lambda db: db.uploads.webhook_secret(upload.id)) == b"sealed"
    grown = await store.write(lambda db: db.uploads.advance(upload.id, offset=60, extension="mp4", expires_at=LATER))
    assert (grown.offset, grown.extension, grown.expires_at) == (60, "mp4", LATER)
    kept = await store.write(lambda db: db.uploads.advance(upload.id, offset=70, extension=None, expires_at=LATER))
    assert kept.extension == "mp4"
    done = await store.write(lambda db: db.uploads.complete(upload.id, job_id="job_x", extension="mp4", now=LATER))
    assert (done.state, done.offset, done.job_id, done.finished_at) == ("complete", 100, "job_x", LATER)
    assert await store.read(lambda db: db.uploads.webhook_secret(upload.id)) is None  # the endpoint has it now


async def test_an_offset_never_goes_back(store: Store) -> None:
    upload = await store.write(lambda db: db.uploads.add(an_upload()))
    await store.write(lambda db: db.uploads.advance(upload.id, offset=60, extension=None, expires_at=LATER))
    with pytest.raises(Conflict):
        await store.write(lambda db: db.uploads.advance(upload.id, offset=59, extension=None, expires_at=LATER))


async def test_a_length_is_said_once(store: Store) -> None:
    upload = await store.write(lambda db: db.uploads.add(an_upload(length=None)))
    assert (await store.write(lambda db: db.uploads.announce(upload.id, 50))).length == 50
    with pytest.raises(Conflict):
        await store.write(lambda db: db.uploads.announce(upload.id, 60))


async def test_partial_ones_are_joined_once(store: Store) -> None:
    parts = [await store.write(lambda db: db.uploads.add(an_upload(kind="partial"))) for _ in range(2)]
    names = [part.id for part in parts]

    def join(db: Tables) -> Upload:
        for name in names:
            db.uploads.join(name, now=NOW)
        final = msgspec.structs.replace(
            an_upload(kind="final"), state="complete", offset=100, parts=names, job_id="job_x", finished_at=NOW
        )
        return db.uploads.add(final)

    with pytest.raises(Conflict):
        await store.write(join)  # they are not complete
    for name in names:
        await store.write(lambda db, name=name: db.uploads.complete_part(name, expires_at=LATER))  # type: ignore[misc]
    assert await store.read(lambda db: db.uploads.count_unfinished()) == 2  # their bytes are still there
    final = await store.write(join)
    assert await store.read(lambda db: db.uploads.made_of(names)) == final
    assert await store.read(lambda db: db.uploads.made_of(names[::-1])) is None
    assert await store.read(lambda db: db.uploads.unfinished()) == []
    with pytest.raises(Conflict):
        await store.write(join)


async def test_what_is_over_stays_over(store: Store) -> None:
    upload = await store.write(lambda db: db.uploads.add(an_upload()))
    ended = await store.write(lambda db: db.uploads.terminate(upload.id, error=FAULT, now=NOW))
    assert (ended.state, ended.error) == ("terminated", FAULT)
    for move in (
        lambda db: db.uploads.advance(upload.id, offset=5, extension=None, expires_at=LATER),
        lambda db: db.uploads.terminate(upload.id, now=NOW),
        lambda db: db.uploads.expire(upload.id, now=LATER),
        lambda db: db.uploads.complete(upload.id, job_id="job_x", extension="mp4", now=NOW),
    ):
        with pytest.raises(Conflict):
            await store.write(move)
    with pytest.raises(NotFound):
        await store.write(lambda db: db.uploads.terminate("upl_x", now=NOW))


async def test_only_what_is_past_its_time_expires(store: Store) -> None:
    upload = await store.write(lambda db: db.uploads.add(an_upload()))
    assert await store.read(lambda db: db.uploads.expired(now=upload.expires_at - 1, limit=5)) == []
    with pytest.raises(Conflict):
        await store.write(lambda db: db.uploads.expire(upload.id, now=upload.expires_at - 1))
    assert await store.read(lambda db: db.uploads.expired(now=upload.expires_at, limit=5)) == [upload]
    assert (await store.write(lambda db: db.uploads.expire(upload.id, now=LATER))).state == "expired"
    assert await store.write(lambda db: db.uploads.prune(before_ms=LATER, limit=5)) == 0
    assert await store.write(lambda db: db.uploads.prune(before_ms=LATER + 1, limit=5)) == 1
