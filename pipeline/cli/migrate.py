"""`weekbrief migrate`: the database's schema."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("migrate", epilog="Example: weekbrief migrate")
@click.pass_obj
def command(config: Path) -> int:
    """Bring the database to the schema of this version. `run` and `serve` do it by themselves."""
    from pipeline.store.engine import open_engine
    from pipeline.store.schema import HEAD, migrate
    from pipeline.wiring import settings_from

    engine = open_engine(settings_from(config).storage)
    try:
        changed = migrate(engine)
    finally:
        engine.dispose()
    click.echo(f"The database has schema {HEAD}{'' if changed else ' already'}.")
    return 0
