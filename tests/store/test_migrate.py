"""Migrations: whole or not at all, never edited, never by an older version."""

from pathlib import Path

import apsw
import pytest

from tests.store.given import NOW, upload
from vidprod.domain.recipe import Recipe
from vidprod.errors import SchemaTooNew, SchemaTooOld, StoreError
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.connection import open_database, rows
from vidprod.store.sqlite.migrate import Migration, check, migrate, shipped

FIRST = Migration(version=1, name="0001_a.sql", sql="create table a (x integer) strict; insert into a values (1);")
SECOND = Migration(version=2, name="0002_b.sql", sql="create table b (x integer) strict; insert into b values (2);")
THIRD = Migration(version=3, name="0003_c.sql", sql="create table c (x integer) strict;")


def tables(connection: apsw.Connection) -> list[str]:
    return [row["name"] for row in rows(connection, "select name from sqlite_schema order by name")]


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    return open_database(tmp_path / "vidprod.db")


def test_the_shipped_migrations_are_numbered_from_one() -> None:
    assert [migration.version for migration in shipped()] == list(range(1, len(shipped()) + 1))
    assert shipped()[0].name == "0001_jobs_and_queue.sql"


def test_each_migration_runs_once_and_is_recorded(connection: apsw.Connection) -> None:
    assert migrate(connection, now=NOW, migrations=[FIRST]) == ["0001_a.sql"]
    assert migrate(connection, now=NOW + 1, migrations=[FIRST, SECOND]) == ["0002_b.sql"]
    assert migrate(connection, now=NOW + 2, migrations=[FIRST, SECOND]) == []
    assert rows(connection, "select version, name, checksum, applied_at from schema_migration") == [
        {"version": 1, "name": "0001_a.sql", "checksum": FIRST.checksum, "applied_at": NOW},
        {"version": 2, "name": "0002_b.sql", "checksum": SECOND.checksum, "applied_at": NOW + 1},
    ]
    assert rows(connection, "select x from a union all select x from b") == [{"x": 1}, {"x": 2}]


def test_a_migration_that_fails_leaves_nothing_of_itself(connection: apsw.Connection) -> None:
    bad = Migration(
        version=2, name="0002_bad.sql", sql="create table b (x integer) strict; insert into nowhere values (1)"
    )
    with pytest.raises(StoreError, match="nowhere"):
        migrate(connection, now=NOW, migrations=[FIRST, bad, THIRD])
    assert tables(connection) == ["a", "schema_migration"]
    assert migrate(connection, now=NOW, migrations=[FIRST, SECOND, THIRD]) == ["0002_b.sql", "0003_c.sql"]


def test_a_migration_may_rebuild_a_table_but_not_leave_broken_references(connection: apsw.Connection) -> None:
    parent = "create table p (id integer primary key) strict; create table q (p integer references p (id)) strict;"
    first = Migration(version=1, name="0001_p.sql", sql=parent + "insert into p values (1); insert into q values (1);")
    rebuild = "create table p2 (id integer primary key, n text) strict; insert into p2 select id, 'n' from p where {};"
    swap = "drop table p; alter table p2 rename to p;"
    broken = Migration(version=2, name="0002_p.sql", sql=rebuild.format("id > 1") + swap)
    with pytest.raises(StoreError, match="refer to nothing"):
        migrate(connection, now=NOW, migrations=[first, broken])
    whole = Migration(version=2, name="0002_p.sql", sql=rebuild.format("true") + swap)
    migrate(connection, now=NOW, migrations=[first, whole])
    assert rows(connection, "select p.n from q join p on p.id = q.p") == [{"n": "n"}]
    assert rows(connection, "pragma foreign_keys") == [{"foreign_keys": 1}]


def test_an_edited_migration_is_refused(connection: apsw.Connection) -> None:
    migrate(connection, now=NOW, migrations=[FIRST, SECOND])
    edited = Migration(version=1, name="0001_a.sql", sql=FIRST.sql + " ")
    with pytest.raises(StoreError, match=r"0001_a\.sql is not the text"):
        migrate(connection, now=NOW, migrations=[edited, SECOND])


def test_line_ends_do_not_count_as_an_edit(connection: apsw.Connection) -> None:
    unix = Migration(version=1, name="0001_a.sql", sql="create table a\n(x integer)\nstrict")
    dos = Migration(version=1, name="0001_a.sql", sql=unix.sql.replace("\n", "\r\n"))
    migrate(connection, now=NOW, migrations=[unix])
    assert migrate(connection, now=NOW, migrations=[dos]) == []


