"""The schema refuses nonsense, whoever writes it."""

from typing import Any

import pytest

from tests.store.given import FAULT, NOW, a_publication, a_rendition, a_segment, an_account, an_upload, claim, upload
from vidprod.domain.ids import new_id
from vidprod.domain.job import Job
from vidprod.domain.notification import Subscription
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.accounts import Connecting
from vidprod.store.sqlite.table import to_json

NONSENSE = [
    # a task
    ("task", "state = 'waiting'"),
    ("task", "state = 'available'"),  # while the lease stays
    ("task", "lease_token = null"),
    ("task", "lease_until = null"),
    ("task", "boot_id = null"),
    ("task", "lease_token = ''"),
    ("task", "state = 'completed', lease_token = null, lease_until = null, boot_id = null, progress = 1.0"),
    ("task", "finalized_at = 5"),
    ("task", "attempt = 4"),
    ("task", "attempt = 0"),
    ("task", "attempt = -1"),
    ("task", "max_attempts = 0, attempt = 0"),
    ("task", "state = 'available', attempt = 3, lease_token = null, lease_until = null, boot_id = null"),
    ("task", "started_at = null"),
    ("task", "priority = 0"),
    ("task", "priority = 4"),
    ("task", "priority = 'high'"),
    ("task", "kind = ''"),
    ("task", "kind = 'Probe'"),
    ("task", "kind = 'remake'"),  # of no segment
    ("task", "segment_id = (select id from segment)"),  # of a step
    ("task", "progress = 1.01"),
    ("task", "progress = -0.1"),
    ("task", "progress = 'half'"),
    ("task", "run_at = -1"),
    ("task", "run_at = 1.5"),
    ("task", "run_at = null"),
    ("task", "crashes = -1"),
    ("task", "rescues = -1"),
    ("task", "errors = 'none'"),
    ("task", "errors = '{}'"),
    ("task", "payload = '[]'"),
    ("task", "payload = '{'"),
    ("task", "id = 'tsk_1'"),
    ("task", "id = 'job_' || substr(id, 5)"),
    ("task", "id = 'tsk_../../../../../../../etc/12'"),
    # a job
    ("job", "state = 'done'"),
    ("job", "state = 'completed'"),
    ("job", "state = 'completed', finished_at = 5"),  # never started
    ("job", "state = 'failed', finished_at = 5"),  # without an error
    ("job", "error = '{}'"),
    ("job", "finished_at = 5"),
    ("job", "started_at = 5"),  # while it is queued
    ("job", "state = 'processing'"),
    ("job", "media_deleted_at = 5"),
    ("job", "recipe = 'null'"),
    ("job", "recipe = null"),
    ("job", "warnings = '{}'"),
    ("job", "warnings = '[1'"),
    ("job", "priority = 'normal'"),
    ("job", "id = 'job_' || substr(id, 6)"),
    # a segment
    ("segment", "state = 'lost'"),
    ("segment", "state = 'ready'"),
    ("segment", "state = 'ready', ready_at = 5"),
    ("segment", "rendition = '{}'"),
    ("segment", "ready_at = 5"),
    ("segment", "deleted_at = 5"),
    ("segment", "out_us = in_us"),
    ("segment", "in_us = -1"),
    ("segment", '"index" = -1'),
    ("segment", "making = 0"),
    ("segment", "recipe = 'null'"),
    # a video
    ("video", "state = 'deleted'"),
    ("video", "deleted_at = 5"),
    ("video", "size = 0"),
    ("video", "extension = '../x'"),
    ("video", "extension = ''"),
    ("video", "info = '[]'"),
    ("video", "info = 'x'"),
    ("video", "filename = null"),
    # an account, one that is being connected
    ("account", "state = 'paused'"),
    ("account", "state = 'disconnected'"),  # while its tokens stay
    ("account", "tokens = null"),
    ("account", "platform = 'myspace'"),
    ("account", "flavour = 'google_login'"),
    ("account", "external_id = ''"),
    ("account", "settings = '[]'"),
    ("account", "scopes = 'a b'"),
    ("account", "notices = '{}'"),
    ("account", "paused_at = 'now'"),
    ("account", "refreshing_at = -1"),
    ("account", "connected_at = null"),
    ("account", "id = 'acc_1'"),
    ("account", "id = 'job_' || substr(id, 5)"),
    ("connecting", "state_hash = 'abc'"),
    ("connecting", "platform = ''"),
    ("connecting", "sealed = 'text'"),
    ("connecting", "sealed = null"),
    # a publication, and what is kept of it
    ("publication", "state = 'sent'"),
    ("publication", "state = 'published'"),
    ("publication", "state = 'published', finalized_at = 5"),
    ("publication", "published_at = 5"),
    ("publication", "state = 'rejected'"),
    ("publication", "finalized_at = 5"),
    ("publication", "phase = 'begin'"),  # while it is scheduled
    ("publication", "state = 'uploading', phase = 'sending'"),
    ("publication", "\"when\" = 'soon'"),
    ("publication", "post = '[]'"),
    ("publication", "wait = 'paused'"),
    ("publication", "errors = '{}'"),
    ("publication", "attempt = -1"),
    ("publication", "sha256 = 'ab'"),
    ("publication", "needs_approval = 2"),
    ("publication", "run_at = null"),
    ("publication", "id = 'pub_1'"),
    ("journal", "what = 'other'"),  # nothing of it changes
    ("receipt", "hash = hash"),
    ("usage", "units = 0"),
    ("usage", "bucket = ''"),
    ("fact", "value = 'yes'"),
    ("fact", "name = ''"),
    # an upload
    ("upload", "state = 'paused'"),
    ("upload", "state = 'complete'"),  # without its bytes
    ("upload", "state = 'complete', \"offset\" = length, finished_at = 5"),  # without its job
    ("upload", "state = 'expired'"),
    ("upload", "finished_at = 5"),
    ("upload", "state = 'joined', \"offset\" = length, finished_at = 5"),  # a whole one
    ("upload", "kind = 'final'"),
    ("upload", "parts = '[]'"),
    ("upload", '"offset" = length + 1'),
    ("upload", '"offset" = -1'),
    ("upload", "length = -1"),
    ("upload", "job_id = 'job_x'"),
    ("upload", "error = '{}'"),
    ("upload", "extension = '../x'"),
    ("upload", "expires_at = null"),
    ("upload", "id = 'upl_../../../../../../../etc/12'"),
    # an event, an answer, the pulse
    ("event", "type = ''"),
    ("event", "type = 'created'"),
    ("event", "data = '[]'"),
    ("event", "at = 'now'"),
    ("push_key", "name = 'other'"),
    ("push_key", "private = null"),
    ("subscription", "id = 'sub_1'"),
    ("subscription", "hash = 'short'"),
    ("subscription", "sealed = 'a text'"),
    ("notification", "id = 'msg_' || substr(id, 5)"),
    ("notification", "state = 'sent'"),  # never over
    ("notification", "finalized_at = 5"),
    ("notification", "count = 0"),
    ("notification", "data = '[]'"),
    ("notification", "tag = ''"),
    ("notification", "urgent = 2"),
    ("answer", "key = ''"),
    ("answer", "fingerprint = null"),
    ("pulse", "id = 2"),
]


