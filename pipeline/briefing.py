"""From the waiting posts to the week's brief, with the editor's word above the machine's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.complaints import Complaint, SettingsError, did_you_mean, one_of, shown
from pipeline.condense import condense
from pipeline.condense.chooser import Chooser
from pipeline.due import Slot
from pipeline.post import Brief, Post
from pipeline.sameness import NOTHING_COVERED, Covered, canonical_link
from pipeline.settings import NoPick
from pipeline.yaml_lines import read_document

FOLDER = "editions"
"""Beside schedule.yaml: a file for each week to steer, `2026-11-29.yaml` or `2026-W48.yaml`."""

_KEYS = ("post", "question", "example")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an editor wants for one week; nothing by default."""

    post: str | None = None
    """Key of the post to use, whatever the order says."""
    question: str | None = None
    example: str | None = None
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefed:
    """The week's brief, or None with `notes` that say why each post was passed over. `findings` are for the
    editor: what to look at before it goes."""

    brief: Brief | None
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def read_choice(folder: Path, slot: Slot) -> Choice:
    """The editor's file for this slot, by its date or week. Raises `SettingsError` with file and line."""
    for name in (slot.day.isoformat(), slot.week):
        file = folder / FOLDER / f"{name}.yaml"
        if file.is_file():
            return _choice(file)
    return Choice()


def in_order(waiting: Sequence[Post], posts: Sequence[Post], choice: Choice) -> list[Post]:
    """The waiting posts, an editor's own first, covered before or not. Raises `SettingsError` for one that is
    not among `posts`."""
    if choice.post is None:
        return list(waiting)
    link = canonical_link(choice.post)
    exact = [post for post in posts if choice.post in (post.key, post.url)]
    alike = [post for post in posts if link and post.own_link and canonical_link(post.url) == link]
    wanted = (exact or alike)[:1]
    if not wanted:
        near = did_you_mean(choice.post, [post.key for post in posts])
        text = f"{shown(choice.post)} is not among the posts{near}"
        raise SettingsError([Complaint(file=choice.file, field="post", text=text)])
    return [*wanted, *(post for post in waiting if post.key != wanted[0].key)]


def first_brief(
    posts: Sequence[Post],
    *,
    choice: Choice = Choice(),
    sent: Sequence[str] = (),
    chooser: Chooser | None = None,
    no_pick: NoPick = NoPick.NEXT,
    whole: Callable[[Post], Post | str] = lambda post: post,
    gone: Callable[[Post], str] = lambda _post: "",
    covered: Covered = NOTHING_COVERED,
) -> Briefed:
    """The first of the posts that has a question and an example.

    `whole` gives a post with all of its text, or says why it cannot be had; it is asked about no more posts
    than needed. One that turns out to be `covered` then, or looks like it, is passed over. `gone` says why a
    post that would go was taken back; it is asked last.

    The editor's own words are for the first post alone, and a post they chose that cannot be had this time
    keeps the others waiting. With `NoPick.HOLD` only those that were sent before are passed over: a week
    whose post gives none waits for the editor.
    """
    notes: list[str] = []
    for post in posts:
        mine = choice if post is posts[0] else Choice()
        found = whole(post)
        if isinstance(found, str):
            if mine.post:
                return _waits_for(post, found)
            notes.append(f"“{post.title}” ({post.key}) was passed over: {found}")
            if no_pick is NoPick.HOLD:
                break
            continue
        if found is not post and covered.has(found) and not mine.post:
            notes.append(f"“{post.title}” ({post.key}) was passed over: its text was sent before")
            continue
        if covered.resembles(found) and not mine.post:
            notes.append(
                f"“{post.title}” ({post.key}) was passed over: it looks like the post of this title that was "
                "sent before; if it is another, choose it with `post:`"
            )
            continue
        condensed = condense(found, question=mine.question, example=mine.example, sent=sent, chooser=chooser)
        brief = condensed.brief()
        missing = gone(found) if brief is not None else ""
        if missing and mine.post:
            return _waits_for(post, missing)
        if missing:
            notes.append(f"“{post.title}” ({post.key}) was passed over: {missing}")
            if no_pick is NoPick.HOLD:
                break
            continue
        if brief is not None:
            findings = tuple(str(finding) for finding in condensed.findings)
            return Briefed(brief=brief, notes=tuple(notes), findings=findings)
        reasons = filter(None, (condensed.no_question, condensed.no_example))
        notes.append(f"“{post.title}” ({post.key}) was passed over: {'; '.join(reasons)}")
        if no_pick is NoPick.HOLD:
            break
    return Briefed(brief=None, notes=tuple(notes))


def _waits_for(post: Post, why: str) -> Briefed:
    note = (
        f"the week waits for “{post.title}” ({post.key}), which you chose and which cannot be had now: {why}"
    )
    return Briefed(brief=None, notes=(note,))


def _choice(file: Path) -> Choice:
    document = read_document(file.read_bytes(), str(file))
    complaints = [*document.complaints]
    values: Any = document.value
    if not isinstance(values, dict):
        raise SettingsError([Complaint(file=str(file), text=f"write {one_of(_KEYS)}: and what you want")])
    for key, value in values.items():
        line = document.line((key,))
        if key not in _KEYS:
            text = f"is not a key here: use {one_of(_KEYS)}{did_you_mean(str(key), _KEYS)}"
            complaints.append(Complaint(file=str(file), line=line, field=str(key), text=text))
        elif not isinstance(value, str) or not value.strip():
            text = "must be text; put quotes round it"
            complaints.append(Complaint(file=str(file), line=line, field=key, text=text))
    if complaints:
        raise SettingsError(complaints)
    return Choice(**values, file=str(file))