def test_a_newer_schema_is_refused(connection: apsw.Connection) -> None:
    migrate(connection, now=NOW, migrations=[FIRST, SECOND, THIRD])
    with pytest.raises(SchemaTooNew, match=r"0003_c\.sql"):
        migrate(connection, now=NOW, migrations=[FIRST, SECOND])


async def test_the_store_refuses_a_newer_schema_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "vidprod.db"
    await (await Store.open(path, now=NOW)).close()
    newer = open_database(path)
    migrate(newer, now=NOW, migrations=[*shipped(), Migration(version=len(shipped()) + 1, name="9_x.sql", sql="")])
    newer.close()
    for _ in range(2):
        with pytest.raises(SchemaTooNew, match=r"9_x\.sql"):
            await Store.open(path, now=NOW)


async def test_what_is_no_database_of_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.db", tmp_path / "foreign.db"
    text.write_text("dear diary, " * 1000)
    other = apsw.Connection(str(foreign))
    other.execute("create table contact (name)").fetchall()
    other.close()
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match="damaged"):
        await Store.open(text, now=NOW)
    with pytest.raises(StoreError, match="another program"):
        await Store.open(foreign, now=NOW)
    assert text.read_text() == "dear diary, " * 1000
    assert foreign.read_bytes() == before


async def test_a_store_opened_again_has_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vidprod.db"
    path.parent.mkdir()
    async with await Store.open(path, now=NOW) as store:
        job = await upload(store)
    async with await Store.open(str(path), now=NOW + 1) as store:
        assert await store.read(lambda db: db.jobs.get(job.id)) == job


async def test_a_render_that_waits_from_before_segments_could_be_made_again_is_claimed(tmp_path: Path) -> None:
    """With the recipe and the payload it was given then."""
    path = tmp_path / "vidprod.db"
    old = open_database(path)
    migrate(old, now=NOW, migrations=shipped()[:2])
    video, job, task = (f"{prefix}_{'0' * 26}" for prefix in ("vid", "job", "tsk"))
    for statement in (
        "insert into video (id, state, filename, extension, size, created_at) "
        f"values ('{video}', 'stored', 'a.mp4', 'mp4', 9, 1)",
        "insert into job (id, video_id, state, priority, recipe, created_at, started_at) "
        f"""values ('{job}', '{video}', 'processing', 2, '{{"segment_s":45.0,"frame":"auto"}}', 1, 1)""",
        "insert into task (id, job_id, kind, state, priority, run_at, max_attempts, payload, created_at) "
        f"""values ('{task}', '{job}', 'render', 'available', 2, 1, 5, '{{"plan":{{"fps":"30"}}}}', 1)""",
        'insert into segment (id, job_id, "index", state, in_us, out_us, created_at) '
        f"values ('seg_{'0' * 26}', '{job}', 0, 'pending', 0, 1, 1)",
    ):
        rows(old, statement)
    old.close()
    async with await Store.open(path, now=NOW) as store:
        claimed = await store.write(lambda db: db.tasks.claim(boot_id="b", token="t", lease_ms=1, now=NOW))
        assert claimed is not None
        assert (claimed.id, claimed.kind, claimed.segment_id, claimed.payload) == (
            task, "render", None, {"plan": {"fps": "30"}},
        )  # fmt: skip
        assert (await store.read(lambda db: db.jobs.get(job))).recipe == Recipe(segment_s=45)
        [segment] = await store.read(lambda db: db.segments.of_job(job))
        assert (segment.making, segment.recipe) == (1, None)


async def test_a_database_that_is_up_to_date_is_opened_without_waiting_for_its_writer(tmp_path: Path) -> None:
    """So that a command can look into the database of a daemon at work."""
    path = tmp_path / "vidprod.db"
    async with await Store.open(path, now=NOW) as daemon:
        job = await upload(daemon)
        other = apsw.Connection(str(path))
        other.execute("begin immediate").fetchall()
        async with await Store.open(path, now=NOW) as command:
            assert await command.read(lambda db: db.jobs.get(job.id)) == job
        other.execute("rollback").fetchall()
        other.close()


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        await Store.open(tmp_path / "nowhere" / "vidprod.db", now=NOW)


def test_a_check_changes_nothing(connection: apsw.Connection) -> None:
    with pytest.raises(SchemaTooOld, match=shipped()[0].name):
        check(connection)
    assert tables(connection) == []
    migrate(connection, now=NOW)
    check(connection)
