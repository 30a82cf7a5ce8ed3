"""What a run did, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum

from pipeline.patience import StopReason
from pipeline.store.counting import Counts
from pipeline.store.editions import Edition


class Outcome(StrEnum):
    SENT = "sent"
    PARTIAL = "partial"
    NOTHING_DUE = "nothing_due"
    NOTHING_TO_SEND = "nothing_to_send"
    HELD = "held"
    DRY_RUN = "dry_run"


class Exit:
    """What the shell is told (`docs/operator.md`)."""

    DONE = 0
    UNEXPECTED = 1
    WRONG_USE = 2
    HELD = 3
    PARTIAL = 4
    UNAVAILABLE = 5
    ANOTHER_RUN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run's record. `notes` are plain sentences: posts passed over, slots missed, why it is held."""

    outcome: Outcome
    exit_code: int = Exit.DONE
    edition: str | None = None
    week: str | None = None
    post: str | None = None
    question: str | None = None
    example: str | None = None
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The object that `run --json` prints."""
        return {
            "outcome": self.outcome.value,
            "edition": self.edition,
            "week": self.week,
            "post": self.post,
            "question": self.question,
            "example": self.example,
            "counts": asdict(self.counts),
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def report_edition(
    edition: Edition, counts: Counts, *, stopped: StopReason, why: str, notes: tuple[str, ...] = ()
) -> Report:
    """What has become of an edition after this run worked on it."""
    outcome, code = _verdict(counts, stopped)
    said = (*notes, why) if why and outcome is not Outcome.SENT else notes
    return Report(
        outcome=outcome,
        exit_code=code,
        edition=edition.day,
        week=edition.week,
        post=edition.post_title,
        question=edition.question,
        example=edition.example,
        counts=counts,
        notes=said,
    )


def _verdict(counts: Counts, stopped: StopReason) -> tuple[Outcome, int]:
    match stopped:
        case StopReason.HELD:
            return Outcome.HELD, Exit.HELD
        case StopReason.UNAVAILABLE if not (counts.uncertain or counts.unconfirmed):
            return Outcome.PARTIAL, Exit.UNAVAILABLE
    if stopped is StopReason.QUOTA:
        return Outcome.PARTIAL, Exit.DONE
    if counts.open or counts.refused or counts.unconfirmed:
        return Outcome.PARTIAL, Exit.DONE if stopped is StopReason.ASKED else Exit.PARTIAL
    return Outcome.SENT, Exit.DONE


def stopped_early() -> Report:
    """Of a week that was given up while its posts were read: nothing has been made of them."""
    return Report(
        outcome=Outcome.PARTIAL,
        notes=("asked to stop while a feed was waited for; the next run begins anew",),
    )
