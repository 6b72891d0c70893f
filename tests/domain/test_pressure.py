"""How near the end is, and what is left out for it."""

import msgspec
import pytest

from vidprod.domain.pressure import THINGS, Level, Look, Pressure, Thing, judge, marks
from vidprod.errors import NoSpace, Unavailable

MIB = 1 << 20
WELL = Look(
    free_bytes=4096 * MIB,
    floor_bytes=256 * MIB,
    promised_bytes=0,
    names=100_000,
    database_bytes=900 * MIB,
    database_names=100_000,
    log_bytes=4 * MIB,
    memory_bytes=300 * MIB,
    memory_limit_bytes=512 * MIB,
    stalled_percent=0.0,
    files=10_000,
)

# what is looked at, and values of it that are well, tight and strained
RUNS_OUT: dict[Thing, tuple[str, float, float, float]] = {
    "space": ("free_bytes", 512 * MIB, 300 * MIB, 256 * MIB),
    "names": ("names", 5000, 900, 150),
    "database": ("database_bytes", 512 * MIB, 120 * MIB, 60 * MIB),
    "database_names": ("database_names", 500, 90, 15),
    "log": ("log_bytes", 64 * MIB, 100 * MIB, 200 * MIB),
    "memory": ("memory_bytes", 64 * MIB, 24 * MIB, 8 * MIB),
    "stall": ("stalled_percent", 5, 25, 45),
    "files": ("files", 500, 100, 40),
}


def after(look: Look, before: Pressure | None = None, *, now: int = 1000) -> Pressure:
    return judge(look, before or Pressure(), now=now)


def with_(thing: Thing, value: float) -> Look:
    return msgspec.structs.replace(WELL, **{RUNS_OUT[thing][0]: value})


def test_a_machine_with_room_is_ok() -> None:
    pressure = after(WELL)
    assert (pressure.level, pressure.causes, pressure.takes_uploads, pressure.begins_media) == ("ok", [], True, True)


@pytest.mark.parametrize("thing", THINGS)
def test_uploads_are_refused_before_media_work_stops(thing: Thing) -> None:
    _, well, tight, strained = RUNS_OUT[thing]
    levels: list[Level] = [after(with_(thing, value)).level for value in (well, tight, strained)]
    assert levels == ["ok", "tight", "strained"]
    assert not after(with_(thing, tight)).takes_uploads
    assert after(with_(thing, tight)).begins_media
    assert not after(with_(thing, strained)).begins_media


@pytest.mark.parametrize("thing", THINGS)
def test_a_level_does_not_flap_at_its_mark(thing: Thing) -> None:
    """What wavers around a mark changes the level once; without what was before it does each time."""
    mark = marks(WELL)[thing]
    field = RUNS_OUT[thing][0]
    at = _value_with_left(thing, mark.tight)
    wavers = [at, _value_with_left(thing, mark.tight + mark.step / 2)] * 5
    remembered, forgetful, before = [], [], Pressure()
    for value in wavers:
        look = msgspec.structs.replace(WELL, **{field: value})
        before = after(look, before)
        remembered.append(before.level)
        forgetful.append(after(look).level)
    assert remembered == ["tight"] * 10
    assert forgetful == ["tight", "ok"] * 5
    relieved = msgspec.structs.replace(WELL, **{field: _value_with_left(thing, mark.tight + mark.step)})
    assert after(relieved, before).level == "ok"


def _value_with_left(thing: Thing, left: float) -> float:
    match thing:
        case "space":
            return left + WELL.floor_bytes
        case "log":
            return marks(WELL)["log"].left + WELL.log_bytes - left
        case "stall":
            return 100 - left
        case _:
            return left


@pytest.mark.parametrize("thing", THINGS)
def test_strained_is_left_for_tight_first(thing: Thing) -> None:
    mark = marks(WELL)[thing]
    before = after(with_(thing, RUNS_OUT[thing][3]))
    assert mark.strained + mark.step < mark.tight + mark.step
    look = msgspec.structs.replace(WELL, **{RUNS_OUT[thing][0]: _value_with_left(thing, mark.strained + mark.step)})
    assert after(look, before).level == "tight"


def test_what_is_promised_to_uploads_is_not_free() -> None:
    look = msgspec.structs.replace(WELL, promised_bytes=3800 * MIB)
    [cause] = after(look).causes
    assert (cause.thing, cause.level) == ("space", "tight")
    assert "4.0 GB of that are promised to uploads" in cause.message


def test_of_two_volumes_each_is_named() -> None:
    both = msgspec.structs.replace(WELL, free_bytes=200 * MIB, database_bytes=100 * MIB)
    assert [(cause.thing, cause.level) for cause in after(both).causes] == [
        ("space", "strained"),
        ("database", "tight"),
    ]
    media, database = (cause.message for cause in after(both).causes)
    assert "the database" not in media  # it lies elsewhere
    assert database == "The database's own volume is nearly full: 105 MB are free."


def test_a_volume_without_a_floor_is_used_to_its_end() -> None:
    look = msgspec.structs.replace(WELL, floor_bytes=0, free_bytes=MIB)
    assert after(look).level == "ok"
    full = after(msgspec.structs.replace(look, free_bytes=0))
    assert full.level == "strained"
    assert after(msgspec.structs.replace(look, free_bytes=MIB // 2), full).level == "strained"
    assert after(look, full).level == "ok"


def test_what_the_system_does_not_tell_is_never_short() -> None:
    silent = msgspec.structs.replace(
        WELL,
        names=None,
        database_bytes=None,
        database_names=None,
        memory_bytes=None,
        memory_limit_bytes=None,
        stalled_percent=None,
        files=None,
    )
    assert set(marks(silent)) == {"space", "log"}
    assert after(silent).level == "ok"


def test_a_large_machine_is_not_tight_while_it_has_64_mib() -> None:
    look = msgspec.structs.replace(WELL, memory_limit_bytes=32 << 30, memory_bytes=80 * MIB)
    assert after(look).level == "ok"
    assert after(msgspec.structs.replace(look, memory_bytes=60 * MIB)).level == "tight"


def test_the_worst_comes_first_and_its_time_is_that_of_the_level() -> None:
    tight = after(with_("memory", 24 * MIB), now=1000)
    both = judge(msgspec.structs.replace(with_("memory", 24 * MIB), names=10), tight, now=2000)
    assert [(cause.thing, cause.level) for cause in both.causes] == [("names", "strained"), ("memory", "tight")]
    assert (tight.since, both.since) == (1000, 2000)
    assert judge(msgspec.structs.replace(with_("memory", 20 * MIB), names=11), both, now=3000).since == 2000


@pytest.mark.parametrize("thing", THINGS)
def test_who_is_refused_hears_why_and_what_to_do(thing: Thing) -> None:
    error = after(with_(thing, RUNS_OUT[thing][2])).refusal()
    of_disk = thing in ("space", "names", "database", "database_names", "log")
    assert isinstance(error, NoSpace if of_disk else Unavailable)
    assert error.status == (507 if of_disk else 503)
    assert str(error)
    assert error.hint
    if not of_disk:
        assert error.retry_after_s == 30
