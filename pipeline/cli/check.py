"""`weekbrief check`: the pre-flight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from pipeline.check.week import Checked
    from pipeline.settings import Settings
    from pipeline.store import Store


@click.command(
    "check",
    epilog="""\b
Examples:
  weekbrief check                          the letter that goes next
  weekbrief check 2026-W48 --json          an edition, for a program
  weekbrief check posts/letting-go.md      the letter that this post would make
  weekbrief check 2026-W48 --waive length --reason "a long story, on purpose"
""",
)
@click.argument("what", required=False, metavar="[WEEK|FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--online", is_flag=True, help="Also ask whether the pages that it links to are there.")
@click.option("--waive", metavar="ID", help="Let what this check finds in the edition pass.")
@click.option("--reason", metavar="WHY", help="Why; it is kept with the edition.")
@click.option("--by", metavar="NAME", help="Who says so; the login name if left out.")
@click.pass_obj
def command(
    config: Path,
    what: str | None,
    as_json: bool,
    online: bool,
    waive: str | None,
    reason: str | None,
    by: str | None,
) -> int:
    """Look at a letter before it goes: errors stop an approval, warnings are for you to weigh.

    Ends with 3 when there is an error, else with 0.
    """
    from pipeline.check.week import NothingToCheck
    from pipeline.wiring import opened, settings_from

    if (waive is None) != (reason is None):
        raise click.UsageError("--waive and --reason go together")
    settings = settings_from(config)
    with opened(settings) as store:
        try:
            if waive and reason:
                _waive(store, what, waive, reason, by)
            checked = _checked(settings, store, what, online=online)
        except NothingToCheck as error:
            raise click.ClickException(str(error)) from error
    print_json(checked.as_json()) if as_json else _tell(checked)
    return 3 if checked.errors else 0


def _checked(settings: Settings, store: Store, what: str | None, *, online: bool) -> Checked:
    from pipeline.check.week import check_file, check_week

    if what and Path(what).is_file():
        return check_file(settings, store, Path(what), online=online)
    return check_week(settings, store, what, online=online)


def _waive(store: Store, what: str | None, check: str, reason: str, by: str | None) -> None:
    import getpass

    from pipeline.check.week import NothingToCheck, waive
    from pipeline.clock import SystemClock

    edition = store.editions.find(what) if what else None
    if edition is None:
        raise NothingToCheck("only of an edition can something be waived: name its date or week")
    waive(store, edition, check, reason=reason, who=by or getpass.getuser(), now=SystemClock().now())


def _tell(checked: Checked) -> None:
    for finding in checked.findings:
        click.echo(f"{finding.severity.value:8} {finding.id}: {finding.message}")
        click.echo(f"         {'waived: ' + finding.waived if finding.waived else finding.mend}")
    errors = len(checked.errors)
    verdict = f"{errors} in the way of it" if errors else "fit to go"
    say(f"{checked.name} “{checked.subject}”: {verdict}")
