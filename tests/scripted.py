"""A provider of the tests' own: takes requests in memory, keeps a truth log, answers as it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from threading import Lock

from emails.delivery import (
    Answer,
    AnswerClass,
    Capabilities,
    DeliveryState,
    Found,
    Receipt,
    Recipient,
    Request,
    Sought,
)
from emails.edition import Mailing

Script = Callable[[int, Request], Answer | None]
"""From the number of the call (1, 2 …) and its request to an answer; None: accept it."""


class ScriptedEsp:
    """`truth` counts the copies each address was given, whatever our own ledger thinks."""

    def __init__(
        self, script: Script = lambda _n, _r: None, *, keyed: bool = True, max_batch: int = 10
    ) -> None:
        self._script = script
        self._lock = Lock()
        self._seen: dict[str, bytes] = {}
        self.capabilities = Capabilities(
            name="scripted", max_batch=max_batch, key_life=timedelta(hours=24) if keyed else None
        )
        self.truth: Counter[str] = Counter()
        self.calls: list[Request] = []

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        body = "\n".join(f"{r.delivery_id} {r.address} {r.unsubscribe_url}" for r in recipients)
        return Request(
            method="POST", url="test:", headers={}, body=body.encode(), key=key, recipients=tuple(recipients)
        )

    def submit(self, request: Request, deadline: float) -> Answer:
        with self._lock:
            self.calls.append(request)
            number = len(self.calls)
        return self._script(number, request) or self.accept(request)

    def accept(self, request: Request, *, refused: Iterable[str] = ()) -> Answer:
        """Take the request as a real provider does: a key that was seen is answered again, not mailed."""
        refusals = set(refused)
        with self._lock:
            known = self._seen.get(request.key) if self.capabilities.keyed else None
            if known is not None and known != request.body:
                return Answer(kind=AnswerClass.HOLD, in_doubt=True, error="same key, other body")
            if known is None:
                self._seen[request.key] = request.body
                self.truth.update(r.address for r in request.recipients if r.address not in refusals)
        return Answer(
            kind=AnswerClass.ACCEPTED,
            http_status=200,
            receipts=tuple(
                Receipt(
                    delivery_id=r.delivery_id,
                    state=DeliveryState.REFUSED if r.address in refusals else DeliveryState.ACCEPTED,
                    provider_id=f"p-{r.delivery_id}",
                )
                for r in request.recipients
            ),
        )

    def find(self, sought: Sought, deadline: float) -> Found:
        return Found(error="scripted cannot be searched")

    def close(self) -> None:
        """Nothing to close."""


def lost_after(esp_holder: list[ScriptedEsp], calls: set[int]) -> Script:
    """The provider takes these calls, and its answer is lost."""

    def script(number: int, request: Request) -> Answer | None:
        if number not in calls:
            return None
        esp_holder[0].accept(request)
        return Answer(kind=AnswerClass.UNCERTAIN, error="the answer was lost")

    return script
