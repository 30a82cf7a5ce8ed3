"""Signed links: what they are made of, and what is refused."""

from __future__ import annotations

import ast
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import subscribers.tokens
from subscribers.tokens import MAX_TOKEN, Confirmation, Personal, SecretError, Signer

SECRET = b"sixteen bytes or more of secret"
URL_SAFE = set(string.ascii_letters + string.digits + "-_")
numbers = st.integers(min_value=1, max_value=2**63 - 1)

signer = Signer(SECRET, scope="one")


@given(numbers)
def test_a_link_is_read_back_as_the_person_it_was_made_for(number: int) -> None:
    assert signer.read_unsubscribe(signer.unsubscribe_token(number)) == number


@given(st.integers(1, 2**32), st.integers(1, 2**20))
def test_a_confirmation_link_is_read_back_with_its_request(number: int, request: int) -> None:
    token = signer.confirm_token(number, request)
    assert signer.read_confirm(token) == Confirmation(subscriber_id=number, request=request)


@pytest.mark.standard("U-08")
@given(numbers)
def test_a_token_is_short_and_safe_in_a_url_and_its_last_character_is_never_punctuation(number: int) -> None:
    token = signer.unsubscribe_token(number)
    assert len(token) <= MAX_TOKEN == 40
    assert set(token) <= URL_SAFE
    assert token[-1].isalnum()


@pytest.mark.standard("U-08")
def test_a_token_carries_a_code_of_at_least_128_bits() -> None:
    code = signer.unsubscribe_token(1)[:-1]
    assert len(code) * 6 >= 128
    assert len({signer.unsubscribe_token(n)[:24] for n in range(1, 20_001)}) == 20_000


def test_links_made_years_ago_still_read_the_same() -> None:
    """These stand in letters that people have kept: a change that breaks this test breaks their links."""
    old = Signer(b"an old secret, kept for ever", scope="abc")
    assert old.unsubscribe_token(1) == "Clsdih41Abs-4gRmIFrClskF1"
    assert old.unsubscribe_token(1_000_000) == "XEIauJ1-OIR-KuFpwo2CNZ93f4240"
    assert old.confirm_token(7, 2) == "ODeP4-Cse-IBxBoZo0gA6s4Z7-2"


@given(numbers, st.integers(1, 253_402_300_799))
def test_a_personal_link_is_read_back_with_the_second_it_was_made_in(number: int, seconds: int) -> None:
    made_at = datetime.fromtimestamp(seconds, UTC)
    token = signer.personal_token(number, made_at)
    assert set(token) <= URL_SAFE
    assert signer.read_personal(token) == Personal(subscriber_id=number, made_at=made_at)


@given(numbers)
def test_the_link_of_a_change_is_read_back(number: int) -> None:
    assert signer.read_move(signer.move_token(number)) == number


def test_what_is_kept_of_an_erased_address_needs_the_secret_and_survives_a_new_one() -> None:
    old, new = Signer(SECRET, scope="one"), Signer(b"y" * 32, scope="one", former=[SECRET])
    kept = old.shadow("lena@example.org")
    assert len(kept) == 40
    assert "lena" not in kept
    assert kept not in {new.shadow("lena@example.org"), old.shadow("bo@example.org")}
    assert kept in new.shadows("lena@example.org")
    assert kept not in Signer(SECRET, scope="two").shadows("lena@example.org")


@pytest.mark.fault(129)
def test_links_of_a_day_open_nothing_else_and_nothing_else_opens_them() -> None:
    at = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    tokens = {
        "unsubscribe": signer.unsubscribe_token(5),
        "confirm": signer.confirm_token(5, int(at.timestamp())),
        "personal": signer.personal_token(5, at),
        "move": signer.move_token(5),
    }
    readers = {
        "unsubscribe": signer.read_unsubscribe,
        "confirm": signer.read_confirm,
        "personal": signer.read_personal,
        "move": signer.read_move,
    }
    for kind, token in tokens.items():
        assert [name for name, read in readers.items() if read(token) is not None] == [kind]
    for damaged in ("", "x", tokens["personal"] + "0", tokens["personal"][:-1], "é" * 30, "x" * 99):
        assert signer.read_personal(damaged) is signer.read_move(damaged) is None


@pytest.mark.fault(129)
def test_a_token_serves_one_purpose_and_one_person() -> None:
    assert signer.read_confirm(signer.unsubscribe_token(5)) is None
    assert signer.read_unsubscribe(signer.confirm_token(5, 1)) is None
    mine, yours = signer.unsubscribe_token(5), signer.unsubscribe_token(6)
    assert signer.read_unsubscribe(mine[:24] + yours[24:]) is None
    request_one, request_two = signer.confirm_token(5, 1), signer.confirm_token(5, 2)
    assert signer.read_confirm(request_one[:24] + request_two[24:]) is None


