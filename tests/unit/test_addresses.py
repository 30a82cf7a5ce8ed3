"""When two addresses are one person, and what is no address at all."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.addresses import MAX_NAME, AddressError, clean_name, normalise


def key(text: str) -> str:
    return normalise(text).key


@pytest.mark.fault(86)
@pytest.mark.parametrize(
    "variant",
    [
        "lena@bücher.example",
        "LENA@BÜCHER.EXAMPLE",
        "Lena@Bücher.Example",
        "  lena@bücher.example\r\n",
        "\u00a0lena@bücher.example\u3000",
        "lena@bu\u0308cher.example",
        "lena@xn--bcher-kva.example",
        "lena@XN--BCHER-KVA.example",
        "\ufefflena@bücher.example",
        "le\u200bna@bü\u200bcher.example",
        "le\u00adna@bücher.example\u200e",
        "lena@b\u200cücher.example",
        "lena@ｂücher.example",
        "lena@bücher。example",
    ],
)
def test_case_unicode_form_idna_form_and_invisible_characters_make_no_second_person(variant: str) -> None:
    assert key(variant) == "lena@xn--bcher-kva.example"


@pytest.mark.fault(86)
def test_an_accent_before_the_at_is_one_letter_however_it_was_typed() -> None:
    assert key("Zoe\u0308@voorbeeld.example") == key("zoë@voorbeeld.example") == "zoë@voorbeeld.example"


@pytest.mark.fault(87)
def test_plus_signs_and_dots_are_different_people_and_are_mailed_as_written() -> None:
    written = ["a+1@x.example", "a+2@x.example", "a@x.example", "j.jansen@x.example", "jjansen@x.example"]
    assert [normalise(text).address for text in written] == written
    assert len({key(text) for text in written}) == len(written)


@pytest.mark.fault(88)
def test_sharp_s_and_double_s_are_different_domains() -> None:
    assert key("a@straße.example") == "a@xn--strae-oqa.example"
    assert key("a@STRASSE.example") == "a@strasse.example"
    assert key("straße@x.example") != key("strasse@x.example")


@pytest.mark.fault(89)
def test_a_local_part_beyond_ascii_is_kept_and_can_be_told() -> None:
    jorg = normalise("Jörg@Bücher.example")
    assert jorg.address == "Jörg@xn--bcher-kva.example"
    assert not jorg.ascii_only
    assert normalise("jorg@bücher.example").ascii_only


def test_the_local_part_is_mailed_in_the_case_it_was_written() -> None:
    ann = normalise("Ann.De-Vries@Voorbeeld.Example")
    assert ann.address == "Ann.De-Vries@voorbeeld.example"
    assert ann.key == "ann.de-vries@voorbeeld.example"


def test_a_persian_domain_keeps_the_joiner_that_its_registry_allows() -> None:
    with_joiner, without = "a@نامه\u200cای.example", "a@نامهای.example"
    assert key(with_joiner) != key(without)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("lena", "the @ is missing"),
        ("lena.voorbeeld.example", "the @ is missing"),
        ("@voorbeeld.example", "before or after"),
        ("lena@", "before or after"),
        ("lena@localhost", "needs a dot"),
        ("lena@voorbeeld.", "needs a dot"),
        ("lena@voorbeeld..example", "not a domain name"),
        ("lena@-x.example", "not a domain name"),
        ("lena@a_b.example", "not a domain name"),
        ("lena@☃.example", "not a domain name"),
        ("lena@[127.0.0.1]", "not a number"),
        ("lena@127.0.0.1", "not a number"),
        ("lena de vries@voorbeeld.example", "a space"),
        ("lena@voor beeld.example", "a space"),
        ("Lena <lena@voorbeeld.example>", "without a name"),
        (".lena@voorbeeld.example", "dot at its edge"),
        ("lena.@voorbeeld.example", "dot at its edge"),
        ("le..na@voorbeeld.example", "two dots"),
        ("a@b@voorbeeld.example", "cannot have"),
        ("a,b@voorbeeld.example", "cannot have"),
        ("a:b@voorbeeld.example", "cannot have"),
        ('"a b"@voorbeeld.example', "a space"),
        ('"ab"@voorbeeld.example', "quotes"),
        ("x" * 65 + "@voorbeeld.example", "longer than 64"),
        ("abc@" + ".".join(["x" * 60] * 4) + ".example", "longer than 254"),
        ("a@" + "x" * 64 + ".example", "not a domain name"),
        ("a" * 400 + "@voorbeeld.example", "longer than 254"),
        ("a@" + "x" * 10**6, "longer than 254"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(AddressError, match=said):
        normalise(text)


@pytest.mark.fault(132)
@pytest.mark.standard("H-13")
@pytest.mark.parametrize(
    "text",
    [
        "lena@voorbeeld.example\r\nBcc: all@voorbeeld.example",
        "lena\n@voorbeeld.example",
        "lena@voorbeeld.example\nx",
        "le\0na@voorbeeld.example",
        "lena@voorbeeld.example\0",
        "lena\x7f@voorbeeld.example",
        "lena@voor\x85beeld.example",
        "lena\u2028@voorbeeld.example",
        "lena\ud800@voorbeeld.example",
        "=?utf-8?q?=0a?=@voorbeeld.example",
        "lena=?utf-8?b?Cg==?=@voorbeeld.example",
    ],
)
def test_an_address_with_a_line_break_or_control_character_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        normalise(text)


@pytest.mark.fault(146)
def test_the_reason_never_repeats_the_address() -> None:
    with pytest.raises(AddressError) as error:
        normalise("geheim@[10.0.0.1]")
    assert "geheim" not in str(error.value)
    assert "10.0.0.1" not in str(error.value)


@pytest.mark.fault(90)
@given(st.text(max_size=400))
def test_any_text_is_an_address_or_a_clear_refusal(text: str) -> None:
    try:
        found = normalise(text)
    except AddressError as error:
        assert str(error)
        return
    assert normalise(found.address) == found, "what came out goes in again"
    assert key(found.key) == found.key
    assert found.address.isprintable()
    assert len(found.address.encode()) <= 254


@pytest.mark.fault(90)
@given(st.text(alphabet=st.characters(), max_size=700))
def test_any_name_becomes_one_short_printable_line(name: str) -> None:
    kept = clean_name(name)
    assert len(kept) <= MAX_NAME
    assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"} for c in kept)
    assert kept == kept.strip()
    assert "=?" not in kept
    assert clean_name(kept) == kept
    kept.encode("utf-8")


@pytest.mark.fault(90)
@pytest.mark.standard("H-14")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Lena   de  Vries ", "Lena de Vries"),
        ("مریم", "مریم"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Lena 👩‍👧", "Lena 👩‍👧"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("Le\u200bna\ufeff", "Lena"),
        ("Lena\0Vries", "Lena Vries"),
        ("Lena\r\nBcc: all@voorbeeld.example", "Lena Bcc: all@voorbeeld.example"),
        ("=?UTF-8?Q?=0A?=Bcc:", "= ?UTF-8?Q?=0A?=Bcc:"),
        ("x" * 320, "x" * 60),
        ("x" * 59 + "e\u0301", "x" * 59 + "é"),
        ("x" * 59 + "q\u0301", "x" * 59),
    ],
)
def test_a_name_keeps_its_letters_and_loses_what_could_harm(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept
