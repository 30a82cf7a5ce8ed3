"""One week, top to bottom. Everything that is chosen here is chosen by a function that touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Protocol

from emails.delivery import EditionState, Esp, Recipient, Recipients
from emails.edition import Letter, Mailing, Newsletter
from emails.message import feedback_id
from emails.render import render
from pipeline.briefing import Choice, first_brief, in_order
from pipeline.clock import Clock
from pipeline.compose import compose
from pipeline.condense.chooser import Chooser
from pipeline.crashpoint import crashpoint
from pipeline.deliver import Progress, Sending
from pipeline.due import Due, NoSuchSlot, Schedule, Slot, decide, find_slot
from pipeline.pacing import Pace
from pipeline.patience import StopReason
from pipeline.pick import pick
from pipeline.post import Brief, Post
from pipeline.report import Exit, Outcome, Report, report_edition, stopped_early
from pipeline.settings import NoPick, Pick
from pipeline.sources import AskedToStop, SourceUnavailable
from pipeline.store import Store, sender_lock
from pipeline.store.audience import People
from pipeline.store.counting import Counts
from pipeline.store.covered import covered_posts
from pipeline.store.editions import Edition
from pipeline.store.fence import Fence, machine_fingerprint
from subscribers.links import unsubscribe_url
from subscribers.tokens import Signer


class Source(Protocol):
    """Where posts come from."""

    def posts(self) -> Sequence[Post]:
        """Raises `SourceUnavailable` when one cannot be read at all."""
        ...

    def problems(self) -> Sequence[str]:
        """What could not be read, as sentences that name the file."""
        ...

    def remarks(self) -> Sequence[str]:
        """What else the editor should know of what was read."""
        ...

    def whole(self, post: Post) -> Post | str:
        """A post with all of its text, or why it cannot be had this time."""
        ...

    def gone(self, post: Post) -> str:
        """Why a post that would go must not, because it was taken back; empty: nothing says so."""
        ...

    def refresh(self) -> None:
        """Take in what may be gone before the next letter."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The real parts that a week runs on, built in `pipeline.wiring`."""

    newsletter: Newsletter
    schedule: Schedule
    rule: Pick
    no_pick: NoPick
    choice: Callable[[Slot], Choice]
    """What the editor wants for a slot. Raises `SettingsError`."""
    chooser: Chooser | None
    approval_required: bool
    why_unfit: Callable[[Brief, Mailing], Sequence[str]] = lambda _brief, _mailing: ()
    """What is in the way of a letter that nobody is to approve; empty: nothing."""
    pace: Pace
    store: Store
    source: Source
    esp: Callable[[], Esp]
    """Opens the provider; only called when something is to be sent."""
    signer: Signer
    fence: Fence
    clock: Clock
    clock_is_real: bool = True
    """False under `run --now`: a time somebody made up is no evidence about the clock."""
    progress: Progress = lambda _kind, _people: None
    frozen: Callable[[Edition, Counts], None] = lambda _edition, _counts: None
    """Told when an audience is there, before the first request."""


def run_due(week: Week, *, stop: Event) -> Report:
    """Do what is due: finish what was begun, then the newest slot whose time has come.

    Safe to call again and again. Raises `pipeline.store.lock.AnotherRun` beside another run.
    """
    started = week.clock.monotonic()
    with sender_lock(week.store.engine):
        if problem := standing_hold(week):
            return Report(outcome=Outcome.HELD, exit_code=Exit.HELD, notes=(problem,))
        epoch = week.store.installations.new_epoch()
        report = _begun(week, epoch, stop)
        if report is None or report.outcome is Outcome.HELD:
            following = _next_slot(week, epoch, stop)
            report = following if report is None or following.outcome is not Outcome.NOTHING_DUE else report
    return replace(report, seconds=week.clock.monotonic() - started)


def standing_hold(week: Week) -> str | None:
    """Why nothing at all may be sent from this installation until a person has looked, or None."""
    here = week.store.installations.read()
    problem = here.hold_reason or week.fence.problem(installation=here.id, ledger_seq=here.ledger_seq)
    if problem is None:
        machine = machine_fingerprint()
        if not machine or week.store.installations.adopt_machine(machine):
            return None
        problem = "this is another machine than the one that sent before: the old one may still be sending"
    return f"{problem}. When you are sure: weekbrief release --confirm"


def send_by_hand(week: Week, wanted: str, *, stop: Event) -> Report:
    """Send the edition of a date or ISO week now, whatever the clock says of it.

    Raises `pipeline.due.NoSuchSlot`, and `AnotherRun` beside another run.
    """
    started = week.clock.monotonic()
    with sender_lock(week.store.engine):
        if problem := standing_hold(week):
            return Report(outcome=Outcome.HELD, exit_code=Exit.HELD, notes=(problem,))
        epoch = week.store.installations.new_epoch()
        edition = week.store.editions.find(wanted)
        if edition is None:
            report = run_week(week, find_slot(week.schedule, wanted), epoch=epoch, stop=stop)
        else:
            report = send_edition(week, edition, epoch=epoch, stop=stop, by_hand=True)
    return replace(report, seconds=week.clock.monotonic() - started)


