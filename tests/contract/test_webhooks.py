"""Every provider's reports: proven in its own way, read into our words; nothing that was changed passes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emails.events import Call, EventKind, Forged, Malformed, reporter, reporter_names, ses
from emails.events.public_keys import BadKey, ec_key_of, rsa_key_of
from pipeline.secrets import SECRET_NAMES, webhook_needs
from tests import webhooks
from tests.webhooks import HAS_OPENSSL, KINDS, About, Provider, Sent, providers

NOW = About().at
CASES = [(name, kind) for name in providers() for kind in KINDS if kind in providers()[name].words]
needs_openssl = pytest.mark.skipif(not HAS_OPENSSL, reason="no openssl to make keys and signatures with")


@pytest.fixture(autouse=True)
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Amazon's certificate, without Amazon."""
    monkeypatch.setattr(ses, "certificates", ses.Certificates(webhooks.certificate))
    yield


def call(sent: Sent) -> Call:
    headers = {name.lower(): value for name, value in sent.headers.items()}
    return Call(body=sent.body, headers=headers, path_secret=sent.path.lstrip("/"))


def passes(provider: Provider, sent: Sent, *, now: datetime = NOW) -> bool:
    """Does the check let it through? A body that is no JSON is refused as well."""
    of = reporter(provider.name)
    assert of is not None
    try:
        of.verify(call(sent), provider.secrets, now)
    except (Forged, Malformed):
        return False
    return True


def read(provider: Provider, sent: Sent) -> list[Any]:
    of = reporter(provider.name)
    assert of is not None
    return of.read(call(sent))


def test_every_provider_is_played_here_and_its_secrets_have_names() -> None:
    if HAS_OPENSSL:
        assert set(providers()) == set(reporter_names())
    for name in reporter_names():
        of = reporter(name)
        assert of is not None
        assert tuple(of.NEEDS) == webhook_needs(name)
        assert set(of.NEEDS) <= set(SECRET_NAMES)
        assert of.QUICK is (name not in ("ses", "sendgrid")), "those two have public keys"
        if name in providers():
            assert set(providers()[name].secrets) == set(of.NEEDS)
            assert of.SIGNED is providers()[name].signs_body
    assert reporter("outbox") is None
    assert reporter("event") is None


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_report_is_proven_and_read_into_our_words(name: str, kind: str) -> None:
    provider, about = providers()[name], About()
    sent = provider.call(kind, about)
    assert passes(provider, sent)
    (event,) = read(provider, sent)
    assert event.kind is EventKind(kind)
    assert event.provider == name
    assert event.because is None
    assert (event.edition, event.delivery_id) == (about.edition, about.delivery)
    assert event.installation == about.installation
    assert event.provider_id
    assert about.address not in repr(event)
    assert "@" not in event.detail
    if not (name == "ses" and kind in ("accepted", "rejected", "unsubscribed", "deferred")):
        assert event.occurred_at is not None
        assert abs(event.occurred_at - about.at) < timedelta(seconds=1)


@pytest.mark.parametrize("name", list(providers()))
def test_the_same_report_has_the_same_key_and_another_report_another(name: str) -> None:
    provider = providers()[name]
    kinds = [kind for kind in ("delivered", "hard_bounce", "complaint") if kind in provider.words]
    keys = [
        read(provider, provider.call(kind, About(id=f"report-{kind}"), now=NOW + timedelta(hours=late)))[
            0
        ].key
        for kind in kinds
        for late in (0, 5)
    ]
    assert keys[::2] == keys[1::2]
    assert len(set(keys)) == len(kinds)
    assert all(len(key) <= 200 for key in keys)


def flips(text: bytes, number: int) -> Iterator[bytes]:
    """`text` with one bit changed, at so many places from its first to its last byte."""
    for place in {round(at * (len(text) - 1) / max(1, number - 1)) for at in range(number)}:
        yield text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]


@pytest.mark.fault(133)
@pytest.mark.parametrize("name", [each for each in providers() if providers()[each].signs_body])
def test_one_changed_bit_of_the_body_is_noticed(name: str) -> None:
    provider = providers()[name]
    sent = provider.call("hard_bounce", About())
    number = 60 if name != "sendgrid" else 25
    for body in flips(sent.body, number):
        assert not passes(provider, Sent(body=body, headers=sent.headers, path=sent.path)) or (
            name == "ses" and says_the_same(body, sent.body)
        )


