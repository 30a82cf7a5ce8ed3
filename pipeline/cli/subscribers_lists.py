"""`weekbrief subscribers import` and `export`: whole lists."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from collections import Counter

    from pipeline.importing import Decision
    from pipeline.settings import Settings
    from pipeline.store import Store
    from pipeline.store.bulk import Held
    from subscribers.importing import ImportProblem, ImportRow, ListFile, Reading
    from subscribers.taking_in import Claim

MAX_TOLD = 1_000
"""Bad rows that are named; the rest is counted."""


@click.command(
    "import",
    epilog="""\b
Examples:
  weekbrief subscribers import list.csv --dry-run
  weekbrief subscribers import list.csv --confirmed --source "old list" --date 2024-05-01
  weekbrief subscribers import subscribed_members_export.csv --from mailchimp --confirmed
  weekbrief subscribers import people.csv --map "email=Mail,name=Voornaam+Achternaam"
""",
)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--confirmed",
    is_flag=True,
    help="They confirmed already, elsewhere; needs --source and --date, or a file that says when.",
)
@click.option("--source", metavar="TEXT", help="Where they gave consent: 'old list', 'paper form'.")
@click.option("--date", metavar="D", help="When they gave it, where the file does not say: 2024-05-01.")
@click.option(
    "--from", "program", metavar="PROGRAM", default="auto", help="Whose export this is; 'auto' tells."
)
@click.option("--map", "mapping", metavar="COLUMNS", help="Which column is what: email=E-mail,name=Naam.")
@click.option(
    "--encoding", metavar="NAME", help="utf-8, windows-1252 …; the file's own letters tell otherwise."
)
@click.option(
    "--status", metavar="S", help="What everyone in the file is: unsubscribed, bounced, complained …"
)
@click.option("--all-or-nothing", "whole", is_flag=True, help="Change nothing if one row is bad.")
@click.option("--dry-run", is_flag=True, help="Show what would become of each row; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, an object a line.")
@click.pass_obj
def import_(config: Path, /, file: BinaryIO, dry_run: bool, whole: bool, as_json: bool, **said: Any) -> int:
    """Import a list of people from a CSV file, of our own or another program's.

    Good rows are kept, bad ones reported by line. Nobody who left is brought back, whoever left there is
    noted as gone, and without --confirmed each person is asked to confirm first.
    """
    from collections import Counter

    from pipeline.clock import SystemClock
    from pipeline.report import Exit
    from pipeline.wiring import opened, settings_from

    settings = settings_from(config)
    reading = _reading(file, **said)
    now = SystemClock().now()
    with _again(file, needed=whole) as source, opened(settings) as store:
        work = _Import(settings, store, source, reading, file.name, now=now, as_json=as_json, dry_run=dry_run)
        claim = work.claim(said["confirmed"], said["source"], said["date"])
        if whole and work.bad_rows():
            say("Nothing was changed: with --all-or-nothing, every row must be good.")
            counts = Counter[str]()
        else:
            counts = work.run(claim, whole=whole)
    work.sum_up(counts)
    return Exit.PARTIAL if work.problems else Exit.DONE


@click.command(
    "export",
    epilog="""\b
Examples:
  weekbrief subscribers export --output subscribers.csv
  weekbrief subscribers export --format jsonl > subscribers.jsonl
