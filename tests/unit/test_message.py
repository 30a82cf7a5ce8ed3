"""The MIME message: headers (H) and body (M) of the e-mail standards, read back by a decoder of our own."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
import re
import smtplib
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emails.delivery import Recipient
from emails.edition import Letter, Mailbox
from emails.message import (
    HeaderError,
    ascii_address,
    build_message,
    feedback_id,
    header_problem,
    list_headers,
    mailbox_header,
    mailbox_problem,
    name_problem,
    subject_header,
    subject_problem,
    transfer_encoded,
    unsubscribe_headers,
)
from emails.notices import confirm as render_confirm
from tests import mime
from tests.letters import CONFIRM, NEWSLETTER, UNSUBSCRIBE, letter, mailing

NOW = datetime(2026, 11, 29, 8, 0, 30, tzinfo=timezone(timedelta(hours=1)))
ANNA = Recipient(
    delivery_id="d-1",
    address="anna@lezer.example",
    name="Anna",
    unsubscribe_url=UNSUBSCRIBE,
    message_id="<2026-11-29.k3v9@stillewateren.example>",
)
BRAM = replace(
    ANNA,
    delivery_id="d-2",
    address="bram@lezer.example",
    name="",
    unsubscribe_url=UNSUBSCRIBE + "x",
    message_id="<2026-11-29.p7c1@stillewateren.example>",
)
AWKWARD = {
    "long": "Wat laat jij deze week liggen, en wie zou dat als eerste bij je opmerken?"[:70],
    "mixed": "Wat is rust · 静けさとは何か · что такое покой · ما هو الهدوء؟",
    "emoji": "Wat als je 👩🏽‍🌾 bent, en niet 🧑‍🚀? 💡💡💡",
    "rtl": "שאלה אחת לשבוע: מה את יכולה להניח?",
    "quotes": "“Zo, zei ze: 'klaar'” — maar \"waarmee\", eigenlijk; en nu?",
    "ascii": 'Why, he said, not: "leave it"?',
    "looks encoded": "Wat is een =sign? en een _onderstreping_?",
    "spaces": "twee  spaties   en\u00a0een harde",
    "one long word": "ë" * 70,
}
LINES = (
    "gewoon = gelijk\nmet spatie aan het eind \n=20\n.\n.. begint met een punt\n"
    "tab\tin\tde regel\t\nhard\u00a0wit\n👍🏽 met huid\nc\u0327e\u0301 losse tekens\n"
    "هل يمكنك أن تترك شيئاً؟\nFrom hier begint een regel\n" + "a" * 300 + "\n" + "From " * 40 + "\n"
)


def message(recipient: Recipient = ANNA, **changes: Any) -> bytes:
    return build_message(replace(mailing(letter()), **changes), recipient, date=NOW)


def notice() -> bytes:
    confirm = render_confirm(NEWSLETTER, "nl", CONFIRM)
    return build_message(replace(mailing(confirm), notice=True), replace(ANNA, name=""), date=NOW)


def names(raw: bytes) -> list[str]:
    return [name for name, _ in mime.raw_headers(raw)]


# Headers


@pytest.mark.standard("H-01")
@pytest.mark.parametrize("raw", [message(), notice()], ids=["weekly", "confirm"])
def test_every_header_once(raw: bytes) -> None:
    found = [name.lower() for name in names(raw)]
    required = {"from", "to", "subject", "date", "message-id", "mime-version", "content-type"}
    assert len(found) == len(set(found))
    assert required <= set(found)


@pytest.mark.standard("H-02")
def test_from_is_one_mailbox_with_the_sender_s_name_only() -> None:
    assert mime.mailbox(mime.header(message(), "From")) == ("Marijke van Dam", "brief@stillewateren.example")
    assert name_problem("Stille wateren 💧") is not None
    assert name_problem("Re: Stille wateren") is not None
    assert name_problem("Stille wateren") is None


@pytest.mark.standard("H-03")
@pytest.mark.parametrize(
    "local",
    ["noreply", "no-reply", "No_Reply", "donotreply", "do-not-reply", "geen-antwoord", "geenantwoord"],
)
def test_an_address_that_takes_no_answers_is_refused(local: str) -> None:
    sender = Mailbox(address=f"{local}@stillewateren.example")
    problem = mailbox_problem(sender)
    assert problem is not None
    assert "reply_to" in problem
    assert mailbox_problem(sender, reply_to=Mailbox(address="marijke@stillewateren.example")) is None
    assert mailbox_problem(Mailbox(address="brief@no-reply.example")) is None


@pytest.mark.standard("H-03")
def test_reply_to_is_said() -> None:
    assert mime.mailbox(mime.header(message(), "Reply-To")) == ("", "marijke@stillewateren.example")


@pytest.mark.standard("H-04")
def test_to_is_exactly_the_recipient() -> None:
    assert mime.mailbox(mime.header(message(), "To")) == ("Anna", "anna@lezer.example")
    assert mime.mailbox(mime.header(message(BRAM), "To")) == ("", "bram@lezer.example")
    assert not {"Cc", "Bcc"} & set(names(message()))


@pytest.mark.standard("H-05")
def test_date_is_when_it_is_sent_with_a_numeric_zone() -> None:
    assert mime.header(message(), "Date") == b"Sun, 29 Nov 2026 08:00:30 +0100"
    utc = build_message(mailing(letter()), ANNA, date=datetime(2026, 11, 29, 7, 0, tzinfo=UTC))
    assert mime.header(utc, "Date") == b"Sun, 29 Nov 2026 07:00:00 +0000"
    with pytest.raises(HeaderError, match="time zone"):
        build_message(mailing(letter()), ANNA, date=datetime(2026, 11, 29, 7, 0))  # noqa: DTZ001


def test_a_provider_that_dates_the_message_itself_gets_none() -> None:
    assert "Date" not in names(build_message(mailing(letter()), ANNA, date=None))


@pytest.mark.standard("H-06")
def test_message_id_is_the_recipient_s_own_and_stays() -> None:
    assert mime.header(message(), "Message-ID") == ANNA.message_id.encode()
    assert mime.header(message(), "Message-ID") == mime.header(message(), "Message-ID")
    assert mime.header(message(), "Message-ID") != mime.header(message(BRAM), "Message-ID")


@pytest.mark.standard("H-06")
@pytest.mark.parametrize(
    "bad", ["<a@localhost>", "<a@elders.example>", "a@stillewateren.example", "<a b@stillewateren.example>"]
)
def test_a_message_id_of_another_domain_is_refused(bad: str) -> None:
    with pytest.raises(HeaderError, match="Message-ID"):
        message(replace(ANNA, message_id=bad))


@pytest.mark.standard("H-07")
def test_list_id() -> None:
    value = mime.header(message(), "List-ID")
    assert value == b"Stille wateren <brief.stillewateren.example>"
    accented = mime.header(message(list_id="Stille vróuw, en zo <brief.stillewateren.example>"), "List-ID")
    assert accented.isascii()
    assert len(accented) <= 255
    assert b"\r\n" not in accented
    assert accented.endswith(b" <brief.stillewateren.example>")
    assert mime.decode(accented).startswith("Stille vróuw, en zo")
    with pytest.raises(HeaderError, match="List-ID"):
        message(list_id="Stille wateren")
    with pytest.raises(HeaderError, match="255"):
        message(list_id="é" * 100 + " <brief.stillewateren.example>")


def longest_url() -> str:
    room = 998 - len("List-Unsubscribe: <>")
    base = "https://" + ".".join(["a" * 63] * 3) + ".example/u/"
    return base + "t" * (room - len(base))


@pytest.mark.standard("H-08")
@pytest.mark.parametrize("url", [UNSUBSCRIBE, longest_url()], ids=["usual", "longest"])
def test_list_unsubscribe_is_one_https_address_verbatim(url: str) -> None:
    value = mime.header(message(replace(ANNA, unsubscribe_url=url)), "List-Unsubscribe")
    assert value == f"<{url}>".encode()
    assert b"=?" not in value


@pytest.mark.standard("H-08")
def test_an_address_that_breaks_one_click_is_refused() -> None:
    with pytest.raises(HeaderError, match=r"newsletter\.url"):
        unsubscribe_headers("http://brief.stillewateren.example/u/x")
    with pytest.raises(HeaderError, match="do not fit"):
        unsubscribe_headers(longest_url() + "t")
    with pytest.raises(ValueError, match="plain ASCII"):
        unsubscribe_headers("https://brief.stillewateren.example/u/é")
    with pytest.raises(ValueError, match="plain ASCII"):
        unsubscribe_headers("https://brief.example/u/a>, <https://elders.example/")
    assert (
        unsubscribe_headers("http://127.0.0.1:8025/u/x")["List-Unsubscribe"] == "<http://127.0.0.1:8025/u/x>"
    )


@pytest.mark.standard("H-09")
def test_one_click() -> None:
    assert mime.header(message(), "List-Unsubscribe-Post") == b"List-Unsubscribe=One-Click"


def test_providers_are_told_the_same_headers() -> None:
    told = list_headers(mailing(letter()), ANNA)
    raw = message()
    assert told == {name: mime.header(raw, name).decode() for name in told}
    assert {"List-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Content-Language"} == set(
        told
    )


@pytest.mark.standard("H-11")
@pytest.mark.parametrize("subject", AWKWARD.values(), ids=AWKWARD)
def test_awkward_subjects_come_back(subject: str) -> None:
    raw = message(letter=replace(letter(), subject=subject))
    assert mime.decode(mime.header(raw, "Subject")) == subject


ANY_TEXT = st.text(
    st.sampled_from("abcdefgh XYZ ,:;.\"'()=?_<>@\\-éüñçß") | st.characters(codec="utf-8"), max_size=90
).map(lambda text: text.strip())


@pytest.mark.standard("H-11")
@pytest.mark.standard("H-12")
@settings(max_examples=2000, deadline=None)
@given(ANY_TEXT.filter(lambda text: text and header_problem(text) is None))
def test_any_subject_comes_back(subject: str) -> None:
    value = b"Subject: " + subject_header(subject).encode("ascii")
    assert mime.decode(value.removeprefix(b"Subject: ")) == subject
    assert_folded(value)


@pytest.mark.standard("H-14")
@pytest.mark.standard("H-12")
@settings(max_examples=2000, deadline=None)
@given(ANY_TEXT.map(lambda text: text[:60].strip()).filter(lambda text: header_problem(text) is None))
def test_any_name_comes_back_with_its_address(name: str) -> None:
    value = b"Reply-To: " + mailbox_header(
        "Reply-To", Mailbox(name=name, address="iemand@lezer.example")
    ).encode("ascii")
    assert mime.mailbox(value.removeprefix(b"Reply-To: ")) == (name, "iemand@lezer.example")
    assert_folded(value)


def assert_folded(value: bytes) -> None:
    assert all(len(word) <= 75 for word in mime.encoded_words(value))
    assert all(len(line) <= 78 for line in value.split(b"\r\n"))
    for word in mime.encoded_words(value):
        assert mime.decode(word), "each encoded word is whole characters by itself"


@pytest.mark.standard("H-12")
def test_header_lines_are_short_ascii() -> None:
    raw = message(letter=replace(letter(), subject=AWKWARD["mixed"]))
    head = raw.split(b"\r\n\r\n", 1)[0]
    verbatim = (b"List-", b"Message-ID", b"Feedback-ID")
    assert head.isascii()
    assert all(len(line) <= 78 for line in head.split(b"\r\n") if not line.startswith(verbatim))
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))


@pytest.mark.standard("H-13")
@pytest.mark.parametrize("bad", ["a\rb", "a\nBcc: c@d.example", "a\x00b", "a\u2028b", "=?utf-8?q?x?="])
def test_what_would_break_a_header_is_refused(bad: str) -> None:
    assert header_problem(bad) is not None
    assert subject_problem(bad) is not None
    assert name_problem(bad) is not None
    with pytest.raises(HeaderError):
        message(letter=replace(letter(), subject=bad))
    with pytest.raises(HeaderError):
        mailbox_header("From", Mailbox(address="brief@stillepost.example", name=bad))
    assert message(replace(ANNA, name=bad)) == message(replace(ANNA, name="")), "the reader's own is left out"
    with pytest.raises(HeaderError):
        message(replace(ANNA, address=f"{bad}@lezer.example"))


def test_good_words_are_no_problem() -> None:
    assert header_problem("Wat laat jij liggen? “Eén” 💡") is None


@pytest.mark.standard("H-14")
def test_long_names_are_refused() -> None:
    assert name_problem("a" * 61) is not None
    assert name_problem("é" * 60) is None


@pytest.mark.standard("H-15")
@pytest.mark.parametrize(
    "bad", ["Re: hallo", "FWD: hallo", "Antw: hallo", "WAT LAAT JIJ LIGGEN", "a" * 71, "", " spatie"]
)
def test_subjects_that_deceive_or_shout_are_refused(bad: str) -> None:
    assert subject_problem(bad) is not None


@pytest.mark.standard("H-15")
@pytest.mark.parametrize("good", ["Wat laat jij liggen?", "e\u0301" * 70, "OK?", "静けさとは何か"])
def test_other_subjects_are_fine(good: str) -> None:
    assert subject_problem(good) is None


@pytest.mark.standard("H-16")
def test_a_confirm_letter_says_that_a_program_wrote_it() -> None:
    assert mime.header(notice(), "Auto-Submitted") == b"auto-generated"
    assert not [name for name in names(notice()) if name.startswith("List-")]
    assert "Auto-Submitted" not in names(message())


@pytest.mark.standard("H-17")
def test_content_language_stands_at_the_top() -> None:
    assert mime.header(message(), "Content-Language") == b"nl"
    assert mime.header(notice(), "Content-Language") == b"nl"
    assert all("Content-Language" not in head for head, _ in mime.parts(message()))


@pytest.mark.standard("H-18")
def test_feedback_id_tells_nobody_apart() -> None:
    assert mime.header(message(), "Feedback-ID") == mime.header(message(BRAM), "Feedback-ID")
    made = feedback_id(edition="2026-11-29", language="nl", label="Stille: wateren", sender="weekbrief")
    assert made == "2026-11-29:nl:Stille-wateren:weekbrief"


@pytest.mark.standard("H-19")
def test_nothing_about_program_or_machine() -> None:
    raw = message().lower()
    unwanted = {
        "x-mailer",
        "x-priority",
        "precedence",
        "disposition-notification-to",
        "return-receipt-to",
        "user-agent",
    }
    assert not unwanted & {name.lower() for name in names(message())}
    assert socket.gethostname().lower().encode() not in raw


@pytest.mark.standard("H-06")
def test_an_international_sender_domain() -> None:
    assert ascii_address("anna@bücher.example") == "anna@xn--bcher-kva.example"
    for bad in (
        "anna",
        "ännä@lezer.example",
        "a b@lezer.example",
        "anna@",
        "anna@lezer.example>, <b@c.example",
    ):
        with pytest.raises(HeaderError):
            ascii_address(bad)


# Body


@pytest.mark.standard("M-01")
@pytest.mark.standard("T-07")
@pytest.mark.parametrize("raw", [message(), notice()], ids=["weekly", "confirm"])
def test_text_then_html_and_nothing_else(raw: bytes) -> None:
    assert mime.header(raw, "Content-Type").startswith(b"multipart/alternative;")
    types = [head["Content-Type"] for head, _ in mime.parts(raw)]
    assert types == ["text/plain; charset=utf-8", "text/html; charset=utf-8"], (
        "fixed lines, not flowed by name"
    )


@pytest.mark.standard("M-02")
@pytest.mark.standard("M-03")
@pytest.mark.parametrize(
    "body", [letter().html, LINES, "静けさとは何か。" * 80, "é"], ids=["letter", "lines", "kanji", "short"]
)
def test_seven_bit_crlf_and_short_lines(body: str) -> None:
    raw = message(letter=Letter(subject="x", html=body, text=body, language="nl"))
    assert raw.isascii()
    assert b"\x00" not in raw
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)
    for head, content in mime.parts(raw):
        assert head["Content-Transfer-Encoding"] in {"quoted-printable", "base64"}
        assert max(map(len, content.split(b"\r\n"))) <= 76


@pytest.mark.standard("M-04")
def test_the_smaller_encoding() -> None:
    assert transfer_encoded(letter().html)[0] == "quoted-printable"
    assert transfer_encoded("هل يمكنك أن تترك شيئاً؟ " * 40)[0] == "base64"


@pytest.mark.standard("M-05")
@settings(max_examples=2000, deadline=None)
@given(
    st.text(
        st.sampled_from("=\n .\tFrom abc=20é\u00a0👍🏽\u0301ل\r") | st.characters(codec="utf-8"), max_size=400
    )
)
def test_any_body_decodes_to_what_was_rendered(body: str) -> None:
    assert_decodes(body)


@pytest.mark.standard("M-05")
@pytest.mark.parametrize(
    "body", [LINES, LINES.rstrip("\n"), " ", "", "=", "eind \n", "静けさとは何か。\n" * 40]
)
def test_awkward_bodies_decode(body: str) -> None:
    assert_decodes(body)


def assert_decodes(body: str) -> None:
    encoding, encoded = transfer_encoded(body)
    back = (quopri.decodestring if encoding == "quoted-printable" else base64.b64decode)(
        encoded.encode("ascii")
    )
    assert back.decode().replace("\r\n", "\n") == body.replace("\r\n", "\n").replace("\r", "\n")
    assert all(len(line) <= 76 for line in encoded.split("\r\n"))
    assert encoded.isascii()


@pytest.mark.standard("M-05")
def test_parts_hold_what_was_rendered_with_the_recipient_s_link() -> None:
    rendered = letter()
    parsed = email.message_from_bytes(message(), policy=email.policy.default)
    text, html = parsed.iter_parts()
    for part, body in ((text, rendered.text), (html, rendered.html)):
        filled = body.replace("WBMERGE-unsubscribe-url-WBEND", UNSUBSCRIBE)
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == filled.rstrip("\n")


@pytest.mark.standard("M-06")
@pytest.mark.parametrize("raw", [message(), message(BRAM), notice()], ids=["weekly", "no name", "confirm"])
def test_no_defects(raw: bytes) -> None:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert not parsed.defects
    assert not [defect for value in parsed.values() for defect in getattr(value, "defects", ())]
    assert not [defect for part in parsed.iter_parts() for defect in part.defects]


@pytest.mark.standard("M-07")
def test_a_mail_server_gets_the_very_bytes() -> None:
    body = "From de eerste regel\n.\n..\nFrom nog een\n"
    raw = message(letter=Letter(subject="x", html=body, text=body, language="nl"))
    with MailServer() as server, smtplib.SMTP("127.0.0.1", server.port, timeout=5) as client:
        client.sendmail("bounce@stillewateren.example", ["anna@lezer.example"], raw)
    assert server.received == raw


@pytest.mark.standard("M-08")
def test_the_same_values_give_the_same_bytes() -> None:
    assert message() == message()
    assert names(message()) == names(message(BRAM))
    assert mime.header(message(), "Content-Type") == mime.header(message(BRAM), "Content-Type")


@pytest.mark.standard("V-03")
def test_two_recipients_differ_in_nothing_but_themselves() -> None:
    same = replace(BRAM, name="Bram")
    differing = [
        name
        for (name, mine), (_, theirs) in zip(
            mime.raw_headers(message()), mime.raw_headers(message(same)), strict=True
        )
        if mine != theirs
    ]
    assert differing == ["To", "Message-ID", "List-Unsubscribe"]
    texts = []
    for recipient in (ANNA, same):
        parsed = email.message_from_bytes(message(recipient), policy=email.policy.default)
        texts.append(
            [part.get_content().replace(recipient.unsubscribe_url, "U") for part in parsed.iter_parts()]
        )
    assert texts[0] == texts[1]
    assert all("U" in text for text in texts[0])


@pytest.mark.standard("Z-01")
def test_the_message_is_small() -> None:
    assert len(message()) < 50 * 1024


class MailServer:
    """One SMTP transaction on loopback, keeping what came after DATA (RFC 5321)."""

    def __init__(self) -> None:
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=5)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            self._say(stream, b"220 hallo")
            for line in stream:
                if line.upper().startswith(b"DATA"):
                    self._say(stream, b"354 ga door")
                    self.received = self._data(stream)
                    self._say(stream, b"250 aangenomen")
                elif line.upper().startswith(b"QUIT"):
                    self._say(stream, b"221 dag")
                    return
                else:
                    self._say(stream, b"250 goed")

    @staticmethod
    def _data(stream: Any) -> bytes:
        lines = []
        for line in stream:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    @staticmethod
    def _say(stream: Any, line: bytes) -> None:
        stream.write(line + b"\r\n")
        stream.flush()
