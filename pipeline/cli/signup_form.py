"""`weekbrief signup-form`: sign-up on another site."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("signup-form", epilog="Example: weekbrief signup-form --language en > form.html")
@click.option("--language", help="Two letters; the newsletter's own if left out.")
@click.pass_obj
def command(config: Path, language: str | None) -> int:
    """Print a sign-up form as HTML, to put on a page of your own site. It posts to newsletter.url.

    Keep its words: they are noted as what someone saw when they asked. Name your site in web.origins, and the
    evidence says on which site it was.
    """
    from emails.pages import signup_form
    from emails.words import UnknownLanguage
    from pipeline.wiring import settings_from

    newsletter = settings_from(config).newsletter
    try:
        form = signup_form(newsletter, language or newsletter.language, every=newsletter.every)
    except UnknownLanguage as error:
        raise click.BadParameter(f"--language: {error}") from error
    click.echo(form)
    return 0
