"""`weekbrief grants`: a database role for the public pages."""

from __future__ import annotations

import click


@click.command("grants", epilog="Example: weekbrief grants weekbrief_web | psql weekbrief")
@click.argument("role")
def command(role: str) -> int:
    """Print the SQL that gives a PostgreSQL role what the public pages need, and nothing that sends.

    Make the role first (CREATE ROLE weekbrief_web LOGIN PASSWORD …), then run `weekbrief serve --pages` with
    a schedule.yaml whose `storage:` names it, and `weekbrief run` elsewhere with the owner's.
    """
    from pipeline.store.roles import grants_for_pages

    try:
        for statement in grants_for_pages(role):
            click.echo(statement)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return 0