def says_the_same(body: bytes, original: bytes) -> bool:
    """SNS signs the values of some fields, not the bytes: `UnsubscribeURL` is not among them, nor are the
    bytes between."""
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    one, other = json.loads(body), json.loads(original)
    return all(one.get(name) == other.get(name) for name in names)


@pytest.mark.fault(133)
@pytest.mark.parametrize("name", list(providers()))
def test_one_changed_character_of_what_proves_it_is_noticed(name: str) -> None:
    provider = providers()[name]
    sent = provider.call("complaint", About())
    changed = 0
    for header, value in sent.headers.items():
        if header.lower() == "content-type":
            continue
        for flipped in flips(value.encode(), 40):
            other = {**sent.headers, header: flipped.decode("latin-1")}
            assert not passes(provider, Sent(body=sent.body, headers=other, path=sent.path)) or (
                header == "svix-signature" and flipped.endswith(value.encode()[-48:])
            ), "one of several signatures is enough"
            changed += 1
    for flipped in flips(sent.path[1:].encode(), 30) if sent.path else ():
        assert not passes(provider, Sent(body=sent.body, headers=sent.headers, path=flipped.decode()))
        changed += 1
    assert changed or name == "ses"


@pytest.mark.fault(133)
@pytest.mark.parametrize("name", list(providers()))
def test_without_proof_or_with_another_secret_nothing_passes(name: str) -> None:
    provider, of = providers()[name], reporter(name)
    assert of is not None
    sent = provider.call("complaint", About())
    bare = json.loads(sent.body)
    if isinstance(bare, dict):
        bare = {key: value for key, value in bare.items() if not key.lower().startswith("sign")}
    assert not passes(provider, Sent(body=webhooks.raw(bare)))
    others = {
        key: webhooks.WHSEC[:-4] + "AAAA" if value.startswith("whsec") else value[:-1] + "x"
        for key, value in provider.secrets.items()
    }
    with pytest.raises(Forged):
        of.verify(call(sent), others, NOW)


@pytest.mark.fault(134)
@pytest.mark.fault(135)
@pytest.mark.parametrize("name", ["resend", "lettermint", "mailgun", "sendgrid", "ses"])
def test_a_signed_time_is_believed_as_long_as_providers_try_again_and_no_longer(name: str) -> None:
    if name not in providers():
        pytest.skip("no openssl to make keys and signatures with")
    provider = providers()[name]
    sent = provider.call("delivered", About(), now=NOW)
    assert passes(provider, sent, now=NOW + timedelta(hours=25)), "the longest retry plan, and some more"
    assert not passes(provider, sent, now=NOW + timedelta(days=2, minutes=1))
    assert passes(provider, sent, now=NOW - timedelta(minutes=4)), "a provider's clock may be ahead"
    assert not passes(provider, sent, now=NOW - timedelta(minutes=6))


@pytest.mark.parametrize("name", ["postmark", "brevo", "mailjet", "sparkpost"])
@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_who_signs_nothing_may_also_bring_the_secret_as_password_or_token(name: str, scheme: str) -> None:
    provider = providers()[name]
    body = provider.call("delivered", About()).body
    given = (
        webhooks.SECRET if scheme == "Bearer" else base64.b64encode(f"x:{webhooks.SECRET}".encode()).decode()
    )
    assert passes(provider, Sent(body=body, headers={"Authorization": f"{scheme} {given}"}))
    assert not passes(provider, Sent(body=body, headers={"Authorization": f"{scheme} {given[:-4]}"}))
    assert not passes(provider, Sent(body=body, headers={"Authorization": scheme}))


def test_mailgun_needs_both_the_signature_and_the_secret_in_the_path() -> None:
    provider = providers()["mailgun"]
    sent = provider.call("complaint", About())
    assert not passes(provider, Sent(body=sent.body))
    assert not passes(provider, Sent(body=sent.body, headers={"Authorization": f"Bearer {webhooks.SECRET}"}))


@pytest.mark.fault(134)
def test_a_token_of_mailgun_counts_once_whatever_stands_in_the_body() -> None:
    provider = providers()["mailgun"]
    one, two = (json.loads(provider.call(kind, About()).body) for kind in ("delivered", "complaint"))
    two["signature"] = one["signature"]
    keys = {
        read(provider, Sent(body=webhooks.raw(body), path=f"/{webhooks.SECRET}"))[0].key
        for body in (one, two)
    }
    assert len(keys) == 1


# Words that need a second look

