"""The letters beside the weekly one: to a reader about their subscription, to the editor, to the operator.

Values in, a finished `Letter` out; no merge field is left in it. Pure. What they say stands in the
catalogues; how they look is `templates/notice`, in the newsletter's design.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from emails.edition import Letter, Newsletter
from emails.graphemes import length
from emails.merge import safe
from emails.message import SUBJECT_LENGTH
from emails.render import Notice, RenderError, render_notice
from emails.words import Words, words

_EVERY = {"week": "every_week", "2 weeks": "every_two_weeks", "month": "every_month"}
Verdict = Literal["sent", "partial", "nothing"]


def confirm(newsletter: Newsletter, language: str, confirm_url: str, *, reminder: bool = False) -> Letter:
    """Asks one person to confirm; with `reminder` once more, a few days later.

    `confirm_url` must be a plain ASCII address, as signed links are. Raises `emails.merge.UnsafeMergeValue`,
    `emails.render.RenderError` and `emails.words.UnknownLanguage`, as the others here do.
    """
    tongue = _words(newsletter, language)
    names = _names(newsletter)
    asked = "confirm.reminder" if reminder else "confirm.asked"
    notice = Notice(
        subject=_subject(tongue, "confirm", names),
        preheader=tongue.say("confirm.preheader"),
        heading=tongue.say("confirm.question", **names),
        before=(
            f"{tongue.say(asked, **names)} {_rhythm(newsletter, tongue)}",
            tongue.say("confirm.yes"),
        ),
        link=(tongue.say("confirm.link", **names), safe(confirm_url)),
        after=(tongue.say("confirm.no"),),
    )
    return render_notice(newsletter, language, notice)


def welcome(newsletter: Newsletter, language: str, *, first: date, unsubscribe_url: str) -> Letter:
    """To somebody who has just confirmed: what comes, and when. `first` is the local date of their first
    letter."""
    tongue, names = _words(newsletter, language), _names(newsletter)
    notice = Notice(
        subject=_subject(tongue, "welcome", names),
        preheader=tongue.say("welcome.preheader"),
        heading=tongue.say("welcome.heading"),
        before=(
            tongue.say("welcome.thanks", **names),
            f"{tongue.say('welcome.first', day=tongue.weekday(first))} {_rhythm(newsletter, tongue)}",
            tongue.say("welcome.reply"),
        ),
        after=(tongue.say("welcome.leave"),),
        why="footer.why_subscribed",
        unsubscribe_url=safe(unsubscribe_url),
    )
    return render_notice(newsletter, language, notice)


def data_link(newsletter: Newsletter, language: str, url: str) -> Letter:
    """To a reader's own address: the link to what we hold about them."""
    tongue, names = _words(newsletter, language), _names(newsletter)
    notice = Notice(
        subject=tongue.say("data.subject"),
        preheader=tongue.say("data.preheader"),
        heading=tongue.say("data.heading", **names),
        before=(tongue.say("data.asked"),),
        link=(tongue.say("data.link"), safe(url)),
        after=(tongue.say("data.no"),),
        why="footer.why_link",
    )
    return render_notice(newsletter, language, notice)


def address_change(newsletter: Newsletter, language: str, confirm_url: str) -> Letter:
    """To the new address of a reader, who must confirm it there."""
    tongue, names = _words(newsletter, language), _names(newsletter)
    notice = Notice(
        subject=tongue.say("change.subject"),
        preheader=tongue.say("change.preheader"),
        heading=tongue.say("change.heading", **names),
        before=(tongue.say("change.asked", **names), tongue.say("confirm.yes")),
        link=(tongue.say("change.link"), safe(confirm_url)),
        after=(tongue.say("change.no"),),
    )
    return render_notice(newsletter, language, notice)