@pytest.mark.fault(129)
def test_another_newsletter_with_the_same_secret_does_not_read_our_links() -> None:
    other = Signer(SECRET, scope="two")
    assert other.read_unsubscribe(signer.unsubscribe_token(5)) is None
    assert other.fingerprint == signer.fingerprint, "the fingerprint is of the secret"


@pytest.mark.fault(128)
@given(st.integers(1, 10**6), st.data())
@settings(max_examples=200)
def test_one_changed_character_is_refused(number: int, data: st.DataObject) -> None:
    token = signer.unsubscribe_token(number)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(URL_SAFE - {token[place]})))
    assert signer.read_unsubscribe(token[:place] + other + token[place + 1 :]) is None


@pytest.mark.fault(128)
@given(st.text(max_size=60))
def test_no_text_that_we_did_not_make_is_a_token(text: str) -> None:
    assert signer.read_unsubscribe(text) is None
    assert signer.read_confirm(text) is None


@pytest.mark.fault(128)
@pytest.mark.parametrize("tail", ["01", "1 ", "1\n", " 1", "+1", "1_0", "A", "١", "1-1", "-1", "", "f" * 17])
def test_a_number_is_read_in_one_spelling_only(tail: str) -> None:
    code = signer.unsubscribe_token(1)[:24]
    assert signer.read_unsubscribe(code + tail) is None
    assert signer.read_confirm(code + tail) is None


def test_a_batch_of_links_is_the_same_as_one_by_one() -> None:
    people = [3, 1, 2, 10**9]
    assert signer.unsubscribe_tokens(people) == [signer.unsubscribe_token(n) for n in people]


@pytest.mark.parametrize("number", [0, -1, 2**63])
def test_a_number_that_no_subscriber_has_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        signer.unsubscribe_token(number)


def test_a_short_secret_is_refused_with_the_way_to_make_one() -> None:
    with pytest.raises(SecretError, match=r"WEEKBRIEF_SECRET has 5 characters.*token_urlsafe") as error:
        Signer(b"short")
    assert "short" not in str(error.value).replace("token_urlsafe", "")


def test_a_changed_secret_shows_in_the_fingerprint_and_the_fingerprint_shows_no_secret() -> None:
    one, two = Signer(b"secret number one of two"), Signer(b"secret number two of two")
    assert one.fingerprint != two.fingerprint
    assert len(one.fingerprint) == 32
    assert one.fingerprint == Signer(b"secret number one of two").fingerprint


def test_links_of_a_former_secret_are_still_read_and_none_are_made() -> None:
    old = Signer(b"the secret of last year")
    new = Signer(b"the secret of this year", former=[b"the secret of last year"])
    assert new.read_unsubscribe(old.unsubscribe_token(9)) == 9
    assert new.read_confirm(old.confirm_token(9, 1)) == Confirmation(subscriber_id=9, request=1)
    assert new.unsubscribe_token(9) != old.unsubscribe_token(9)


@pytest.mark.fault(147)
def test_codes_are_compared_in_constant_time_only() -> None:
    """No `==`, `!=` or `in` touches a token anywhere in the module."""
    tree = ast.parse(Path(subscribers.tokens.__file__).read_text(encoding="utf-8"))
    compared = [
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    ]
    assert compared == []
    calls = [
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")
    ]
    assert "compare_digest" in calls


@pytest.mark.fault(126)
@pytest.mark.fault(129)
def test_the_stamp_of_a_form_says_when_it_was_opened_and_opens_nothing() -> None:
    opened = datetime(2026, 11, 24, 9, 0, 7, tzinfo=UTC)
    signer = Signer(b"x" * 32, scope="one")
    stamp = signer.stamp(opened)
    assert signer.read_stamp(stamp) == opened
    assert signer.read_stamp(signer.stamp(opened + timedelta(microseconds=999_999))) == opened
    assert Signer(b"y" * 32, scope="one", former=[b"x" * 32]).read_stamp(stamp) == opened
    for stranger in (Signer(b"x" * 32, scope="two"), Signer(b"y" * 32, scope="one")):
        assert stranger.read_stamp(stamp) is None
    for read in (signer.read_unsubscribe, signer.read_confirm, signer.read_personal, signer.read_move):
        assert read(stamp) is None
    number = int(stamp[24:], 16)
    for other in (
        signer.unsubscribe_token(number),
        signer.move_token(number),
        stamp[:-1] + "0",
        "",
        "x",
        "é",
    ):
        assert signer.read_stamp(other) is None
    assert signer.read_stamp("A" * 24 + "f" * 16) is None, "a moment beyond every calendar"
