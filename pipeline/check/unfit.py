"""What stops a letter also where nobody approves it."""

from __future__ import annotations

from emails.edition import Mailing
from pipeline.check.findings import inspect
from pipeline.check.sample import Sample
from pipeline.post import Brief

NEVER_MEANT = {
    "message_checks": frozenset({"message-cannot-be-made", "message-defects", "headers-once", "one-click"}),
    "link_checks": frozenset(
        {"unsubscribe-link", "tracking-pixel", "link-tracking", "link-absolute", "link-placeholder"}
    ),
    "content_checks": frozenset({"left-over", "lost-characters"}),
}
"""Checks by the module they stand in. The others may be somebody's style, or a word that only looks wrong; a
week without a letter would be the worse mistake."""


def why_unfit(brief: Brief, mailing: Mailing) -> tuple[str, ...]:
    """What is in the way of a letter that is about to go without anybody's approval, as sentences with the
    mend: only what nobody can have meant. Asks no other program, so that it costs a run nothing worth
    counting."""
    sample = Sample(
        mailing=mailing,
        question=brief.question.text,
        example=brief.example.text,
        post_title=brief.post.title,
        post_url=brief.post.url,
        findings=(),
        others=False,
    )
    return tuple(
        f"{finding.id}: {finding.message}; {finding.mend}" for finding in inspect(sample, only=NEVER_MEANT)
    )