""",
)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; stdout if left out.")
@click.pass_obj
def export(config: Path, form: str, output: Path | None) -> int:
    """Export everything that is held about subscribers.

    CSV has a row a person, safe to open in a spreadsheet, and can be imported again. JSON Lines has all of
    it, each person with the whole record of their consent.
    """
    from pipeline.exporting import as_csv, as_json_lines
    from pipeline.store.bulk import Bulk
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        bulk = Bulk(store.engine, store.shadows)
        with _bar("exporting", bulk.count()) as step:
            people = _counting(bulk.held(), step)
            written = _write(as_csv(people) if form == "csv" else as_json_lines(people), output)
    if output is not None:
        say(f"{written - (form == 'csv')} written to {output}")
    return 0


class _Import:
    """One import: what it reads, what it says."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        file: BinaryIO,
        reading: Reading,
        name: str,
        *,
        now: datetime,
        as_json: bool,
        dry_run: bool,
    ) -> None:
        self._settings, self._store, self._file, self._reading = settings, store, file, reading
        self._name, self._now, self._as_json, self._dry_run = name, now, as_json, dry_run
        self._start = file.tell() if file.seekable() else 0
        self._list: ListFile | None = self._opened()
        self.problems = 0
        self._told: list[ImportProblem] = []
        self._heard = False
        """The bad rows were told in a first pass."""

    def claim(self, confirmed: bool, source: str | None, date: str | None) -> Claim:
        """What the operator says about the list. Raises `click.UsageError` if consent would be invented."""
        from pipeline.cli.subscribers import moment
        from subscribers.taking_in import Claim

        told = self._list is not None and self._list.tells_consent
        if confirmed and not (told or (source and date)):
            raise click.UsageError(
                "--confirmed needs --source and --date: consent nobody can show is no consent. "
                "Leave it out, and each person is asked to confirm."
            )
        return Claim(
            confirmed=confirmed,
            source=source,
            at=moment(date) if date else None,
            language=self._settings.newsletter.language,
        )

    def bad_rows(self) -> int:
        """A first pass that only looks."""
        from pipeline.importing import look

        claim = self.claim(False, None, None)
        look(self._rows("checking"), claim=claim, now=self._now, told=self._hear)
        self._heard, self._list = True, self._opened(quiet=True)
        return self.problems

    def run(self, claim: Claim, *, whole: bool) -> Counter[str]:
        from pipeline.importing import ask_only, foresee_rows, import_rows
        from subscribers.taking_in import Fate

        if self._dry_run:
            return foresee_rows(
                self._store, self._rows("looking"), claim=claim, now=self._now, told=self._hear
            )
        counts = import_rows(
            self._settings,
            self._store,
            self._rows("importing"),
            claim=claim,
            now=self._now,
            whole=whole,
            told=self._hear,
        )
        if whole and counts[Fate.ASKED]:
            del counts[Fate.ASKED]
            self._list = self._opened(quiet=True)
            counts += ask_only(self._settings, self._store, self._rows("asking"), claim=claim, now=self._now)
        return counts

    def sum_up(self, counts: Counter[str]) -> None:
        from pipeline.importing import ALWAYS_COUNTED

        if self.problems > MAX_TOLD:
            say(f"… and {self.problems - MAX_TOLD} more bad rows")
        names = [*map(str, ALWAYS_COUNTED), *(name for name in counts if name not in ALWAYS_COUNTED)]
        total = {str(name): counts[name] for name in names} | {"bad_rows": self.problems}
        if self._as_json:
            bad = [{"line": one.line, "field": one.field, "message": one.message} for one in self._told]
            print_json({**total, "dry_run": self._dry_run, "problems": bad})
        else:
            shown = (f"{number} {what.replace('_', ' ')}" for what, number in total.items() if number)
            click.echo(", ".join(shown) or "nothing in it")

    def _opened(self, *, quiet: bool = False) -> ListFile:
        from subscribers.importing import ListFile

        if self._file.seekable():
            self._file.seek(self._start)
        found = ListFile(self._file, self._reading)
        if not quiet:
            self._introduce(found)
        return found

    def _introduce(self, found: ListFile) -> None:
        if found.guessed:
            say(
                f"{self._name}: not UTF-8; read as Windows-1252. If names look wrong, name the encoding with "
                "--encoding."
            )
        if found.format.name != "plain":
            say(f"{self._name}: read as the list that {found.format.program} exports.")

    def _rows(self, label: str) -> Iterator[ImportRow | ImportProblem]:
        if self._list is None:
            raise RuntimeError("a list is read once")
        found, self._list = self._list, None
        size = os.fstat(self._file.fileno()).st_size if _has_size(self._file) else 0
        with _bar(label, size) as step:
            at = self._start
            for number, row in enumerate(found):
                yield row
                if size and number % 1_000 == 999:
                    reached = self._file.tell()
                    step(reached - at)
                    at = reached

    def _hear(self, found: Decision | ImportProblem) -> None:
        from pipeline.importing import Decision

        if isinstance(found, Decision):
            self._show(found)
            return
        if self._heard:
            return
        self.problems += 1
        if self.problems <= MAX_TOLD:
            self._told.append(found)
            say(f"{self._name}:{found.line}: {found.field}: {found.message}")

    def _show(self, decision: Decision) -> None:
        wanted = decision.wanted
        if self._as_json:
            consent = wanted.consent
            print_json(
                {
                    "line": wanted.line,
                    "address": wanted.address.address,
                    "decision": decision.fate.value,
                    "reason": wanted.reason and wanted.reason.value,
                    "consent_at": consent and consent.occurred_at.isoformat(),
                    "consent_source": consent and consent.source,
                }
            )
        else:
            why = f" ({wanted.reason.value.replace('_', ' ')})" if wanted.reason else ""
            said = decision.fate.value.replace("_", " ")
            click.echo(f"{wanted.line}\t{wanted.address.address}\t{said}{why}")


