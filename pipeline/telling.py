"""Telling the editor by letter what a run left for them, once for each thing there is to say.

The exit code and the log say it too. A word that gets lost is not repeated: what it is about still stands in
`weekbrief status`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import date
from hashlib import sha256

from emails.delivery import EditionState
from pipeline.report import Outcome, Report
from pipeline.settings import Reports, Settings
from pipeline.store import Store
from pipeline.store.editions import Edition
from pipeline.week import Week

log = logging.getLogger("weekbrief.telling")


def tell_editor(settings: Settings, week: Week, report: Report) -> bool:
    """Send what there is to say about a run to `newsletter.reply_to`, or the sender; True if something went.

    By `reports`: `problems` are a draft that waits, a letter that is held or was missed, and people who were
    not reached; `all` are these and each letter that went well. A run at a time that somebody made up
    (`run --now`) is watched by that person, so nothing is sent. Never raises: a failure is for the log.
    """
    kind = _kind(settings.reports, report)
    if kind is None or report.edition is None or not week.clock_is_real:
        return False
    try:
        return _tell(settings, week, report, kind)
    except Exception as error:
        # Its words may hold an address.
        log.error("the word about %s was not sent (%s)", report.edition, type(error).__qualname__)
        return False


def _kind(wanted: Reports, report: Report) -> str | None:
    if wanted is Reports.NONE:
        return None
    match report.outcome:
        case Outcome.HELD:
            return "held"
        case Outcome.PARTIAL if report.exit_code:
            return "partial"
        case Outcome.SENT if wanted is Reports.ALL and "already sent" not in report.notes:
            return "sent"
    return None


def _tell(settings: Settings, week: Week, report: Report, kind: str) -> bool:
    from pipeline.notices import NotAnswered, opened_notices  # most runs have nothing to tell

    store, now = week.store, week.clock.now()
    edition = store.editions.find(report.edition or "")
    draft = kind == "held" and edition is not None and edition.state is EditionState.DRAFT
    label = f"{'draft' if draft else kind}-{report.edition}"
    if kind == "held" and not draft:
        label = f"{label}-{_fingerprint(report.notes)}"
    if not store.editions.tell_once(label, now=now):
        return False
    day = date.fromisoformat(report.edition or "")
    with opened_notices(settings, store) as letters:
        try:
            if draft and edition is not None:
                letters.draft_ready(
                    day,
                    title=edition.post_title,
                    question=edition.question,
                    example=edition.example,
                    remarks=_remarks(settings, store, edition),
                )
            elif kind == "held":
                letters.draft_held(day, report.notes)
            else:
                letters.run_report(report)
        except NotAnswered as error:
            log.error("the word about %s was not sent: %s", report.edition, error)
            return False
    return True


def _fingerprint(notes: Sequence[str]) -> str:
    """The same for the same reason, though it speaks of 26 hours now where it said 25."""
    return sha256(re.sub(r"\d+", "#", "\n".join(notes[-1:])).encode()).hexdigest()[:12]


def _remarks(settings: Settings, store: Store, edition: Edition) -> tuple[str, ...]:
    """What the pre-flight says of a draft, the worst first."""
    from pipeline.check.week import check_edition

    checked = check_edition(settings, store, edition)
    return tuple(f"{found.severity}: {found.message}; {found.mend}" for found in checked.findings)
