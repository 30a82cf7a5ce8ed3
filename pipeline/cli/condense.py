"""`weekbrief condense`: the question and the example of posts, without configuration or database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from pipeline.condense.chooser import Chooser
    from pipeline.post import Condensed, Post, Quote

WRONG_USE = 2


@click.command(
    "condense",
    short_help="Show the question and the example of posts.",
    epilog="Example: weekbrief condense posts/letting-go.md --explain",
)
@click.argument("paths", metavar="FILE_OR_URL…", nargs=-1, required=True)
@click.option(
    "--lang", metavar="xx", help="The posts' language (two letters); else it is read or recognised."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--internal", is_flag=True, help="Web addresses may be on this machine or a private network.")
@click.option("--explain", is_flag=True, help="All candidates, ranked, with their scores and reasons.")
def command(paths: tuple[str, ...], lang: str | None, as_json: bool, internal: bool, explain: bool) -> int:
    """Show the question and the example weekbrief would take from posts.

    Reads files, folders, web addresses, or standard input for `-`; drafts too. Needs no configuration and
    no database.
    """
    from pipeline.condense import condense

    chooser = _chooser()
    problems = 0
    for post in _posts(paths, lang, internal=internal):
        if isinstance(post, str):
            problems += 1
            say(f"weekbrief: {post}")
            continue
        condensed = condense(post, chooser=chooser, candidates=explain)
        if as_json:
            print_json(to_json(condensed, explain=explain))
        else:
            _show(condensed, explain=explain)
    return WRONG_USE if problems else 0


def _chooser() -> Chooser | None:
    from pipeline.condense.chooser import chooser_from_environment

    try:
        return chooser_from_environment()
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error


def _posts(paths: tuple[str, ...], lang: str | None, *, internal: bool) -> Iterator[Post | str]:
    """Each post, or the sentence that says why there is none."""
    from pipeline.reading import Unreadable

    for path in paths:
        try:
            yield from _posts_at(path, lang, internal=internal)
        except Unreadable as error:
            yield str(error)
        except OSError as error:
            yield f"{path}: {error.strerror or error}"


def _posts_at(path: str, lang: str | None, *, internal: bool) -> Iterator[Post | str]:
    from pipeline.reading import read_post
    from pipeline.reading.read import LARGEST
    from pipeline.sources.folder import read_file, read_folder

    if path == "-":
        yield read_post(sys.stdin.buffer.read(LARGEST + 1), name="-", language=lang, drafts=True)
    elif path.startswith(("http://", "https://")):
        from pipeline.sources.page import read_page

        yield read_page(path, language=lang, internal=path if internal else None)
    elif Path(path).is_dir():
        result = read_folder(Path(path), language=lang or "en", forced=lang, drafts=True)
        yield from result.posts
        yield from result.problems
    else:
        yield read_file(Path(path), name=Path(path).name, language=lang, drafts=True)


def to_json(condensed: Condensed, *, explain: bool) -> dict[str, Any]:
    """The object `--json` prints for one post; its shape is part of the contract."""
    post = condensed.post
    return {
        "id": Path(post.key).stem,
        "title": post.title,
        "language": post.language,
        "question": _quote(condensed.question),
        "example": _quote(condensed.example),
        "abstained": {"question": condensed.no_question, "example": condensed.no_example},
        "findings": list(condensed.findings),
        "candidates": [{"kind": c.kind, **_fields(c)} for c in condensed.candidates] if explain else [],
    }


def _quote(quote: Quote | None) -> dict[str, Any] | None:
    if quote is None:
        return None
    return {**_fields(quote), **({"editor_written": True} if quote.editor_written else {})}


def _fields(quote: Quote) -> dict[str, Any]:
    return {
        "text": quote.text,
        "start": quote.start,
        "end": quote.end,
        "section": quote.section,
        "score": quote.score,
        "reasons": list(quote.reasons),
    }


def _show(condensed: Condensed, *, explain: bool) -> None:
    post = condensed.post
    click.secho(f"{post.title}", bold=True, nl=False)
    click.echo(f"  ({post.key}, {post.language})")
    _show_pick("question", condensed.question, condensed.no_question)
    _show_pick("example", condensed.example, condensed.no_example)
    for finding in condensed.findings:
        click.echo(f"  look at   {finding}")
    if explain:
        _show_candidates(condensed)
    click.echo()


def _show_pick(kind: str, quote: Quote | None, why_none: str | None) -> None:
    if quote is None:
        click.echo(f"  {kind:<9} none: {why_none}")
        return
    lines = quote.text.split("\n")
    click.echo(f"  {kind:<9} {lines[0]}")
    for line in lines[1:]:
        click.echo(f"            {line}" if line else "")
    where = f" in “{quote.section}”" if quote.section else ""
    click.secho(f"            score {quote.score:.1f}{where}: {'; '.join(quote.reasons[:4])}", dim=True)


def _show_candidates(condensed: Condensed) -> None:
    for kind in ("question", "example"):
        ranked = [quote for quote in condensed.candidates if quote.kind == kind]
        click.echo(f"  {len(ranked)} candidates for the {kind}, best first:")
        for quote in ranked:
            one_line = " ".join(quote.text.split())
            short = one_line if len(one_line) <= 100 else one_line[:99].rsplit(" ", 1)[0] + " …"
            click.echo(f"    {quote.score:5.1f}  {short}")
            click.secho(f"           {'; '.join(quote.reasons)}", dim=True)