def _reading(
    file: BinaryIO,
    *,
    program: str,
    mapping: str | None,
    encoding: str | None,
    status: str | None,
    **_consent: object,
) -> Reading:
    """How the file is to be read. Raises `click.BadParameter` naming the option."""
    import codecs

    from subscribers.import_formats import NAMES, ListStatus
    from subscribers.importing import Reading

    if program not in ("auto", "plain", *NAMES):
        raise click.BadParameter(f"--from: {program!r} is not one of auto, plain, {', '.join(NAMES)}")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
            b"".decode(encoding)
        except LookupError:
            raise click.BadParameter(f"--encoding: there is none called {encoding!r}") from None
    if status is not None and status not in [one.value for one in ListStatus]:
        raise click.BadParameter(f"--status: {status!r} is not one of {', '.join(ListStatus)}")
    return Reading(
        encoding=encoding,
        program=None if program == "auto" else program,
        columns=_mapped(mapping) if mapping else None,
        status=ListStatus(status) if status else None,
        file_name=Path(file.name).name,
    )


def _mapped(mapping: str) -> dict[str, list[str]]:
    from subscribers.importing import COLUMNS

    found: dict[str, list[str]] = {}
    for part in mapping.split(","):
        field, equals, wanted = part.partition("=")
        if not equals or field.strip() not in COLUMNS:
            raise click.BadParameter(
                f"--map: {part.strip()!r} is not understood; write one of {', '.join(COLUMNS)}, "
                "then = and the title of the column"
            )
        found[field.strip()] = [one.strip() for one in wanted.split("+") if one.strip()]
    return found


@contextmanager
def _again(file: BinaryIO, *, needed: bool) -> Iterator[BinaryIO]:
    """The file, or if it must be read twice and cannot be, a copy of it beside memory."""
    if file.seekable() or not needed:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


def _has_size(file: BinaryIO) -> bool:
    return file.seekable() and hasattr(file, "fileno")


@contextmanager
def _bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, if that is a terminal; told how much more is done."""
    if not length or not sys.stderr.isatty():
        yield lambda _done: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=False) as bar:
        yield bar.update


def _counting(people: Iterable[Held], step: Callable[[int], None]) -> Iterator[Held]:
    for number, person in enumerate(people, 1):
        yield person
        if number % 1_000 == 0:
            step(1_000)


def _write(lines: Iterable[str], output: Path | None) -> int:
    """Write to a file, which is there whole or not at all, readable by its owner only; or to stdout."""
    if output is None:
        return _write_to(sys.stdout.buffer, lines)
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            written = _write_to(file, lines)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(output)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return written


def _write_to(file: BinaryIO, lines: Iterable[str]) -> int:
    number = 0
    for line in lines:
        file.write(line.encode())
        number += 1
    file.flush()
    return number
