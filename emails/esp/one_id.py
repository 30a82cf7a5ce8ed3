"""For providers that name one id for a whole call."""

from __future__ import annotations

from emails.delivery import Answer, DeliveryState, Receipt, Request
from emails.esp.http import HttpAnswer
from emails.esp.reading import accepted


def one_id(answer: HttpAnswer, request: Request, provider_id: str) -> Answer:
    """Everyone accepted, under the call's id."""
    return accepted(
        answer,
        [
            Receipt(delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED, provider_id=provider_id)
            for person in request.recipients
        ],
    )