async def one_of_each(store: Store) -> Job:
    """A queued job whose first task runs, with a pending segment."""
    job = await upload(store)
    await claim(store)

    def write(db: Tables) -> None:
        db.segments.add_all([a_segment(job.id)])
        db.answers._run("insert into answer values ('k', 'f', 'j', 1)")
        account = db.accounts.add(an_account(), b"sealed")
        (segment,) = db.segments.of_job(job.id)
        publication = db.publications.add(a_publication(segment, account))
        db.journal.write(publication.id, "begin", "asked", now=NOW)
        db.receipts.add(publication.id, {"publication": {"id": publication.id}})
        db.usage.add("youtube:uploads", now=NOW)
        db.facts.set("publishing_paused_at", NOW)
        db.uploads.add(an_upload())
        db.subscriptions.keep_key(b"sealed", now=NOW)
        told = Subscription(id=new_id("sub", now=NOW), hash="a" * 64, host="push.example", created_at=NOW)
        db.subscriptions.add(told, b"sealed")
        db.notifications.add(told.id, "missed", tag="missed", data={}, now=NOW)
        db.accounts.begin_connecting(
            Connecting(state_hash="a" * 64, platform="youtube", flavour="", sealed=b"sealed", created_at=NOW)
        )

    await store.write(write)
    await store.pulse(now=NOW)
    return job


async def sql(store: Store, statement: str, **values: Any) -> int:
    return await store.write(lambda db: db.jobs._run(statement, **values))


