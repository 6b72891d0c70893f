"""Every setting: its default, unit and reason in one place, and how a file, the environment and flags set it.

Later wins: defaults, then the TOML file, then `VIDPROD_*` in the environment, then flags on the command line.
Every fault of all of them is told at once.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from vidprod.errors import BadConfig
from vidprod.hosts import is_loopback, is_name, is_network, is_origin
from vidprod.units import read_bytes, read_seconds, show_bytes, show_seconds

PREFIX = "VIDPROD_"
DEFAULT_FILE = "vidprod.toml"

_ALSO = {"VIDPROD_DATA": "data_dir"}  # the short name a container's volume is set by
_NOT_SETTINGS = frozenset({"VIDPROD_CONFIG", "VIDPROD_API_KEY"})  # the key: of commands that ask a daemon
SHORTEST_CODE = 16  # characters of a setup code that somebody thought up
_MIB, _GIB = 1 << 20, 1 << 30
_DAY_S = 86400


def _is(unit: str, reason: str, *, ge: float | None = None, le: float | None = None) -> Meta:
    return Meta(description=reason, ge=ge, le=le, extra={"unit": unit})


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the daemon may use and how long it keeps things. A value: read once, never changed while running."""

    data_dir: Annotated[
        str, _is("path", "database, uploads and segments, all on one volume; one daemon to a directory")
    ] = "data"
    database_dir: Annotated[
        str, _is("path", "where the database lies if not in data_dir: a file system that replicates it, see litefs.yml")
    ] = ""
    host: Annotated[
        str, _is("address", "only this machine can connect; 0.0.0.0 for all, who then sign in or show a key")
    ] = "127.0.0.1"
    hosts: Annotated[
        tuple[str, ...],
        _is("names", "names it is reached by, besides host, localhost and IP addresses; * is any; stops DNS rebinding"),
    ] = ()
    port: Annotated[int, _is("port", "of the page and the API; 0 takes a free one", ge=0, le=65535)] = 8000
    trusted_proxy: Annotated[
        Literal["", "fly", "1", "2", "3", "4", "5"],
        _is(
            "choice",
            "who says from where a request came: none, Fly's proxy, or so many proxies by X-Forwarded-For; "
            "believed only from a private network",
        ),
    ] = ""

    access: Annotated[
        Literal["ask", "open"],
        _is(
            "choice",
            "ask: once there is an owner or key, and where others can reach it; open: behind a proxy here that asks",
        ),
    ] = "ask"
    setup_code: Annotated[
        str, _is("secret", "what making the owner takes where others can reach it; none: one is made, see the log")
    ] = ""
    session_idle_s: Annotated[
        float, _is("seconds", "a browser that was not here for so long signs in again", ge=60)
    ] = 30 * _DAY_S
    session_longest_s: Annotated[float, _is("seconds", "and in any case after so long", ge=60)] = 90 * _DAY_S

    requests_per_min: Annotated[
        int,
        _is(
            "count", "of one API key, half of it at once; 0: any; the page and strangers have limits of their own", ge=0
        ),
    ] = 60
    uploads_per_min: Annotated[
        int, _is("count", "that one API key may begin, and four times as many the page; 0: any", ge=0)
    ] = 30
    daily_upload_bytes: Annotated[
        int, _is("bytes", "that all doors together take in 24 hours; more is answered with a time; 0: any", ge=0)
    ] = 0
    max_uploads_per_client: Annotated[
        int, _is("count", "uploads of one key or session at the same time, so that others have room", ge=1)
    ] = 32
    max_upload_bytes: Annotated[
        int,
        _is("bytes", "one upload; refused before its bytes are taken; 8 GiB is 50 minutes of 4K from a phone", ge=1),
    ] = 8 * _GIB
    max_uploads: Annotated[int, _is("count", "uploads at the same time; each keeps a buffer and a socket", ge=1)] = 64
    upload_read_timeout_s: Annotated[
        float, _is("seconds", "an upload that sends nothing for so long is gone and leaves nothing", ge=0.1)
    ] = 60.0
    upload_expire_s: Annotated[
        int,
        _is(
            "seconds", "an upload that can be resumed waits so long for its next byte, then what came is removed", ge=1
        ),
    ] = _DAY_S
    max_unfinished_uploads: Annotated[
        int, _is("count", "uploads that wait to be resumed; what they announced is set aside on the volume", ge=1)
    ] = 100
    disk_floor_bytes: Annotated[
        int, _is("bytes", "kept free for the database: media never takes the last of the volume", ge=0)
    ] = 256 * _MIB

    max_duration_s: Annotated[int, _is("seconds", "longest take; a longer one is refused by the probe", ge=1)] = 14400
    max_pixels: Annotated[
        int, _is("pixels", "of one picture; bounds the memory a decoder can take; DCI 4K and a little more", ge=64)
    ] = 4096 * 2304
    child_memory_bytes: Annotated[
        int, _is("bytes", "one media child; above it the child is ended and the attempt says so", ge=128 * _MIB)
    ] = 512 * _MIB
    media_memory_bytes: Annotated[
        int, _is("bytes", "all media children together; how many work at once is this over child_memory_bytes", ge=_MIB)
    ] = 512 * _MIB
    child_threads: Annotated[
        int, _is("count", "of decoder and encoder; 0: the cores, at most 2 (more cost memory, not time)", ge=0, le=64)
    ] = 0
    child_idle_s: Annotated[
        float, _is("seconds", "a child stays warm for the next task, then its memory is given back", ge=0)
    ] = 30.0
    stall_factor: Annotated[
        float,
        _is(
            "factor", "times the expected time of a step is its limit; the same without media progress is a stall", ge=1
        ),
    ] = 10.0
    step_floor_s: Annotated[
        float, _is("seconds", "shortest time limit of a step, so that a short take on a busy machine passes", ge=1)
    ] = 60.0
    gaze_time_factor: Annotated[
        float,
        _is(
            "factor",
            "tracking and editing eyes may take at most so many times what the plain encode takes; "
            "then segments are made without",
            ge=0.1,
        ),
    ] = 3.0

    lease_s: Annotated[
        float, _is("seconds", "a running task unheard of for so long is free again; renewed at a third of it", ge=0.1)
    ] = 30.0
    max_attempts: Annotated[int, _is("count", "of one task before the job fails", ge=1, le=100)] = 5
    retry_pause_s: Annotated[
        float, _is("seconds", "after a first failed attempt; each pause is twice the one before, up to 10 min", ge=0.1)
    ] = 2.0
    room_wait_s: Annotated[
        float, _is("seconds", "a job whose segments do not fit on the volume waits so long for room, then fails", ge=0)
    ] = 24 * 3600.0
    room_look_s: Annotated[
        float, _is("seconds", "between two looks for room; one costs a look at the volume, and no child", ge=0.1)
    ] = 15.0
    max_crashes: Annotated[
        int, _is("count", "deaths of the child on one task before it goes to the dead letters as poison", ge=1, le=100)
    ] = 3
    drain_s: Annotated[
        float,
        _is("seconds", "after SIGTERM, for uploads and answers under way; what stops ends within 10 s", ge=0, le=9),
    ] = 8.0

    source_keep_s: Annotated[
        int, _is("seconds", "a take is kept so long after its job is over; until then the job can be tried again", ge=0)
    ] = _DAY_S
    segment_keep_s: Annotated[
        int, _is("seconds", "finished segments, after their job is over; time to fetch and publish them", ge=0)
    ] = 14 * _DAY_S
    event_keep_s: Annotated[int, _is("seconds", "events, for clients that come back with an old cursor", ge=0)] = (
        30 * _DAY_S
    )
    job_keep_s: Annotated[int, _is("seconds", "rows of jobs that are over; 0 keeps them for ever (small)", ge=0)] = 0
    audit_keep_s: Annotated[int, _is("seconds", "the log of who changed what; `vidprod audit` shows it", ge=0)] = (
        90 * _DAY_S
    )
    idempotency_keep_s: Annotated[
        int, _is("seconds", "a repeated Idempotency-Key gets the first answer for so long", ge=0)
    ] = _DAY_S
    prune_every_s: Annotated[
        float, _is("seconds", "between two rounds of the pruner; a round of nothing costs milliseconds", ge=0.1)
    ] = 300.0

    secret_keys: Annotated[
        tuple[str, ...],
        _is(
            "secrets",
            "seal tokens in the database: id:base64 of 32 bytes, the newest first; none: secret.keys in data_dir",
        ),
    ] = ()
    public_url: Annotated[
        str, _is("url", "https address at which browsers and platforms reach this daemon; none: this machine only")
    ] = ""
    youtube_client_id: Annotated[str, _is("text", "of the OAuth client in the Google Cloud project")] = ""
    youtube_client_secret: Annotated[str, _is("secret", "goes with youtube_client_id")] = ""
    tiktok_client_key: Annotated[str, _is("text", "of the app at TikTok for Developers")] = ""
    tiktok_client_secret: Annotated[str, _is("secret", "goes with tiktok_client_key")] = ""
    facebook_app_id: Annotated[str, _is("text", "Instagram through Facebook Login: sends files itself")] = ""
    facebook_app_secret: Annotated[str, _is("secret", "goes with facebook_app_id")] = ""
    instagram_app_id: Annotated[
        str, _is("text", "Instagram Login: needs public_url, from where Instagram fetches segments")
    ] = ""
    instagram_app_secret: Annotated[str, _is("secret", "goes with instagram_app_id")] = ""
    graph_version: Annotated[
        int, _is("count", "of Meta's Graph API, which both Instagram logins ask: v26.0; each lives two years", ge=21)
    ] = 26
    publish_late_s: Annotated[
        int, _is("seconds", "what came due while nothing could be published still goes out if at most so late", ge=0)
    ] = 3600
    publish_bytes_per_s: Annotated[int, _is("bytes/s", "to all platforms together; 0: as fast as it goes", ge=0)] = 0
    webhook_allow: Annotated[
        tuple[str, ...],
        _is("networks", "private receivers webhooks may reach, and plain http: 192.168.1.20, 10.0.0.0/24, n8n.local"),
    ] = ()
    webhook_keep_s: Annotated[int, _is("seconds", "the log of deliveries, for replays", ge=0)] = 30 * _DAY_S
    push_contact: Annotated[
        str,
        _is(
            "text",
            "mailto: or https: address for who runs a push service, Apple's wants one; none: public_url",
        ),
    ] = ""
    simulator_url: Annotated[
        str,
        _is("url", "platforms are looked for below this address, where simulators serve; none: the real ones"),
    ] = ""
    clock_speed: Annotated[
        float, _is("factor", "publishing's clock runs so fast, beside simulated platforms only", ge=1, le=100_000)
    ] = 1.0
    clock_since: Annotated[
        int, _is("unix ms", "of the wall clock, when the fast clock agrees with it; 0: at the start", ge=0)
    ] = 0

    backup_to: Annotated[
        str, _is("folder or s3", "a backup is put there each night: a folder, or s3://bucket/prefix; none: nowhere")
    ] = ""
    backup_at: Annotated[
        str,
        Meta(
            description="when, in UTC; what was missed while nothing ran is made up for at the next start",
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            extra={"unit": "time of day"},
        ),
    ] = "03:30"
    backup_daily: Annotated[int, _is("count", "backups kept, the newest of each of so many days", ge=1)] = 7
    backup_weekly: Annotated[int, _is("count", "and the newest of each of so many weeks", ge=0)] = 4
    backup_media: Annotated[
        Literal["no", "yes"], _is("choice", "whether takes and segments go into it: much larger, and nothing is lost")
    ] = "no"
    backup_passphrase: Annotated[
        str, _is("secret", "the vault's keys go into backups, locked with it; none: keep secret.keys apart yourself")
    ] = ""
    s3_endpoint: Annotated[
        str, _is("url", "of what speaks S3 but is not Amazon's; none: AWS_ENDPOINT_URL, or Amazon")
    ] = ""
    s3_region: Annotated[str, _is("text", "of the bucket; none: AWS_REGION, or what the account is set to")] = ""

    log_format: Annotated[Literal["console", "json"], _is("choice", "console for eyes, json for a log collector")] = (
        "console"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _is("choice", "the least that is logged")] = (
        "info"
    )

    @property
    def children(self) -> int:
        """How many media children may work at once within the memory for all."""
        return max(1, self.media_memory_bytes // self.child_memory_bytes)

    @property
    def public_host(self) -> str:
        """The name in `public_url`, by which browsers and platforms come; "" where there is none."""
        return urlsplit(self.public_url).hostname or ""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and where each of its values comes from: "default", a file, a variable or a flag."""

    config: Config
    sources: dict[str, str]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known about one field of `Config`."""

    name: str
    type: Any
    unit: str
    reason: str
    default: Any
    ge: float | None
    le: float | None

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def is_secret(self) -> bool:
        """Neither shown, nor taken from a command line, which everybody on the machine can read."""
        return self.unit in ("secret", "secrets")

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    def show(self, value: Any) -> str:
        """`value` as a person writes it: 512 MiB, 14 days."""
        if self.unit == "bytes":
            return show_bytes(int(value))
        if self.unit == "seconds":
            return show_seconds(value)
        return ", ".join(value) if isinstance(value, tuple) else str(value)


def load_config(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Loaded:
    """The configuration that a file, the environment and flags ask for.

    Args:
        file: a TOML file; without one `$VIDPROD_CONFIG`, then ./vidprod.toml when it is there.
        flags: by the setting's name; None is not given.
    Raises:
        BadConfig: naming every fault: the source, the setting, its value and what would be right.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    sources: dict[str, str] = dict.fromkeys(SETTINGS, "default")
    given = [*_from_file(file, environ, faults), *_from_environment(environ)]
    given += [(SETTINGS[n].flag if n in SETTINGS else n, n, v) for n, v in flags.items() if v is not None]
    for source, name, value in given:
        setting = SETTINGS.get(name)
        if setting is None:
            faults.append(f"{source}: {name}: no such setting{_nearest(name)}")
            continue
        try:
            values[name] = _convert(setting, value)
            sources[name] = source
        except ValueError as error:
            told = "•••" if setting.is_secret else repr(value)
            faults.append(f"{source}: {name} = {told}: must be {error}")
    if not faults:
        faults = _contradictions(Config(**values), sources)
    if faults:
        raise BadConfig("\n".join(faults), hint="`vidprod config --help` lists every setting.")
    return Loaded(config=Config(**values), sources=sources)


def _from_file(file: Path | None, environ: Mapping[str, str], faults: list[str]) -> list[tuple[str, str, Any]]:
    asked = file or (Path(environ["VIDPROD_CONFIG"]) if environ.get("VIDPROD_CONFIG") else None)
    path = asked or Path(DEFAULT_FILE)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if asked:
            faults.append(f"{path}: no such file")
        return []
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path}: cannot be read: {error}")
        return []
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: is not TOML: {error}")
        return []
    return [(str(path), name, value) for name, value in table.items()]


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    names = {**_VARIABLES, **_ALSO}
    # the short names first: the full name wins when both are set
    asked = sorted(
        (v for v in environ if v.startswith(PREFIX) and v not in _NOT_SETTINGS), key=lambda v: v not in _ALSO
    )
    return [(v if v in names else "environment", names.get(v, v), environ[v]) for v in asked]


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, _VARIABLES if name.startswith(PREFIX) else SETTINGS, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _convert(setting: Setting, value: Any) -> Any:
    """`value` as the setting's type. Raises ValueError with what would be right."""
    if setting.choices and type(value) is int:  # TOML's 1 is the choice "1"
        value = str(value)
    value = _read(setting.unit, value)
    try:
        if isinstance(value, bool):  # TOML's true is no 1
            raise ValueError(_what_is_right(setting))
        return msgspec.convert(value, _HINTS[setting.name], strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(_what_is_right(setting)) from error


def _read(unit: str, value: Any) -> Any:
    """What a unit makes of a value; what it cannot read is left as it is, or None where that would pass."""
    match unit, value:
        case "bytes", str():
            return value if (size := read_bytes(value)) is None else size
        case "seconds", str():
            return value if (duration_s := read_seconds(value)) is None else duration_s
        case "secrets", str():
            return _listed(value)
        case "names", _:
            return _all_in_lower_case(value, lambda name: name == "*" or is_name(name))
        case "networks", _:
            return _all_in_lower_case(value, lambda entry: is_network(entry) or is_name(entry))
        case "url", str() if value:
            return value.rstrip("/") if is_origin(value) else None
    return value


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _all_in_lower_case(value: Any, is_right: Callable[[str], bool]) -> list[str] | None:
    """A list, or a text with commas; None unless all of it is right."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return None
    entries = [one.strip().lower() for one in given if one.strip()]
    return entries if all(map(is_right, entries)) else None


def _what_is_right(setting: Setting) -> str:
    if setting.choices:
        return "one of " + ", ".join(choice or '""' for choice in setting.choices)
    kind = _KINDS.get(setting.unit) or {str: "a text", int: "a whole number"}.get(setting.type, "a number")
    limits = [f"at least {setting.show(setting.ge)}" if setting.ge is not None else ""]
    limits += [f"at most {setting.show(setting.le)}" if setting.le is not None else ""]
    return ", ".join([kind, *filter(None, limits)])


def _contradictions(config: Config, sources: Mapping[str, str]) -> list[str]:
    faults = []
    if config.media_memory_bytes < config.child_memory_bytes:
        faults.append(
            f"{sources['media_memory_bytes']}: media_memory_bytes = {show_bytes(config.media_memory_bytes)}: "
            f"must be at least child_memory_bytes, {show_bytes(config.child_memory_bytes)}"
        )
    if config.clock_speed != 1 and not config.simulator_url:
        faults.append(
            f"{sources['clock_speed']}: clock_speed = {config.clock_speed:g}: must be 1 without simulator_url: "
            "the real platforms' clocks run as ours"
        )
    if config.access == "open" and not is_loopback(config.host):
        faults.append(
            f"{sources['access']}: access = open with host = {config.host}: must be ask where others can reach it; "
            "a proxy that asks stands on this machine, with host = 127.0.0.1"
        )
    if config.setup_code and len(config.setup_code) < SHORTEST_CODE:
        faults.append(f"{sources['setup_code']}: setup_code = •••: must have at least {SHORTEST_CODE} characters")
    for name, secret in _PAIRS.items():
        if bool(getattr(config, name)) != bool(getattr(config, secret)):
            given, missing = (name, secret) if getattr(config, name) else (secret, name)
            faults.append(f"{sources[given]}: {given} is set and {missing} is not: they go together")
    return faults


_PAIRS = {
    "youtube_client_id": "youtube_client_secret",
    "tiktok_client_key": "tiktok_client_secret",
    "facebook_app_id": "facebook_app_secret",
    "instagram_app_id": "instagram_app_secret",
}
_KINDS = {
    "bytes": 'a size like "512MiB"',
    "seconds": 'seconds, or a text like "24h"',
    "secrets": "texts, separated by commas",
    "networks": "addresses, networks or names, separated by commas",
    "names": 'names like "video.example", separated by commas, without scheme and port; or *',
    "url": 'an address like "https://video.example", without a path',
    "time of day": 'a time like "03:30"',
}


def _settings() -> dict[str, Setting]:
    found = {}
    for field in msgspec.structs.fields(Config):
        meta = cast(Meta, field.type.__metadata__[0])
        found[field.name] = Setting(
            name=field.name,
            type=field.type.__origin__,
            unit=(meta.extra or {})["unit"],
            reason=meta.description or "",
            default=field.default,
            ge=cast("float | None", meta.ge),
            le=cast("float | None", meta.le),
        )
    return found


_HINTS = get_type_hints(Config, include_extras=True)
SETTINGS: Mapping[str, Setting] = _settings()
_VARIABLES = {setting.variable: name for name, setting in SETTINGS.items()}
