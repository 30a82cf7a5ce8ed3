"""`weekbrief resume`: a person lifts a hold."""

from __future__ import annotations

from pipeline.cli.steering import steering_command

command = steering_command(
    "resume",
    "Go on with the letter of WEEK at the next run, after what held it was mended.",
    lambda store, edition, who, now: store.editions.resume(edition, who=who, now=now),
    done="goes on at the next run",
    already="is over; there is nothing to resume",
)