@pytest.mark.parametrize("table", sorted({name for name, _ in NONSENSE}))
async def test_nonsense_is_refused(store: Store, table: str) -> None:
    await one_of_each(store)
    for nonsense in [values for name, values in NONSENSE if name == table]:
        with pytest.raises(StoreError):
            pytest.fail(f"{await sql(store, f'update {table} set {nonsense}')} rows took {nonsense}")


async def test_what_makes_sense_is_taken_by_the_same_statements(store: Store) -> None:
    """The twin of the test above: it is the values that are refused, not the way they are written."""
    await one_of_each(store)
    for table, sense in [
        ("task", "attempt = 3, max_attempts = 3, priority = 1, kind = 'render', progress = 1.0"),
        ("task", "state = 'available', attempt = 2, lease_token = null, lease_until = null, boot_id = null"),
        ("task", "state = 'discarded', finalized_at = 5"),
        ("task", "kind = 'remake', segment_id = (select id from segment)"),
        ("job", "state = 'processing', started_at = 5"),
        ("job", "state = 'failed', finished_at = 6, error = '{}'"),
        ("job", "media_deleted_at = 7"),
        ("segment", "state = 'ready', ready_at = 5, rendition = '{}'"),
        ("segment", "deleted_at = 6, making = 2, recipe = '{}'"),
        ("video", "state = 'deleted', deleted_at = 8, extension = 'mp4', info = '{}'"),
        ("account", "state = 'needs_reauth', fault = 'revoked', paused_at = 5, parked_until = 6, refreshing_at = 7"),
        ("account", "state = 'disconnected', tokens = null"),
        ("connecting", "platform = 'instagram', flavour = 'facebook_login'"),
        ("publication", "state = 'uploading', phase = 'begin', attempt = 1, wait = '{}', errors = '[]'"),
        ("publication", "state = 'rejected', phase = null, finalized_at = 5"),
        ("publication", "state = 'published', published_at = 5, finalized_at = 5, sha256 = hex(zeroblob(32))"),
        ("upload", 'length = null, "offset" = 50'),
        ("upload", "length = 50, kind = 'partial', state = 'complete'"),
        ("upload", "kind = 'final', parts = '[]', job_id = 'job_x', extension = 'mp4', finished_at = 5"),
        ("usage", "units = 2"),
        ("fact", "value = 'true'"),
        ("event", "type = 'job.made', data = '{}'"),
        ("push_key", "private = x'00'"),
        ("subscription", "failures = 2, held_until = 5, pushed_at = 6, label = 'my phone'"),
        ("notification", "state = 'failed', finalized_at = 5, count = 2, attempt = 3"),
        ("answer", "key = 'k2'"),
        ("pulse", "at = 9"),
    ]:
        assert await sql(store, f"update {table} set {sense}") >= 1


async def test_rows_that_others_refer_to_stay(store: Store) -> None:
    await one_of_each(store)
    assert len(await store.read(lambda db: db.jobs._all("pragma foreign_key_list(task)"))) == 2
    for statement in (
        "delete from video",
        "update job set video_id = 'vid_x'",
        "update task set job_id = 'job_x'",
        "update task set kind = 'remake', segment_id = 'seg_x'",
    ):
        with pytest.raises(Exception, match="FOREIGN KEY"):
            await sql(store, statement)


async def test_the_connection_keeps_to_the_settings_that_make_it_durable(store: Store) -> None:
    def settings(db: Tables) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "journal_size_limit", "busy_timeout")
        return {name: db.jobs._value(f"pragma {name}") for name in names}

    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "journal_size_limit": 64 << 20,
        "busy_timeout": 5000,
    }
    assert await store.write(settings) == expected
    assert await store.read(settings) == expected


async def test_every_table_is_strict(store: Store) -> None:
    loose = await store.read(
        lambda db: db.jobs._all(
            """
            select name from pragma_table_list
            where schema = 'main' and type = 'table' and strict = 0 and name not like 'sqlite_%'
            """
        )
    )
    assert loose == []


async def test_columns_hold_what_the_structs_hold(store: Store) -> None:
    job = await one_of_each(store)
    (segment,) = await store.read(lambda db: db.segments.of_job(job.id))
    await store.write(lambda db: db.segments.ready(segment.id, a_rendition(), now=NOW))
    await store.write(lambda db: db.jobs.fail(job.id, FAULT, now=NOW))
    row = await store.read(lambda db: db.jobs._one("select * from job join segment on segment.job_id = job.id"))
    assert row is not None
    assert row["error"] == to_json(FAULT)
    assert row["rendition"] == to_json(a_rendition())
