"""For providers that name one id for a whole call."""

from __future__ import annotations

from dataclasses import replace

from emails.delivery import Answer
from emails.esp.http import HttpAnswer
from emails.esp.reading import accepted


def one_id(answer: HttpAnswer, provider_id: str) -> Answer:
    """Everyone accepted, under the call's id."""
    return replace(accepted(answer), provider_id=provider_id)