def settle_doubts(week: Week, wanted: str, *, stop: Event) -> Report:
    """Ask the provider about the doubts of one edition, also one that is held; nobody new is sent to.

    Raises `pipeline.due.NoSuchSlot`, and `AnotherRun` beside another run.
    """
    with sender_lock(week.store.engine):
        edition = week.store.editions.find(wanted)
        if edition is None:
            raise NoSuchSlot(f"there is no edition of {wanted}; see `weekbrief plan`")
        epoch = week.store.installations.new_epoch()
        return send_edition(week, edition, epoch=epoch, stop=stop, by_hand=True, only_doubts=True)


def run_week(week: Week, slot: Slot, *, epoch: int, stop: Event) -> Report:
    """One slot, from posts to report. What was frozen is read back, not redone."""
    store, now = week.store, week.clock.now()
    edition = store.editions.of_slot(slot.key)
    notes: tuple[str, ...] = ()
    if edition is None:
        try:
            posts = week.source.posts()
        except SourceUnavailable as error:
            return _held(slot, str(error))
        choice, covered = week.choice(slot), covered_posts(store.engine)
        waiting = pick(posts, covered=covered, now=now, rule=week.rule)
        waiting = in_order(waiting, posts, choice)
        found = first_brief(
            waiting,
            choice=choice,
            sent=store.editions.questions(),
            chooser=week.chooser,
            no_pick=week.no_pick,
            whole=week.source.whole,
            gone=week.source.gone,
            covered=covered,
        )
        looks = (f"look at: {finding}" for finding in found.findings)
        brief, notes = found.brief, (*_said(week.source), *found.notes, *looks)
        if brief is None:
            return _nothing_to_send(slot, waiting, notes, unread=bool(week.source.problems()))
        letter = render(
            compose(brief, newsletter=week.newsletter, edition=slot.day.isoformat(), day=slot.day)
        )
        mailing = mailing_of(
            week.newsletter, letter, installation=store.installation.id, edition=slot.day.isoformat()
        )
        problems = () if week.approval_required else week.why_unfit(brief, mailing)
        notes = (*notes, *(f"not fit to go by itself: {problem}" for problem in problems))
        approved = not (week.approval_required or problems)
        edition = store.editions.create(slot, brief, mailing, now=now, approved=approved)
        crashpoint("edition written")
    if edition is None:
        return Report(outcome=Outcome.NOTHING_DUE, notes=("another scheduler took this week",))
    return send_edition(week, edition, epoch=epoch, stop=stop, notes=notes)


def send_edition(
    week: Week,
    edition: Edition,
    *,
    epoch: int,
    stop: Event,
    notes: tuple[str, ...] = (),
    by_hand: bool = False,
    only_doubts: bool = False,
) -> Report:
    """Freeze the audience if that is still to be done, and send to everyone still open."""
    if edition.state is EditionState.FINISHED:
        counts = week.store.counts(edition.id)
        return report_edition(
            edition, counts, stopped=StopReason.NONE, why="", notes=(*notes, "already sent")
        )
    waiting = _why_waiting(week, edition, by_hand=by_hand)
    if waiting and not (only_doubts and edition.started_at):
        counts = week.store.counts(edition.id)
        return report_edition(edition, counts, stopped=StopReason.HELD, why=waiting, notes=notes)
    esp = week.esp()
    try:
        name = esp.capabilities.name
        shuffled = week.pace.per_day is not None
        frozen = week.store.editions.freeze(edition, provider=name, now=week.clock.now(), shuffled=shuffled)
        crashpoint("audience frozen")
        begun = edition.started_at is not None
        counts = week.store.check_sum(edition.id) if begun else Counts(frozen=frozen, pending=frozen)
        week.frozen(edition, counts)
        sending = Sending(
            ledger=week.store.ledger(edition.id, epoch=epoch, provider=name),
            esp=esp,
            mailing=edition.mailing,
            address_to=_addressing(week.signer, edition.mailing.newsletter),
            clock=week.clock,
            pace=week.pace,
            stop=stop,
            fence=_raising(week),
            progress=week.progress,
        )
        sending.settle() if only_doubts else sending.run()
    finally:
        esp.close()
    return _close(week, edition, sending, notes)


def look_at_clock(week: Week) -> Due:
    """What is due now, by the schedule and what was taken before."""
    now = week.clock.now()
    last = week.store.installations.read().last_examined
    if not week.clock_is_real and last is not None and now < last:
        last = None
    return decide(
        week.schedule,
        last_examined=last,
        now=now,
        newest_taken=week.store.editions.newest_day(),
    )


def _begun(week: Week, epoch: int, stop: Event) -> Report | None:
    """Editions that a death, an absent provider or a person left open go on first. One that is held does
    not keep the others waiting."""
    held = None
    for edition in week.store.editions.unfinished():
        report = send_edition(week, edition, epoch=epoch, stop=stop)
        if report.outcome is not Outcome.HELD:
            return report
        held = held or report
    return held


