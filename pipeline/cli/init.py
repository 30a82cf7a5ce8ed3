"""`weekbrief init`: the folder of a new newsletter."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", epilog="Example: weekbrief init my-newsletter")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> int:
    """Make FOLDER with a commented schedule.yaml, a secret of its own in .env, and a folder for posts.

    Files that are there already are left as they are.
    """
    from pipeline.newsletter import make_newsletter

    for made in make_newsletter(folder):
        click.echo(f"made {made}")
    click.echo(f"Next: put a post in {folder / 'posts'}, edit {folder / 'schedule.yaml'}, then")
    click.echo(f"  weekbrief -c {folder / 'schedule.yaml'} plan")
    return 0
