"""`weekbrief cancel`: a person ends a week."""

from __future__ import annotations

from pipeline.cli.steering import steering_command

command = steering_command(
    "cancel",
    "Send the letter of WEEK to nobody more, for good. Who has it keeps it; that stays recorded.",
    lambda store, edition, who, now: store.editions.cancel(edition, who=who, now=now),
    done="is cancelled",
    already="is over; there is nothing to cancel",
)
