"""The evidence of consent: a chain that shows every change, and a version that follows every word."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emails.pages import RHYTHMS, page_words
from emails.words import languages
from subscribers.consent import FORM, ConsentKind, ConsentRecord, Evidence, altered, chained, verify

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
FORMS = {
    "2026-11-24": "fcd5ddc253e4d5f3be27bc3274eae23c",
}
"""What the pages of each version said, as a hash over every language. A released line never changes."""
SHOWN = ("join", "consent", "confirm", "privacy")


def record(number: int = 0, **more: str) -> ConsentRecord:
    said: dict[str, str] = {
        "wording": f"Ja, ik wil {number}",
        "source": "page",
        "page": "https://b.example/join",
    }
    return ConsentRecord(
        kind=ConsentKind.REQUESTED,
        language="nl",
        occurred_at=NOW + timedelta(hours=number),
        **{**said, **more},
    )


def chain_of(*records: ConsentRecord) -> list[Evidence]:
    links: list[Evidence] = []
    for number, found in enumerate(records, 1):
        previous = links[-1].sha256 if links else ""
        links.append(replace(chained(number, found, previous=previous, salt=f"salt {number}"), number=number))
    return links


def test_a_chain_as_it_was_written_holds() -> None:
    links = chain_of(*(record(n, network="203.0.113.0/24") for n in range(5)))
    verdict = verify(links)
    assert (verdict.records, verdict.older, verdict.broken) == (5, 0, None)
    assert verdict.head == links[-1].sha256


CHANGES = {
    "kind": ConsentKind.CONFIRMED,
    "wording": "Nee",
    "source": "import: x",
    "page": "https://elsewhere.example/",
    "language": "en",
    "occurred_at": NOW - timedelta(days=300),
    "form": "1999",
    "network": "198.51.100.0/24",
}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.standard("G-02")
def test_a_change_of_any_field_is_found(field: str) -> None:
    links = chain_of(*(record(n, form=FORM, network="203.0.113.0/24") for n in range(4)))
    links[1] = replace(links[1], record=replace(links[1].record, **{field: CHANGES[field]}))
    verdict = verify(links)
    assert (verdict.broken, verdict.records) == (2, 1)
    assert "what was written" in verdict.why
    assert altered(links[1])
    assert not altered(links[2])


def test_every_field_of_a_record_takes_part_in_the_hash() -> None:
    assert set(CHANGES) == set(ConsentRecord.__dataclass_fields__)


@pytest.mark.parametrize("move", ["take out", "put in", "swap", "give to another", "new hash", "bare"])
def test_a_record_taken_out_put_in_or_moved_is_found(move: str) -> None:
    links = chain_of(*map(record, range(5)))
    match move:
        case "take out":
            del links[2]
        case "put in":
            links.insert(2, replace(chained(9, record(9), previous=links[1].sha256, salt="x"), number=9))
        case "swap":
            links[1], links[2] = links[2], links[1]
        case "give to another":
            links[2] = replace(links[2], subscriber_id=99)
        case "new hash":
            links[2] = replace(chained(3, record(7), previous=links[1].sha256, salt=""), number=3)
        case "bare":
            links[2] = replace(links[2], previous="", sha256="")
    assert verify(links).broken is not None


def test_records_from_before_the_chain_are_counted_and_nothing_more() -> None:
    old = [Evidence(number=n, subscriber_id=n, record=record(n)) for n in (1, 2)]
    links = [replace(link, number=link.number + 2) for link in chain_of(record(3), record(4))]
    verdict = verify([*old, *links])
    assert (verdict.older, verdict.records, verdict.broken) == (2, 2, None)
    assert verify([*links, *old]).broken == 1
    assert verify([]) == verify(iter(()))


def test_a_network_that_was_removed_leaves_the_chain_whole_and_cannot_be_guessed_from_it() -> None:
    links = chain_of(record(1, network="203.0.113.0/24"), record(2))
    gone = replace(links[0], network_salt="", record=replace(links[0].record, network=""))
    assert verify([gone, links[1]]).broken is None
    again = chained(1, links[0].record, previous="", salt="another")
    assert again.network_sha256 != links[0].network_sha256, "the salt is what keeps it from being tried out"
    assert hashlib.sha256(b"203.0.113.0/24").hexdigest() != links[0].network_sha256


@given(st.text(max_size=40), st.text(max_size=40), st.datetimes(timezones=st.just(UTC)))
def test_any_words_and_any_moment_hash_the_same_each_time(wording: str, source: str, at: datetime) -> None:
    said = replace(record(), wording=wording, source=source, occurred_at=at)
    once, twice = (chained(1, said, previous="", salt="") for _ in range(2))
    assert once == twice
    assert once.sha256 != chained(1, replace(said, wording=wording + "."), previous="", salt="").sha256


def test_a_field_cannot_be_pushed_into_the_next() -> None:
    one = chained(1, record(wording="a", source="bc"), previous="", salt="")
    other = chained(1, record(wording="ab", source="c"), previous="", salt="")
    assert one.sha256 != other.sha256


@pytest.mark.standard("G-02")
def test_the_version_of_the_form_follows_its_words() -> None:
    """Changed what the sign-up, confirmation or privacy page says? Then date `FORM` anew and add a line."""
    assert FORMS[FORM] == shown_words()


def shown_words() -> str:
    digest = hashlib.sha256()
    for language in languages():
        catalogue = page_words(language).catalogue
        keys = sorted(key for key in catalogue._catalog if isinstance(key, str) and _is_shown(key))  # type: ignore[attr-defined]
        assert len(keys) > len(RHYTHMS)
        for form, key in product(("je", "u"), keys):
            words = page_words(language, form).catalogue.gettext(key)
            digest.update(f"{language}\0{form}\0{key}\0{words}\0".encode())
    return digest.hexdigest()[:32]


def _is_shown(key: str) -> bool:
    return key.startswith(tuple(f"page.{part}." for part in SHOWN))
