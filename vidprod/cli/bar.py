"""A take's progress on the terminal: what is said of each step, and how the bar looks."""

from rich.progress import BarColumn, ProgressColumn, TextColumn

DOING = {
    "probe": "looking at it",
    "plan": "listening for pauses",
    "track": "following faces",
    "render": "making segments",
}


def columns() -> tuple[ProgressColumn, ...]:
    """What is done, the bar and percent. File names are shown as they are, not read as markup."""
    return TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