def _next_slot(week: Week, epoch: int, stop: Event) -> Report:
    due = look_at_clock(week)
    if due.hold:
        return Report(outcome=Outcome.HELD, exit_code=Exit.HELD, notes=(due.hold,))
    missed = tuple(_missed(week, slot) for slot in due.missed)
    if week.clock_is_real:
        week.store.installations.examined(week.clock.now())
    if due.slot is None:
        return Report(outcome=Outcome.NOTHING_DUE, notes=missed)
    try:
        report = run_week(week, due.slot, epoch=epoch, stop=stop)
    except AskedToStop:
        report = stopped_early()
    return replace(report, notes=(*missed, *report.notes))


def _missed(week: Week, slot: Slot) -> str:
    note = (
        f"the letter of {slot.day} was not sent: nothing ran within {week.schedule.max_lateness} of its time"
    )
    week.store.editions.miss(slot, note=note)
    return note


def _nothing_to_send(slot: Slot, posts: Sequence[Post], notes: tuple[str, ...], *, unread: bool) -> Report:
    """No post is left: a quiet week. Some are, but none can be condensed or read: a person is needed."""
    if not posts and not unread:
        return Report(
            outcome=Outcome.NOTHING_TO_SEND,
            edition=slot.day.isoformat(),
            week=slot.week,
            notes=(*notes, "every post has been sent; a new one goes with the next letter"),
        )
    mend = "no waiting post has both; give one `question:` and `example:` in its front matter"
    return _held(slot, *notes, mend if posts else "no other post is left; mend the ones that cannot be read")


def _held(slot: Slot, *notes: str) -> Report:
    return Report(
        outcome=Outcome.HELD,
        exit_code=Exit.HELD,
        edition=slot.day.isoformat(),
        week=slot.week,
        notes=notes,
    )


def _said(source: Source) -> tuple[str, ...]:
    return (*source.problems(), *source.remarks())


def _raising(week: Week) -> Callable[[int], None]:
    installation = week.store.installation.id
    return lambda seq: week.fence.raise_to(installation=installation, ledger_seq=seq)


def _why_waiting(week: Week, edition: Edition, *, by_hand: bool) -> str | None:
    if edition.hold_reason:
        return edition.hold_reason
    if edition.state is EditionState.DRAFT:
        return f"it waits for approval: weekbrief approve {edition.day}"
    if edition.state is EditionState.CANCELLED:
        return "it was cancelled"
    if by_hand or (edition.started_at and week.pace.per_day):
        return None
    late = week.clock.now() - max(edition.due_at, edition.resumed_at or edition.due_at)
    if late > week.schedule.max_lateness:
        hours = _hours(late.total_seconds())
        return f"it is {hours} late; to send it all the same: weekbrief resume {edition.day}"
    return None


def _close(week: Week, edition: Edition, sending: Sending, notes: tuple[str, ...]) -> Report:
    counts = week.store.check_sum(edition.id)
    if sending.stopped is StopReason.HELD:
        week.store.editions.hold(edition, reason=sending.why)
    elif not counts.open:
        week.store.editions.finish(edition, now=week.clock.now())
        crashpoint("finished")
    if sending.stopped is StopReason.QUOTA and week.pace.per_day:
        days = -(-counts.pending // week.pace.per_day)
        notes = (*notes, f"{counts.pending} are left; at this pace they are reached in {days} more days")
    return report_edition(edition, counts, stopped=sending.stopped, why=sending.why, notes=notes)


def _addressing(signer: Signer, newsletter: Newsletter) -> Callable[[People], Sequence[Recipient]]:
    """From people in the ledger to recipients with everything that differs per person."""
    domain, base = newsletter.sender.address.rpartition("@")[2], unsubscribe_url(newsletter.url, "")

    def address(people: People) -> Sequence[Recipient]:
        return Recipients(
            delivery_ids=people.delivery_ids,
            addresses=people.addresses,
            names=people.names,
            tokens=signer.unsubscribe_tokens(people.subscriber_ids),
            base=base,
            domain=domain,
        )

    return address


def mailing_of(
    newsletter: Newsletter, letter: Letter, *, installation: str, edition: str, notice: bool = False
) -> Mailing:
    """What every message of an edition shares. The list's name never changes (RFC 2919)."""
    domain = newsletter.sender.address.rpartition("@")[2]
    label = f"{installation}.{domain}"
    return Mailing(
        installation=installation,
        edition=edition,
        newsletter=newsletter,
        letter=letter,
        list_id=f"{newsletter.name} <{label}>",
        feedback_id=feedback_id(
            edition=edition, language=letter.language, label=installation, sender="weekbrief"
        ),
        notice=notice,
        tags={"installation": installation, "edition": edition},
    )


def _hours(seconds: float) -> str:
    hours = round(seconds / 3600)
    return f"{hours} hours" if hours < 72 else f"{round(hours / 24)} days"