ON_THE_LIST = {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"}


@pytest.mark.parametrize(
    ("name", "word", "because"),
    [
        ("mailgun", ("failed", {"severity": "permanent", "reason": "suppress-bounce"}), "hard_bounce"),
        ("mailgun", ("failed", {"severity": "permanent", "reason": "suppress-complaint"}), "complaint"),
        ("sendgrid", ("dropped", {"reason": "Bounced Address"}), "hard_bounce"),
        ("sendgrid", ("dropped", {"reason": "Spam Reporting Address"}), "complaint"),
        ("ses", ("Bounce", {"bounce": ON_THE_LIST}), "hard_bounce"),
        ("resend", "email.suppressed", None),
    ],
)  # fmt: skip
def test_what_a_provider_did_not_even_try_is_no_new_bounce(name: str, word: Any, because: str | None) -> None:
    """It counts against the address, for the old reason, and not against the edition."""
    if name not in providers():
        pytest.skip("no openssl to make keys and signatures with")
    provider, about = providers()[name], About()
    body = provider.body(word, about)
    sent = provider.prove(webhooks.raw([body] if provider.many else body), NOW, about)
    (event,) = read(provider, sent)
    assert event.kind is EventKind.REJECTED
    assert event.because == because


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("ses", ("Complaint", {"complaint": {"complaintFeedbackType": "not-spam"}})),
        ("ses", ("Open", {"open": {}})),
        ("resend", "email.opened"),
        (
            "postmark",
            {"RecordType": "Bounce", "Type": "AutoResponder", "Email": "{address}", "BouncedAt": "{at}"},
        ),
        ("postmark", {"RecordType": "SubscriptionChange", "SuppressSending": False, "ChangedAt": "{at}"}),
        ("sparkpost", ("bounce", "60")),
        ("mailjet", "open"),
        ("brevo", "unique_opened"),
        ("sendgrid", "click"),
        ("lettermint", "webhook.test"),
        ("mailersend", "activity.opened"),
    ],
)
def test_what_says_nothing_against_anybody_is_other(name: str, word: Any) -> None:
    if name not in providers():
        pytest.skip("no openssl to make keys and signatures with")
    provider, about = providers()[name], About()
    body = provider.body(word, about)
    (event,) = read(provider, provider.prove(webhooks.raw([body] if provider.many else body), NOW, about))
    assert event.kind is EventKind.OTHER


def test_sparkpost_s_ping_reports_nothing() -> None:
    assert read(providers()["sparkpost"], Sent(body=b'[{"msys":{}}]')) == []


@pytest.mark.parametrize("name", ["brevo", "mailjet", "sparkpost", "sendgrid"])
def test_many_reports_in_one_call(name: str) -> None:
    if name not in providers():
        pytest.skip("no openssl to make keys and signatures with")
    provider = providers()[name]
    bodies = [provider.body(provider.words["delivered"], About(id=f"r{n}")) for n in range(30)]
    events = read(provider, Sent(body=webhooks.raw(bodies)))
    assert len({event.key for event in events}) == 30


@pytest.mark.fault(78)
@pytest.mark.parametrize("name", list(providers()))
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"7", b'"x"', b"[7]", b"\xff\xfe", b"{}", b"[]", b"[{}]"),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ],
)
def test_a_body_in_another_shape_is_malformed_or_says_nothing(name: str, body: bytes) -> None:
    of = reporter(name)
    assert of is not None
    try:
        events = of.read(Call(body=body))
    except Malformed:
        return
    assert all(event.kind is EventKind.OTHER and event.delivery_id is None for event in events)


