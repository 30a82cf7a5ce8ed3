"""Handing an edition to the provider, batch by batch, so that a death at any moment does no harm.

    people ─▶ build ─▶ claim (intent, synced) ─▶ submit ─▶ record (outcome, synced)

The rules stand in `docs/design.md`. Threads share one `Sending`; only the ledger's transactions decide
who may leave.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock

from emails.delivery import Answer, AnswerClass, BatchState, Esp, Request, Search
from emails.edition import Mailing
from pipeline.building import Addressing, Builder
from pipeline.clock import Clock
from pipeline.crashpoint import crashpoint
from pipeline.line import Line
from pipeline.pacing import Gate, Pace
from pipeline.patience import Patience, StopReason
from pipeline.settings import Doubt
from pipeline.store.audience import People
from pipeline.store.ledger import Batch, DoubtLimit, EditionStopped, Intent, Ledger, Left, Settled

log = logging.getLogger("weekbrief.deliver")

KEY_MARGIN = timedelta(minutes=10)
"""How long before its end an idempotency key is no longer trusted."""

MAX_DEATHS = 3
"""A batch that this many senders died on is set aside for a person to look at."""

MAX_LOOKS = 10
"""How often people may change under us while one batch is claimed, before something is wrong."""

WORTH_A_THREAD = 0.01
"""Seconds that an answer takes, from which on the next request is built meanwhile."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LATER = 15.0
"""Seconds before people are handed over again whom the provider left out for now."""

