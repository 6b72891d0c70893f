"""The way of a publication from its time to its address."""

from pathlib import Path

from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START, Stage
from vidprod.errors import StoreError
from vidprod.store.sqlite import Tables
from vidprod.vault import Vault


async def test_each_platform_gets_what_is_due_once(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        accounts = [await stage.connect("youtube"), await stage.connect("tiktok"), await stage.connect("instagram")]
        planned = await stage.plan(accounts, n=3, due_at=START + HOUR_MS, apart_ms=HOUR_MS)
        await stage.settle()
        for publication in planned:
            live = await stage.get(publication)
            assert (live.state, live.attempt, live.errors) == ("published", 1, [])
            assert live.url is not None
            assert publication.due_at <= (live.published_at or 0) < publication.due_at + 3 * 60_000
            assert stage.far.posts[live.account_id, live.post.title] == 1
        assert sum(stage.far.posts.values()) == 9


async def test_a_store_that_cannot_be_read_once_does_not_end_the_publisher(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("youtube"))
        failures = [StoreError("the disk does not answer")]

        def tick() -> None:
            if failures:
                raise failures.pop()

        stage.store.tick = tick
        await stage.settle()
        assert ((await stage.get(publication)).state, stage.posted(publication)) == ("published", 1)


async def test_what_was_to_be_public_and_is_not_is_said_with_it_and_of_its_account(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("youtube")
        stage.far.privacy = "private"
        first, second = await stage.plan(account, n=2, apart_ms=HOUR_MS)
        await stage.settle()
        live = await stage.get(first)
        assert (live.state, live.privacy_seen) == ("published", "private")
        assert live.said == "It was to be public and is private. as far as it goes"
        found = await stage.store.read(lambda db: db.accounts.get(account.id))
        assert found.notices == [live.said]  # once, for both
        assert (await stage.get(second)).state == "published"
        assert [event.data["message"] for event in await stage.events("publication.published")] == [live.said] * 2


async def test_what_is_live_is_published_once_its_address_is_known(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("tiktok"))
        stage.far.settles_at = START + 5 * MINUTE_MS
        await stage.settle(until=START + 4 * MINUTE_MS)
        waiting = await stage.get(publication)
        assert waiting.state == "processing"
        assert waiting.wait is not None
        assert "its address is not known yet" in waiting.wait.message
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.url is not None) == ("published", True)


async def test_an_address_that_is_never_told_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("tiktok"))
        stage.far.settles_at = START + DAY_MS
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.url) == ("published", None)
        assert (live.published_at or 0) < START + HOUR_MS


async def test_every_call_is_in_the_journal_before_its_answer(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("instagram"))
        stage.far.order("send", "part")
        await stage.settle()
        entries = await stage.store.read(lambda db: db.journal.of(publication.id))
        assert [(entry.step, entry.what) for entry in entries] == [
            ("begin", "asked"),
            ("begin", "done"),
            ("send", "asked"),
            ("send", "lost"),
            ("send", "asked"),
            ("send", "done"),
            ("publish", "asked"),
            ("publish", "done"),
            ("state", "live"),
            ("state", "published"),
        ]


async def test_handles_lie_sealed(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("youtube"))
        stage.far.order("read", *["reset"] * 3)
        await stage.settle(until=START + 2000)
        sealed = await stage.store.read(lambda db: db.publications.handle(publication.id))
        assert sealed is not None
        assert b"handle-0" not in sealed
        assert b"handle-0" in stage.vault.open(sealed, place=f"publication|{publication.id}|handle")


async def test_a_handle_that_cannot_be_opened_is_unknown_in_the_end(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("youtube"))
        stage.far.order("read", *["reset"] * 3)
        await stage.settle(until=START + 2000)
        await stage.stop()
        stage.vault = Vault({"other": b"o" * 32})
        await stage.settle(until=START + DAY_MS)
        unknown = await stage.get(publication)
        assert unknown.state == "unknown"
        assert "not in secret_keys" in unknown.errors[-1].message


async def test_a_handle_that_cannot_be_opened_before_the_first_byte_is_unknown_in_the_end(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("youtube"))
        place, other = f"publication|{publication.id}|handle", Vault({"other": b"o" * 32})

        def begin(db: Tables) -> None:
            rendition = db.segments.get(publication.segment_id).rendition
            assert rendition is not None
            begun = db.publications.begin(
                publication, sha256=rendition.sha256, size=rendition.size, deadline_at=START + HOUR_MS, now=START
            )
            db.publications.begun(begun, other.seal(b"{}", place=place))

        await stage.store.write(begin)
        await stage.settle(until=START + MINUTE_MS)
        waiting = await stage.get(publication)
        assert waiting.wait is not None
        assert (waiting.state, waiting.wait.code) == ("uploading", "retry")
        assert "not in secret_keys" in waiting.wait.message
        await stage.settle(until=START + DAY_MS)
        assert (await stage.get(publication)).state == "unknown"


async def test_nobody_is_at_work_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        await stage.plan(await stage.connect(), n=50, due_at=START + DAY_MS)
        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1

        await stage.start()
        stage.store.tick = look
        await stage.settle(until=START + HOUR_MS)
        assert looks <= 6  # two reads for each time that it was woken