@pytest.mark.fault(78)
@pytest.mark.parametrize(
    ("name", "kind"), [case for case in CASES if case[1] in ("hard_bounce", "delivered")]
)
def test_any_value_of_the_wrong_kind_is_survived(name: str, kind: str) -> None:
    """Each value of a true report, in turn, as each kind of JSON value; and nothing odd gets through."""
    provider = providers()[name]
    body = json.loads(provider.call(kind, About()).body)
    inner = json.loads(body["Message"]) if name == "ses" else body
    odd: list[Any] = [None, True, 7, -1e308, 10**30, "", "x" * 2000, "\x00\ud800", [], [[]], {}, {"a": []}]
    for place in places(inner):
        for value in odd:
            changed = json.loads(json.dumps(inner))
            put(changed, place, value)
            whole = {**body, "Message": json.dumps(changed)} if name == "ses" else changed
            try:
                events = reporter(name).read(Call(body=json.dumps(whole).encode()))  # type: ignore[union-attr]
            except Malformed:
                continue
            for event in events:
                assert len(event.key) <= 200
                assert "\x00" not in f"{event.key}{event.detail}{event.delivery_id}{event.edition}"
                f"{event.key}{event.detail}{event.provider_id}{event.edition}{event.installation}".encode()


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*here, key)
        yield from places(inside, (*here, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


# Amazon's certificate


@needs_openssl
@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_amazon_s_signature(version: str) -> None:
    provider = providers()["ses"]
    sent = webhooks.sns({"Type": "Notification", "Message": "{}"}, NOW, "m-1", version=version)
    assert passes(provider, sent)
    body = json.loads(sent.body)
    assert not passes(provider, Sent(body=webhooks.raw({**body, "SignatureVersion": "21"[int(version) - 1]})))
    assert not passes(provider, Sent(body=webhooks.raw({**body, "SignatureVersion": "3"})))


@needs_openssl
@pytest.mark.fault(133)
@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123abc.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-0123abc.pem",
        "https://evil.example/SimpleNotificationService-0123abc.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-0123abc.pem",
        "https://evil.example#sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123abc.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0123abc.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abc.pem",
        "https://sns.eu-central-1.amazonaws.com/other.pem",
        "https://s3.amazonaws.com/sns/SimpleNotificationService-0123abc.pem",
        "https://sns.eu-central-1.amazonaws.com\\@evil.example/SimpleNotificationService-0123abc.pem",
        "https://[::1/SimpleNotificationService-0123abc.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ses, "certificates", ses.Certificates(lambda u: asked.append(u) or b""))  # type: ignore[func-returns-value]
    sent = providers()["ses"].call("complaint", About())
    body = webhooks.raw({**json.loads(sent.body), "SigningCertURL": url})
    assert not passes(providers()["ses"], Sent(body=body))
    assert asked == []


@needs_openssl
def test_another_topic_is_turned_away_though_amazon_signed_it() -> None:
    sent = webhooks.sns(
        {"Type": "Notification", "Message": "{}", "TopicArn": webhooks.TOPIC + "2"}, NOW, "m-1"
    )
    assert not passes(providers()["ses"], sent)


@needs_openssl
def test_a_certificate_is_fetched_once_and_false_ones_seldom() -> None:
    asked: list[str] = []
    at = [100.0]

    def fetch(url: str) -> bytes:
        asked.append(url)
        return webhooks.certificate(webhooks.CERTIFICATE_URL) if url == "good" else b"no certificate"

    known = ses.Certificates(fetch, clock=lambda: at[0])
    assert known.key("good") is known.key("good")
    for _ in range(50):
        with pytest.raises(Forged):
            known.key("bad")
    assert asked == ["good"]
    at[0] += ses.BETWEEN_FETCHES
    with pytest.raises(Forged):
        known.key("bad")
    assert asked == ["good", "bad"]
    assert known.key("good")


@needs_openssl
@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t", True),
        ("https://sns.eu-central-1.amazonaws.com.evil.example/?Action=ConfirmSubscription&Token=t", False),
        ("http://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("file:///etc/passwd", False),
    ],
)
def test_a_subscription_is_confirmed_at_amazon_s_own_address_only(url: str, good: bool) -> None:
    fields = {"Type": "SubscriptionConfirmation", "Message": "hello", "Token": "t", "SubscribeURL": url}
    sent = webhooks.sns(fields, NOW, "m-2")
    assert passes(providers()["ses"], sent)
    assert ses.confirmation(call(sent)) == (url if good else None)
    assert read(providers()["ses"], sent) == []
    assert not passes(providers()["ses"], Sent(body=sent.body.replace(b"hello", b"hallo")))


# Public keys


@needs_openssl
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_rsa_signatures_of_openssl_pass_and_broken_ones_do_not(digest: str) -> None:
    folder = webhooks.keys()
    key = rsa_key_of(webhooks.openssl("x509", "-in", str(folder / "certificate.pem"), "-outform", "DER"))
    for number in range(5):
        message = f"message {number}".encode()
        signature = webhooks.openssl("dgst", f"-{digest}", "-sign", str(folder / "rsa.pem"), data=message)
        assert key.signed(message, signature, digest)
        assert not key.signed(message + b" ", signature, digest)
        assert not key.signed(message, signature[1:], digest)
        assert not key.signed(message, b"\x00" + signature, digest)
        assert not key.signed(message, signature, {"sha1": "sha256", "sha256": "sha1"}[digest])
        larger = int.from_bytes(signature) + key.key.public_numbers().n
        assert not key.signed(message, larger.to_bytes(len(signature) + 1), digest)
        for broken in flips(signature, 20):
            assert not key.signed(message, broken, digest)
    assert not key.signed(b"", b"", digest)


@needs_openssl
def test_ecdsa_signatures_of_openssl_pass_and_broken_ones_do_not() -> None:
    key = ec_key_of(base64.b64decode(webhooks.sendgrid_key()))
    for number in range(8):
        message = f"message {number}".encode()
        signature = webhooks.openssl(
            "dgst", "-sha256", "-sign", str(webhooks.keys() / "ec.pem"), data=message
        )
        assert key.signed(message, signature)
        assert not key.signed(message + b" ", signature)
        for broken in flips(signature, 12):
            assert not key.signed(message, broken)
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for r, s in ((0, 0), (0, 1), (1, 0), (n, 1), (1, n), (n - 1, n - 1), (1, 1)):
        numbers = b"".join(_der(2, b"\x00" + value.to_bytes(32)) for value in (r, s))
        assert not key.signed(b"message 0", _der(0x30, numbers))
    assert not key.signed(b"message 0", b"")


def _der(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


@needs_openssl
def test_what_is_no_key_says_so() -> None:
    whole = base64.b64decode(webhooks.sendgrid_key())
    point_elsewhere = whole[:-1] + bytes([whole[-1] ^ 1])
    for bad in (b"", b"\x30", whole[:-1], whole + b"\x00", point_elsewhere, b"\x30\x84" + b"\xff" * 4):
        with pytest.raises(BadKey):
            ec_key_of(bad)
    certificate = webhooks.openssl("x509", "-in", str(webhooks.keys() / "certificate.pem"), "-outform", "DER")
    for bad in (b"", whole, certificate[:200], certificate[:-1]):
        with pytest.raises(BadKey):
            rsa_key_of(bad)


def test_the_vectors_of_the_team_s_sheet(shared: Path) -> None:
    """The known answers that were worked out beside the code."""
    sheet = (shared / "esp" / "CONTRACT-TESTS.md").read_text("utf-8")
    vectors = sheet[sheet.index("## Webhook signatures") :]
    at = datetime.fromtimestamp(1_760_000_000, UTC)

    def row(name: str) -> list[str]:
        found = re.search(rf"^\| {name}.*$", vectors, re.MULTILINE)
        assert found
        return re.findall(r"`([^`]*)`", found[0])

    secret, _, body, signature = row("Resend")
    headers = {"svix-id": "msg_1", "svix-timestamp": "1760000000", "svix-signature": signature}
    verify("resend", Call(body=body.encode(), headers=headers), {"RESEND_WEBHOOK_SECRET": secret}, at)

    secret, _, body, signature = row("Lettermint")
    headers = {"x-lettermint-signature": signature, "x-lettermint-delivery": "1760000000"}
    verify("lettermint", Call(body=body.encode(), headers=headers), {"LETTERMINT_WEBHOOK_SECRET": secret}, at)

    secret, body, signature = row("MailerSend")
    sent = Call(body=body.encode(), headers={"signature": signature})
    verify("mailersend", sent, {"MAILERSEND_WEBHOOK_SECRET": secret}, at)

    secret, seconds, token, signature = row("Mailgun")
    proof = {"timestamp": seconds, "token": token * 50, "signature": signature}
    secrets = {"MAILGUN_WEBHOOK_KEY": secret, "MAILGUN_WEBHOOK_SECRET": webhooks.SECRET}
    body_of_mailgun = json.dumps({"signature": proof}).encode()
    verify("mailgun", Call(body=body_of_mailgun, path_secret=webhooks.SECRET), secrets, at)

    key, seconds, signature = row("SendGrid")
    after = vectors[vectors.index("SendGrid body") :]
    block = re.search(r"```json\n(.*?)\n```", after, re.DOTALL)
    assert block
    public = ec_key_of(base64.b64decode(key))
    assert public.signed(f"{seconds}{block[1]}\r\n".encode(), base64.b64decode(signature))
    assert not public.signed(f"{seconds}{block[1]}".encode(), base64.b64decode(signature))


def verify(name: str, sent: Call, secrets: dict[str, str], now: datetime) -> None:
    of = reporter(name)
    assert of is not None
    of.verify(sent, secrets, now)
