"""The command line: one file a command, loaded when it is asked for, so that the daemon carries no other's imports."""

import importlib
from typing import Any

import click

from vidprod import __version__
from vidprod.cli.ending import INTERRUPTED, Ending
from vidprod.errors import VidProdError

_COMMANDS = {
    "serve": "Run the daemon: the page, the API and the work.",
    "process": "Make segments of files here, without a server.",
    "demo": "Make a take, send it to a daemon as a script would, show what comes out.",
    "accounts": "Connect YouTube, TikTok and Instagram accounts, pause them, give them back.",
    "publications": "Look at publications, approve, cancel and retry them.",
    "receipt": "Show what was published, and verify that the record was not changed.",
    "dead": "Look at the tasks that were given up, and try them again.",
    "simulate": "Serve YouTube, TikTok and Instagram on this machine, with faults when wanted.",
    "webhooks": "Have events sent to addresses of yours, and see how that went.",
    "rehearse": "Run the next days against simulated platforms: what would go out, and which rules that breaks.",
    "owner": "Set the password that signs in on the page, or forget it.",
    "keys": "Make, rotate and revoke the keys by which programs get in.",
    "backup": "Put the database, and media where wanted, into one archive, beside a running daemon.",
    "audit": "Show who changed what, and from where.",
    "restore": "Fill a data directory from a backup; nothing is published until a person resumes.",
    "move": "Go to another machine with everything; the old home then publishes nothing.",
    "doctor": "Say why anything waits, check that everything holds, and mend what is safe.",
    "config": "Print the settings in effect and where each comes from.",
}


class _Commands(click.Group):
    """Finds a command by its file, and ends every error of ours with its sentence, hint and exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vidprod.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VidProdError as error:
            raise Ending.of(error) from error
        except KeyboardInterrupt as stop:
            raise Ending("interrupted", exit_code=INTERRUPTED) from stop


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 an input was refused or failed; 2 wrong usage or settings; "
    "3 the volume, the port or the daemon cannot be used; 130 interrupted.",
)
@click.version_option(__version__, prog_name="vidprod")
def main() -> None:
    """VidProd: a take goes in, finished vertical segments come out."""