def draft_ready(
    newsletter: Newsletter,
    *,
    day: date,
    title: str,
    question: str,
    example: str,
    post_language: str = "",
    remarks: tuple[str, ...] = (),
) -> Letter:
    """To the editor: this edition waits for a yes. `remarks` are the findings of the pre-flight."""
    tongue = _words(newsletter, newsletter.language)
    when = {"day": tongue.day(day)}
    notice = Notice(
        subject=tongue.say("draft.subject", **when),
        preheader=tongue.say("draft.preheader"),
        heading=tongue.say("draft.heading", **when),
        before=(tongue.say("draft.from", title=title),),
        question=question,
        example=example,
        quote_language=post_language,
        remarks_title=tongue.say("report.notes"),
        remarks=remarks,
        commands=(
            (tongue.say("draft.approve"), f"weekbrief approve {day}"),
            (tongue.say("draft.look"), "weekbrief preview"),
        ),
        why="footer.why_editor",
    )
    return render_notice(newsletter, newsletter.language, notice)


def draft_held(newsletter: Newsletter, *, day: date, reasons: tuple[str, ...]) -> Letter:
    """To the editor: this edition is on hold. `reasons` are the program's own sentences, in English."""
    tongue = _words(newsletter, newsletter.language)
    when = {"day": tongue.day(day)}
    notice = Notice(
        subject=tongue.say("held.subject", **when),
        preheader=tongue.say("held.preheader"),
        heading=tongue.say("held.heading", **when),
        remarks_title=tongue.say("held.why"),
        remarks=reasons,
        commands=((tongue.say("held.resume"), f"weekbrief resume {day}"),),
        why="footer.why_editor",
    )
    return render_notice(newsletter, newsletter.language, notice)


def run_report(
    newsletter: Newsletter,
    *,
    day: date,
    verdict: Verdict,
    question: str = "",
    counts: Mapping[str, int],
    notes: tuple[str, ...] = (),
) -> Letter:
    """To the operator: what a run did. `counts` are those of the ledger: frozen, accepted, refused, skipped,
    pending, submitted, uncertain, unconfirmed. `notes` are the program's own sentences, in English."""
    tongue = _words(newsletter, newsletter.language)
    when = {"day": tongue.day(day)}
    notice = Notice(
        subject=tongue.say("report.subject", **when),
        preheader=tongue.say("report.preheader"),
        heading=tongue.say(f"report.{verdict}", **when),
        before=(tongue.say("report.question", question=question),) if question else (),
        facts=_facts(tongue, counts),
        remarks_title=tongue.say("report.notes"),
        remarks=notes,
        commands=((tongue.say("report.more"), f"weekbrief audit {day}"),),
        why="footer.why_editor",
    )
    return render_notice(newsletter, newsletter.language, notice)


def _facts(tongue: Words, counts: Mapping[str, int]) -> tuple[str, ...]:
    open_ = counts.get("pending", 0) + counts.get("submitted", 0)
    doubt = counts.get("uncertain", 0) + counts.get("unconfirmed", 0)
    shown = {
        "report.accepted": counts.get("accepted", 0),
        "report.refused": counts.get("refused", 0),
        "report.skipped": counts.get("skipped", 0),
        "report.open": open_,
        "report.doubt": doubt,
    }
    lines = (tongue.say(key, count=number) for key, number in shown.items() if number)
    return (tongue.count("report.frozen", counts.get("frozen", 0)), *lines)


def _words(newsletter: Newsletter, language: str) -> Words:
    return words(language, newsletter.address_form)


def _names(newsletter: Newsletter) -> dict[str, str]:
    return {"newsletter": newsletter.name, "sender": newsletter.sender.name or newsletter.name}


def _rhythm(newsletter: Newsletter, tongue: Words) -> str:
    if newsletter.every not in _EVERY:
        raise RenderError(f"newsletter.every: {newsletter.every!r} is none of {', '.join(map(repr, _EVERY))}")
    return tongue.say(f"confirm.{_EVERY[newsletter.every]}")


def _subject(tongue: Words, kind: str, names: Mapping[str, str]) -> str:
    """With the newsletter's name where that fits a subject."""
    long = tongue.say(f"{kind}.subject", **names)
    return long if length(long) <= SUBJECT_LENGTH else tongue.say(f"{kind}.subject_short")
