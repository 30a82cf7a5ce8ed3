"""`weekbrief pause`: a person stops a week."""

from __future__ import annotations

from pipeline.cli.steering import steering_command

command = steering_command(
    "pause",
    "Stop the letter of WEEK: what is on its way ends, nothing new leaves until `resume`.",
    lambda store, edition, who, now: store.editions.pause(edition, who=who, now=now),
    done="is paused; go on with: weekbrief resume",
    already="is over; there is nothing to pause",
)
