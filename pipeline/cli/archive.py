"""`weekbrief archive build DIR`: the archive as files, for any web server, or none."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("archive", epilog="Example: weekbrief archive build public/letters")
def command() -> None:
    """Make pages of the letters that went out."""


@command.command("build", epilog="Example: weekbrief archive build public/letters")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def build(config: Path, folder: Path) -> int:
    """Write the archive into a folder: index.html, a page a letter, feed.xml and feed.json.

    The pages work without a server; search is on the web only. The folder is replaced as a whole, if it is
    new, empty, or was made by this command.
    """
    from pipeline.archive import static_site
    from pipeline.archive_folder import NotOurs, replace_folder
    from pipeline.store.archive import Archive
    from pipeline.wiring import opened, settings_from

    settings = settings_from(config)
    with opened(settings) as store:
        letters = Archive(store.engine).listed()
    try:
        written = replace_folder(folder, static_site(settings.newsletter, letters))
    except NotOurs as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{folder}: {len(letters)} letters in {written} files")
    return 0
