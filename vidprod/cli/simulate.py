"""`vidprod simulate`: YouTube, TikTok and Instagram on this machine, with faults when they are wanted."""

import asyncio
import contextlib
import os
import signal
import sys
import time

import click

from vidprod.cli.ending import USAGE, Ending
from vidprod.cli.serve import SIMULATED
from vidprod.errors import BadRequest
from vidprod.platforms.simulators.world import World
from vidprod.web.server import serve

PORT = 8900


@click.command("simulate")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one.")
@click.option("--speed", type=click.FloatRange(1, 100_000), default=1.0, show_default=True, help="Of their clock.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same dice fall the same way.")
@click.option(
    "--chance", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Of a fault at each point of failure."
)
@click.option(
    "--fault",
    "ordered",
    multiple=True,
    metavar="POINT=NAME[*TIMES]",
    help="The next call there fails so: youtube.put=lost_answer, tiktok.status=500*3. May be repeated.",
)
@click.option("--audited/--not-audited", default=True, show_default=True, help="Whether your apps passed the audits.")
@click.option("--while-stdin", is_flag=True, hidden=True, help="End with whoever holds the other end of stdin.")
@click.option("--list-faults", is_flag=True, help="Every point of failure, and what can happen there.")
def command(
    port: int,
    speed: float,
    seed: int,
    chance: float,
    ordered: tuple[str, ...],
    audited: bool,
    while_stdin: bool,
    list_faults: bool,
) -> None:
    """Serve the three platforms here, authorisation pages included, until Ctrl-C.

    Prints the settings that send a daemon to them. / shows what was posted, /far.json says it to programs, and
    POST /faults orders a fault while they run. They refuse what the real ones refuse; nothing leaves this machine.
    """
    from vidprod.platforms.simulators.app import FAULTS, far_end, order_fault, simulators

    if list_faults:
        for point, names in sorted(FAULTS.items()):
            click.echo(f"{point}: {', '.join(names)}")
        return
    since = time.time_ns() // 1_000_000
    world = World(speed=speed, since=since, seed=seed, chance=chance)
    try:
        for text in ordered:
            point, name, times = _parsed(text)
            order_fault(world, point, name, times=times)
    except BadRequest as error:
        raise Ending(str(error), hint="`vidprod simulate --list-faults` names them all.", exit_code=USAGE) from error
    far = far_end(world, audited=audited)

    def ready(taken: int) -> None:
        world.base_url = f"http://127.0.0.1:{taken}"
        click.echo(f"{SIMULATED}{world.base_url}")
        click.echo(f"A daemon finds them with VIDPROD_SIMULATOR_URL={world.base_url}", nl=speed == 1)
        if speed != 1:
            click.echo(f" VIDPROD_CLOCK_SPEED={speed:g} VIDPROD_CLOCK_SINCE={since}")

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if while_stdin:  # nothing is ever sent: it is readable at its end
            loop.add_reader(sys.stdin, stop.set)
        await serve(simulators(far, over_http=True), "127.0.0.1", port, ready, stop)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
    sys.stdout.flush()
    os._exit(0)  # nothing is kept; and where the server's threads outlive the interpreter, they abort it now and then


def _parsed(text: str) -> tuple[str, str, int]:
    point, equals, rest = text.partition("=")
    name, _, times = rest.partition("*")
    if not equals or not (times or "1").isdigit():
        raise BadRequest(f"--fault {text!r} is not POINT=NAME or POINT=NAME*TIMES.")
    return point, name, int(times or 1)