CHANGED = (
    "their request no longer builds to the same bytes (another secret, address or version of this program?): "
    "asked for again, it might be sent twice. Look them up in the provider's own log. If it has them: "
    "weekbrief doubts write-off; if not: weekbrief doubts release; then weekbrief resume"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """People nobody has claimed yet, and the request that would reach them."""

    people: People
    request: Request


Progress = Callable[[AnswerClass | None, int], None]
"""Told after each recorded answer what came of how many people; None: they left before their turn."""


class Sending:
    """One sender at work on one edition. `run` returns when nobody is left that can be reached now."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        esp: Esp,
        mailing: Mailing,
        address_to: Addressing,
        clock: Clock,
        pace: Pace,
        stop: Event,
        fence: Callable[[int], None] = lambda _seq: None,
        progress: Progress = lambda _kind, _people: None,
    ) -> None:
        self._ledger = ledger
        self._esp = esp
        self._clock = clock
        self._pace = pace
        self._fence = fence
        self._progress = progress
        self._patience = Patience(pace.patience, clock=clock, asked=stop)
        self._builder = Builder(esp=esp, mailing=mailing, address_to=address_to)
        self._line = Line(
            ledger,
            self._builder,
            pace=pace,
            clock=clock,
            patience=self._patience,
            skipped=lambda number: progress(None, number),
        )
        self._gate = Gate(pace.rate, now=clock.now(), opens=ledger.gate_opens())
        self._taking = Lock()
        self._again: deque[Batch] = deque()
        self._meanwhile: ThreadPoolExecutor | None = None
        self._next: Future[Ready | None] | None = None
        self._waited = 0.0
        self._accepted = self._refused = self._lost = 0

    @property
    def stopped(self) -> StopReason:
        return self._patience.reason

    @property
    def why(self) -> str:
        return self._patience.why

    def run(self) -> None:
        """Send to everyone still pending. Stops early on a hold, a signal, or a provider that is away."""
        self.settle()
        self._canary()
        if not self._esp.capabilities.keyed:
            self._work_alone()
            return
        workers = self._pace.concurrency
        with ThreadPoolExecutor(workers, thread_name_prefix="sender") as pool:
            for done in [pool.submit(self._work) for _ in range(workers)]:
                done.result()

    def settle(self) -> None:
        """What an earlier sender left in the air is in doubt; settle that as far as it can be now."""
        self._ledger.recover(now=self._clock.now())
        crashpoint("recovered")
        self._open_batches()

    # taking work

    def _open_batches(self) -> None:
        """Doubts are settled before anyone new is claimed."""
        for batch in self._ledger.open_batches():
            if batch.state is BatchState.UNCERTAIN:
                self._carry(batch)
            else:
                self._again.append(batch)

    def _canary(self) -> None:
        """A few people first, in one small batch or, where a batch holds fewer, in some: a wrong key or an
        unverified domain is found before many are involved."""
        if not self._pace.canary or self._again or self._patience.over():
            return
        left = self._pace.canary
        while left > 0 and not self._patience.over():
            people = self._line.next_batch(left)
            if not people or (left == self._pace.canary and not self._unknown_to_provider(people)):
                return
            left -= len(people)
            self._carry(self._claim_and_send(people, None))
            while self._again and not self._patience.over():
                self._carry(self._again.popleft())
        if self._refused > 1 and not self._accepted:
            self._halt(StopReason.HELD, f"the provider refused all of the first {self._refused}: {self.why}")

    def _work(self) -> None:
        try:
            while not self._patience.over():
                with self._taking:
                    batch = self._again.popleft() if self._again else None
                    people = People() if batch else self._line.next_batch()
                    if not (batch or people):
                        self._mind_the_quota()
                        return
                self._carry(batch or self._claim_and_send(people, None))
        except BaseException:
            self._patience.break_off()
            raise

    def _work_alone(self) -> None:
        """For a provider with no keys, which has one call in flight: while it is waited for, the next request
        is built. Who leaves in between is seen when it is claimed, and it is built anew."""
        with ThreadPoolExecutor(1, thread_name_prefix="builder") as pool:
            self._meanwhile = pool
            while not self._patience.over():
                if self._again:
                    self._carry(self._again.popleft())
                elif ready := self._take_next():
                    self._carry(self._claim_and_send(ready.people, None, ready.request))
                else:
                    self._mind_the_quota()
                    return

    def _take_next(self) -> Ready | None:
        ahead, self._next = self._next, None
        return ahead.result() if ahead else self._make_ready()

    def _make_ready(self) -> Ready | None:
        people = self._line.next_batch()
        return Ready(people=people, request=self._builder.request(people)) if people else None

    def _build_ahead(self) -> None:
        """Unless the answers come at once: then two threads would only wait for each other."""
        if self._meanwhile is not None and self._next is None and self._waited >= WORTH_A_THREAD:
            self._next = self._meanwhile.submit(self._make_ready)

    def _mind_the_quota(self) -> None:
        if self._line.waits_for_tomorrow():
            self._halt(StopReason.QUOTA, f"{self._pace.per_day} people a day: the rest goes on tomorrow")

    def _unknown_to_provider(self, people: People) -> bool:
        """Ask a provider that can be asked whether it has these letters already: a database that was
        restored from a backup would not know. What is found counts, and the edition is held."""
        able = self._esp.capabilities
        if able.keyed or able.search is None:
            return True
        found = self._esp.find(
            self._builder.sought(people, key="", since=self._clock.now()), self._pace.deadline
        )
        if not found.taken:
            return True
        known = self._ledger.evidence(found.taken)
        self._halt(
            StopReason.HELD,
            f"the provider has letters of this edition that this database never handed over ({known} found): "
            "was it restored from a backup?",
        )
        return False

    # carrying a batch through

    def _carry(self, batch: Batch | None) -> None:
        """Stay with a batch until its story is over or we stop: a doubt keeps its worker (R9)."""
        while batch is not None and not self._patience.over():
            batch = self._advance(batch)

    def _advance(self, batch: Batch) -> Batch | None:
        try:
            return self._next_move(batch)
        except Settled:
            log.info("batch %s: the provider's reports show that it was taken", batch.id)
            return None

    def _next_move(self, batch: Batch) -> Batch | None:
        if batch.deaths >= MAX_DEATHS:
            who = f"recipients {batch.first} to {batch.last}"
            self._halt(StopReason.HELD, f"{batch.deaths} runs died on {who}; look at the log before resuming")
            return None
        if batch.state is BatchState.UNCERTAIN and not self._may_ask_again(batch):
            return self._resolve_doubt(batch)
        if not self._patience.until(batch.not_before):
            return None
        people = self._ledger.members(batch)
        if batch.state is BatchState.PREPARED:
            if not people:
                self._ledger.close_empty(batch)
            return self._claim_and_send(people, batch)
        return self._ask_again(batch, people)

    def _claim_and_send(
        self, people: People, batch: Batch | None, built: Request | None = None
    ) -> Batch | None:
        for _ in range(MAX_LOOKS):
            if not people:
                return None
            request, built = built or self._builder.request(people), None
            crashpoint("built")
            claimed = self._claim(people, batch, request)
            if isinstance(claimed, Intent):
                return self._hand_over(claimed, request)
            if claimed is None:
                return None
            people = self._look_again(people, batch, claimed)
        self._halt(StopReason.HELD, "the audience keeps changing while it is claimed; see the log")
        return None

    def _claim(self, people: People, batch: Batch | None, request: Request) -> Intent | Left | None:
        if not self._patience.until(self._gate.reserve(self._clock.now()), patiently=True):
            return None
        now = self._clock.now()
        life = self._esp.capabilities.key_life
        try:
            return self._patience.when_free(
                lambda: self._ledger.claim(
                    people,
                    batch=batch,
                    key=request.key,
                    request_sha256=request.sha256,
                    now=now,
                    key_expires_at=now + life if life else None,
                    doubt_limit=self._pace.concurrency if life else 1,
                    gate_opens=self._gate.opens,
                )
            )
        except EditionStopped as stopped:
            self._stopped_by(stopped)
        except DoubtLimit as doubts:
            self._halt(StopReason.UNAVAILABLE, str(doubts))
        return None

    def _stopped_by(self, stopped: EditionStopped) -> None:
        self._halt(StopReason.ASKED if stopped.asked else StopReason.HELD, str(stopped))

    def _look_again(self, people: People, batch: Batch | None, left: Left) -> People:
        if left.ordinals:
            self._progress(None, len(left.ordinals))
            return people.without(left.ordinals)
        if batch is not None:
            return self._ledger.members(batch)
        found = self._ledger.pending(after=people[0].ordinal - 1, limit=len(people))
        return found.up_to(people[-1].ordinal)

    def _may_ask_again(self, batch: Batch) -> bool:
        """Same provider, a key that still lives (R3a)."""
        return (
            self._esp.capabilities.keyed
            and batch.provider == self._esp.capabilities.name
            and batch.key_expires_at is not None
            and self._clock.now() < batch.key_expires_at - KEY_MARGIN
        )

    def _ask_again(self, batch: Batch, people: People) -> Batch | None:
        request = self._builder.request(people, batch.key)
        if request.sha256 != batch.request_sha256:
            who = f"recipients {batch.first} to {batch.last}"
            self._halt(StopReason.HELD, f"{who} are in doubt, and {CHANGED}")
            return None
        if not self._patience.until(self._gate.reserve(self._clock.now()), patiently=True):
            return None
        try:
            now = self._clock.now()
            intent = self._patience.when_free(
                lambda: self._ledger.reclaim(batch, people, now=now, gate_opens=self._gate.opens)
            )
        except EditionStopped as stopped:
            self._stopped_by(stopped)
            return None
        return self._hand_over(intent, request)

    def _hand_over(self, intent: Intent, request: Request) -> Batch | None:
        crashpoint("after intent")
        self._fence(intent.ledger_seq)
        crashpoint("after fence")
        self._build_ahead()
        self._keep_distance()
        began = self._clock.monotonic()
        answer = self._esp.submit(request, self._pace.deadline)
        self._waited = self._clock.monotonic() - began
        crashpoint("after answer")
        self._log(intent, answer)
        now = self._clock.now()
        pause = self._pause(answer, intent.batch.tries)
        after = self._record(intent, answer, not_before=now + pause)
        crashpoint("after outcome")
        self._progress(answer.kind, len(intent.people))
        return self._next_step(intent, answer, after)

    def _keep_distance(self) -> None:
        """Some milliseconds. Nothing ends this wait: the intent is there, so the call must follow."""
        now = self._clock.now()
        seconds = (self._gate.leaves(now) - now).total_seconds()
        if seconds > 0:
            self._clock.wait(seconds, Event())

    def _record(self, intent: Intent, answer: Answer, *, not_before: datetime) -> tuple[Batch, ...]:
        """Store the outcome. While the database cannot, nothing new is claimed and this is tried again:
        an answer that is lost here leaves its people in doubt."""
        who = f"recipients {intent.batch.first} to {intent.batch.last}"
        return self._patience.insist(
            lambda: self._ledger.record(intent, answer, now=self._clock.now(), not_before=not_before),
            pause=FIRST_PAUSE,
            about=f"the answer for {who} ({answer.kind})",
        )

    def _next_step(self, intent: Intent, answer: Answer, after: Sequence[Batch]) -> Batch | None:
        self._patience.why = answer.error or self.why
        match answer.kind:
            case AnswerClass.ACCEPTED:
                self._patience.succeeded()
                self._gate.accepted()
                self._accepted += len(intent.people)
                self._lost = 0
                self._again.extend(after)
            case AnswerClass.REFUSED:
                self._patience.succeeded()
                self._refused += 0 if after else 1
                self._again.extend(after)
            case AnswerClass.HOLD:
                self._halt(StopReason.HELD, answer.error or "the provider refuses to work for us")
            case _:
                self._patience.failed()
                self._lost += answer.kind is AnswerClass.UNCERTAIN
                if answer.retry_after is not None:
                    wait = timedelta(seconds=answer.retry_after)
                    self._gate.told_to_wait(self._clock.now() + wait)
                return after[0]
        return None

    def _resolve_doubt(self, batch: Batch) -> Batch | None:
        """What no key can settle: the provider's records first, then the operator's policy."""
        able = self._esp.capabilities
        if batch.provider != able.name:
            self._halt(
                StopReason.HELD,
                f"{batch.size} people are in doubt at {batch.provider}; settle them first: weekbrief doubts",
            )
            return None
        if able.search is not None:
            left = self._look_up(batch, able.search)
            if left is None or left.state is not BatchState.UNCERTAIN:
                return left
            batch = left
        if self._patience.over():
            return None
        match self._pace.doubt:
            case Doubt.AT_MOST_ONCE:
                self._ledger.write_off(batch, reason=batch.reason or "the provider never answered")
                if self._lost > (1 if self._accepted else 0):
                    self._halt(StopReason.UNAVAILABLE, f"answers keep getting lost: {self.why}")
                crashpoint("written off")
            case Doubt.AT_LEAST_ONCE:
                return self._ledger.release(batch, reason="sent again by policy: at_least_once")
            case Doubt.ASK:
                who = f"recipients {batch.first} to {batch.last}"
                self._halt(StopReason.HELD, f"{who} may or may not have the letter: weekbrief doubts")
        return None

    def _look_up(self, batch: Batch, search: Search) -> Batch | None:
        """Ask the provider's records, once they have settled, and twice. Gives the batch as it stands then:
        uncertain, prepared again by proof of absence, or None when nobody in it is in doubt any more."""
        submitted = batch.last_submit_at or self._clock.now()
        if not self._patience.until(submitted + search.settle):
            return batch
        people = self._ledger.members(batch)
        sought = self._builder.sought(people, key=batch.key, since=batch.first_submit_at or submitted)
        crashpoint("before look-up")
        first, second = (self._esp.find(sought, self._pace.deadline) for _ in range(2))
        error = first.error or second.error
        if error or set(first.taken) != set(second.taken):
            self._halt(StopReason.UNAVAILABLE, error or "the provider's records changed while they were read")
            return batch
        crashpoint("looked up")
        left = self._ledger.prove(batch, second.taken)
        crashpoint("proven")
        if left is not None and search.complete:
            return self._ledger.release(left, reason="the provider's complete records do not have it")
        return left

    def _log(self, intent: Intent, answer: Answer) -> None:
        """The log keeps the answer even if the disk is too full for the ledger."""
        said = " ".join(str(word) for word in (answer.kind, answer.http_status, answer.error) if word)
        batch = intent.batch
        log.info("batch %s, %s people, try %s: %s", batch.id, len(intent.people), batch.tries, said)

    def _pause(self, answer: Answer, tries: int) -> timedelta:
        if any(receipt.again for receipt in answer.receipts):
            return timedelta(seconds=LATER)
        if answer.kind not in (AnswerClass.NOT_SENT, AnswerClass.BUSY, AnswerClass.UNCERTAIN):
            return timedelta()
        if answer.retry_after is not None:
            return timedelta(seconds=answer.retry_after)
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
        return timedelta(seconds=longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def _halt(self, reason: StopReason, why: str) -> None:
        self._patience.halt(reason, why)
