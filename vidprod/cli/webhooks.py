"""`vidprod webhooks`: endpoints, what was delivered to them, and having it again. The daemon delivers, so it acts."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import ask, no_daemon, read
from vidprod.cli.ending import REFUSED, UNUSABLE, Ending
from vidprod.cli.settings import id_option, load, settings_options
from vidprod.config import Config
from vidprod.domain.endpoint import DELIVERY_STATES, Endpoint
from vidprod.domain.ids import is_id

_LOOK_S = 0.2
_TEST_S = 20.0  # longer than an attempt takes at most

_options = settings_options("data_dir", "host", "port")


@click.group("webhooks")
def command() -> None:
    """Have events sent to addresses of yours, signed after Standard Webhooks."""


@command.command("list")
@click.option("--job", "job_id", callback=id_option("job"), help="Those of one job instead: its webhook_url.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line an endpoint.")
@_options
def list_endpoints(job_id: str | None, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """The endpoints, what each wants, and whether it works."""
    config = load(config_file, flags).config
    found = asyncio.run(read(config, lambda db: list(db.endpoints.list(job_id=job_id))))
    for endpoint in found:
        click.echo(msgspec.json.encode(endpoint).decode() if as_json else _line(endpoint))
    if not found and not as_json:
        none = (
            "No endpoints: `vidprod webhooks add https://…` adds one." if job_id is None else "It has no webhook_url."
        )
        click.echo(none, err=True)


@command.command("add")
@click.argument("url")
@click.option("--type", "types", multiple=True, help='Only these: "job.completed", "publication.*"; may be repeated.')
@click.option("--description", default="", help="To tell it from others.")
@_options
def add(url: str, types: tuple[str, ...], description: str, config_file: Path | None, **flags: Any) -> None:
    """Add an endpoint, and print its secret, this once."""
    config = _daemons(config_file, flags)
    made = ask(config, "POST", "/v1/endpoints", {"url": url, "types": types, "description": description})
    click.echo(
        f"{made['id']} hears of {', '.join(made['types']) or 'everything'}. Its secret, shown this once:", err=True
    )
    click.echo(made["secret"])


@command.command("test")
@click.argument("endpoint_id")
@_options
def test(endpoint_id: str, config_file: Path | None, **flags: Any) -> None:
    """Send a test event, and tell how that went."""
    config = _daemons(config_file, flags)
    sent = ask(config, "POST", f"/v1/endpoints/{_endpoint(endpoint_id)}/test")
    delivery = _until(lambda: ask(config, "GET", f"/v1/deliveries/{sent['id']}"), lambda seen: bool(seen["attempts"]))
    if delivery is None:
        raise Ending(f"nothing was sent within {_TEST_S:g} s", hint="Others may be before it: `vidprod webhooks log`.")
    attempt = delivery["attempts"][0]
    if delivery["state"] != "delivered":
        raise Ending(attempt["error"], hint=attempt["answer"].strip()[:200])
    click.echo(f"It answered {attempt['status']} after {attempt['took_ms']} ms.")


@command.command("log")
@click.argument("endpoint_id")
@click.option("--state", help="Only these: pending,failed.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line a delivery.")
@_options
def show_log(
    endpoint_id: str, state: str | None, limit: int, as_json: bool, config_file: Path | None, **flags: Any
) -> None:
    """What was delivered to an endpoint, or will be, newest first."""
    config = load(config_file, flags).config
    states = None if state is None else [one.strip() for one in state.split(",")]
    if unknown := set(states or ()).difference(DELIVERY_STATES):
        raise click.UsageError(f"--state {', '.join(sorted(unknown))}: must be of {', '.join(DELIVERY_STATES)}")
    name = _endpoint(endpoint_id)
    found = asyncio.run(
        read(
            config,
            lambda db: [
                (delivery, db.deliveries.attempts(delivery.id))
                for delivery in db.deliveries.list(db.endpoints.get(name).id, limit=limit, states=states)
            ],
        )
    )
    if not found and not as_json:
        click.echo("Nothing was sent to it.", err=True)
    for delivery, attempts in found:
        if as_json:
            click.echo(msgspec.json.encode({**msgspec.to_builtins(delivery), "attempts": attempts}).decode())
            continue
        said = attempts[-1].error or f"{attempts[-1].status}" if attempts else "not tried yet"
        following = f", next {_when(delivery.run_at)}" if delivery.state == "pending" and attempts else ""
        click.echo(
            f"{delivery.id}  {_when(delivery.created_at)}  {delivery.event_type}  {delivery.state} "
            f"({delivery.attempt})  {said}{following}"
        )


@command.command("enable")
@click.argument("endpoint_id")
@_options
def enable(endpoint_id: str, config_file: Path | None, **flags: Any) -> None:
    """Send to it again, and what has waited for it first."""
    ask(_daemons(config_file, flags), "POST", f"/v1/endpoints/{_endpoint(endpoint_id)}/enable")
    click.echo(f"{endpoint_id} is enabled.")


@command.command("disable")
@click.argument("endpoint_id")
@_options
def disable(endpoint_id: str, config_file: Path | None, **flags: Any) -> None:
    """Send nothing to it until it is enabled."""
    ask(_daemons(config_file, flags), "POST", f"/v1/endpoints/{_endpoint(endpoint_id)}/disable")
    click.echo(f"{endpoint_id} is disabled.")


@command.command("rotate")
@click.argument("endpoint_id")
@_options
def rotate(endpoint_id: str, config_file: Path | None, **flags: Any) -> None:
    """Print a new secret, this once. The one before it signs too for 24 hours."""
    turned = ask(_daemons(config_file, flags), "POST", f"/v1/endpoints/{_endpoint(endpoint_id)}/rotate")
    click.echo(f"The secret before it signs too until {turned['older_secret_until']}.", err=True)
    click.echo(turned["secret"])


@command.command("remove")
@click.argument("endpoint_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options
def remove(endpoint_id: str, yes: bool, config_file: Path | None, **flags: Any) -> None:
    """Forget an endpoint, what waits for it, and its log."""
    config = _daemons(config_file, flags)
    path = f"/v1/endpoints/{_endpoint(endpoint_id)}"
    waiting = ask(config, "GET", path)["waiting"]
    if not yes:
        click.confirm(f"Remove {endpoint_id}, for which {waiting} deliveries wait?", abort=True)
    ask(config, "DELETE", path)
    click.echo(f"{endpoint_id} is removed.")


@command.command("replay")
@click.argument("what", metavar="DELIVERY|ENDPOINT")
@click.option("--from", "since", help="Of an endpoint: what happened from then on, like 2026-12-01T18:00:00+01:00.")
@click.option("--to", "until", help="And before then; else until now.")
@click.option("--failed", is_flag=True, help="Of that, only what failed.")
@_options
def replay(
    what: str, since: str | None, until: str | None, failed: bool, config_file: Path | None, **flags: Any
) -> None:
    """Deliver again: one delivery, or all of a time that an endpoint has lost."""
    if is_id(what, "msg"):
        if since or until or failed:
            raise click.UsageError("--from, --to and --failed are for an endpoint")
        ask(_daemons(config_file, flags), "POST", f"/v1/deliveries/{what}/replay")
        click.echo(f"{what} is delivered again.")
        return
    if since is None:
        raise click.UsageError("say since when: --from")
    span = {"from": since, **({"to": until} if until else {}), **({"state": "failed"} if failed else {})}
    answer = ask(_daemons(config_file, flags), "POST", f"/v1/endpoints/{_endpoint(what)}/replay", span, timeout_s=120)
    click.echo(f"{answer['replayed']} are delivered again.")


def _daemons(config_file: Path | None, flags: dict[str, Any]) -> Config:
    """The settings, where a daemon runs by them. Raises Ending."""
    config = load(config_file, flags).config
    with no_daemon(config) as none_runs:
        if none_runs:
            raise Ending(
                f"no daemon works on {config.data_dir}, and it is the daemon that delivers",
                hint="`vidprod serve` starts one.",
                exit_code=UNUSABLE,
            )
    return config


def _endpoint(name: str) -> str:
    if not is_id(name, "end"):  # it becomes part of a path
        raise Ending(f"{name!r} is no endpoint", hint="`vidprod webhooks list` shows them.", exit_code=REFUSED)
    return name


def _until(look: Callable[[], Any], is_so: Callable[[Any], bool]) -> Any:
    """What is seen, once it is so; None when it never was."""
    until = time.monotonic() + _TEST_S
    while time.monotonic() < until:
        if is_so(seen := look()):
            return seen
        time.sleep(_LOOK_S)
    return None


def _line(endpoint: Endpoint) -> str:
    state = f"disabled: {endpoint.disabled_reason}" if endpoint.state == "disabled" else "enabled"
    if endpoint.failing_since is not None:
        state += f", failing since {_when(endpoint.failing_since)}"
    called = f"  {endpoint.description}" if endpoint.description else ""
    return f"{endpoint.id}  {endpoint.url}  {', '.join(endpoint.types) or 'everything'}  {state}{called}"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")
