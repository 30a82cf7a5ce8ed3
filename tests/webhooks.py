"""How each provider reports, from its own side: bodies in its shape, proven in its way.

Written from the providers' documents and never from the readers in `emails.events`, so that both cannot share
a mistake. Keys and signatures that need a public key are made by OpenSSL.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

SECRET = "canary-secret-of-the-address-1"
WHSEC = "whsec_" + base64.b64encode(b"canary secret of 24 byte").decode()
TOPIC = "arn:aws:sns:eu-central-1:123456789012:weekbrief"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123abc.pem"
KINDS = (
    "accepted",
    "deferred",
    "delivered",
    "soft_bounce",
    "hard_bounce",
    "complaint",
    "unsubscribed",
    "rejected",
)
HAS_OPENSSL = shutil.which("openssl") is not None


@dataclass(frozen=True, kw_only=True)
class About:
    """What a report is about."""

    installation: str = "inst2345"
    edition: str = "2026-11-29"
    delivery: str = "0123456789abcdef0123456789abcdef00000007"
    address: str = "lezer7@example.org"
    id: str = "report-1"
    at: datetime = datetime(2026, 11, 29, 7, 30, tzinfo=UTC)

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())

    @property
    def iso(self) -> str:
        return self.at.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def tags(self) -> dict[str, str]:
        return {
            "installation": self.installation,
            "edition": self.edition,
            "batch": "wb1-key",
            "delivery": self.delivery,
        }


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One call as it goes over the wire."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    """Behind `/hooks/NAME`."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One provider's way to report."""

    name: str
    words: Mapping[str, Any]
    """Its own word for each kind that it knows."""
    body: Callable[[Any, About], Any]
    """(its word, what it is about) → the JSON of one event."""
    prove: Callable[[bytes, datetime, About], Sent]
    secrets: Mapping[str, str]
    many: bool = False
    """Sends a list of events."""
    signs_body: bool = True
    needs_openssl: bool = False

    def call(self, kind: str, about: About, *, now: datetime | None = None) -> Sent:
        told = self.body(self.words[kind], about)
        return self.prove(raw([told] if self.many else told), now or about.at, about)


def raw(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# Resend


def _resend(word: Any, about: About) -> Any:
    name, bounce = word if isinstance(word, tuple) else (word, None)
    data: dict[str, Any] = {
        "created_at": about.iso,
        "email_id": f"uuid-{about.delivery[-8:]}",
        "from": "Stille post <brief@stillepost.example>",
        "to": [about.address],
        "subject": "Wat laat je liggen?",
        "tags": about.tags,
    }
    if bounce:
        words = f"550 5.1.1 <{about.address}>: no such user"
        data["bounce"] = {"type": bounce, "subType": "General", "message": words}
    return {"type": name, "created_at": about.iso, "data": data}


def _svix(body: bytes, now: datetime, about: About) -> Sent:
    seconds = int(now.timestamp())
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signed = f"{about.id}.{seconds}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    headers = {
        "svix-id": about.id,
        "svix-timestamp": str(seconds),
        "svix-signature": f"v1,{base64.b64encode(b'an older key').decode()} v1,{mac}",
    }
    return Sent(body=body, headers=headers)


# Lettermint


def _lettermint(word: Any, about: About) -> Any:
    return {
        "id": about.id,
        "event": word,
        "timestamp": about.iso,
        "data": {
            "message_id": f"lm-{about.delivery[-8:]}",
            "recipient": about.address,
            "subject": "Wat laat je liggen?",
            "tag": about.edition,
            "metadata": about.tags,
            "response": {
                "status_code": 550,
                "enhanced_status_code": "5.1.1",
                "content": f"<{about.address}> unknown",
            },
        },
    }


def _lettermint_proof(body: bytes, now: datetime, about: About) -> Sent:
    seconds = str(int(now.timestamp()))
    mac = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Lettermint-Signature": f"t={seconds},v1={mac}", "X-Lettermint-Delivery": seconds}
    return Sent(body=body, headers=headers)


# Mailgun


def _mailgun(word: Any, about: About) -> Any:
    name, more = word if isinstance(word, tuple) else (word, {})
    return {
        "event-data": {
            "id": about.id,
            "event": name,
            "timestamp": about.at.timestamp(),
            "recipient": about.address,
            "user-variables": about.tags,
            "tags": ["weekbrief-inst2345-2026-11-29"],
            "message": {"headers": {"message-id": f"{about.delivery[-8:]}@mg.example.org"}},
            "delivery-status": {"code": 550, "message": f"<{about.address}> no such user"},
            **more,
        }
    }


def _mailgun_proof(body: bytes, now: datetime, about: About) -> Sent:
    seconds, token = str(int(now.timestamp())), hashlib.sha256(about.id.encode()).hexdigest()[:50]
    mac = hmac.new(b"canary-mailgun-key", f"{seconds}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": seconds, "token": token, "signature": mac}
    return Sent(body=raw({"signature": signature, **json.loads(body)}), path=f"/{SECRET}")


# Postmark


def _postmark(word: Any, about: About) -> Any:
    return {
        "MessageID": f"pm-{about.id}",
        "Metadata": about.tags,
        "Tag": about.edition,
        "MessageStream": "broadcast",
        **{
            name: value.format(at=about.iso, address=about.address) if isinstance(value, str) else value
            for name, value in word.items()
        },
    }


_PM_BOUNCE = {
    "RecordType": "Bounce",
    "ID": 42,
    "Email": "{address}",
    "BouncedAt": "{at}",
    "Details": "smtp;550 5.1.1 <{address}> unknown",
}


def _in_path(body: bytes, _now: datetime, _about: About) -> Sent:
    return Sent(body=body, path=f"/{SECRET}")


# SendGrid


def _sendgrid(word: Any, about: About) -> Any:
    name, more = word if isinstance(word, tuple) else (word, {})
    return {
        "email": about.address,
        "timestamp": about.seconds,
        "event": name,
        "sg_event_id": about.id,
        "sg_message_id": "call14-xyz.filterdrecv-1-2-3.0",
        "category": ["weekbrief-inst2345-2026-11-29"],
        **{f"weekbrief_{tag}": value for tag, value in about.tags.items()},
        **more,
    }


def _sendgrid_proof(body: bytes, now: datetime, _about: About) -> Sent:
    seconds, body = str(int(now.timestamp())), body + b"\r\n"
    signature = openssl("dgst", "-sha256", "-sign", str(keys() / "ec.pem"), data=seconds.encode() + body)
    name = "X-Twilio-Email-Event-Webhook-"
    headers = {f"{name}Timestamp": seconds, f"{name}Signature": base64.b64encode(signature).decode()}
    return Sent(body=body, headers=headers)


# Brevo


def _brevo(word: Any, about: About) -> Any:
    return {
        "event": word,
        "email": about.address,
        "id": 77,
        "message-id": f"<{about.id}@smtp-relay.mailin.fr>",
        "ts_event": about.seconds,
        "ts_epoch": about.seconds * 1000,
        "X-Mailin-custom": json.dumps(about.tags),
        "tags": ["wb1-key"],
        "reason": f"550 <{about.address}> unknown",
    }


# Mailjet


def _mailjet(word: Any, about: About) -> Any:
    name, more = word if isinstance(word, tuple) else (word, {})
    payload = {key: value for key, value in about.tags.items() if key != "delivery"}
    return {
        "event": name,
        "time": about.seconds,
        "MessageID": int(hashlib.sha256(about.id.encode()).hexdigest()[:12], 16),
        "email": about.address,
        "CustomID": f"{about.edition}.{about.delivery}",
        "Payload": json.dumps(payload),
        "error": "user unknown",
        **more,
    }


# SparkPost


def _sparkpost(word: Any, about: About) -> Any:
    name, bounce_class = word if isinstance(word, tuple) else (word, None)
    inside = {
        "type": name,
        "event_id": about.id,
        "timestamp": str(about.seconds),
        "rcpt_to": about.address,
        "rcpt_meta": about.tags,
        "transmission_id": "65832150921904138",
        "reason": f"550 5.1.1 <{about.address}> unknown",
        **({"bounce_class": bounce_class} if bounce_class else {}),
    }
    group = "unsubscribe_event" if "unsubscribe" in name else "message_event"
    return {"msys": {group: inside}}


# MailerSend


def _mailersend(word: Any, about: About) -> Any:
    return {
        "type": word,
        "created_at": about.iso,
        "webhook_id": "hook1",
        "data": {
            "object": "activity",
            "id": about.id,
            "type": word.removeprefix("activity."),
            "email": {
                "object": "email",
                "id": f"em-{about.id}",
                "created_at": about.iso,
                "tags": [f"weekbrief-{about.installation}-{about.edition}", about.delivery],
                "message": {"object": "message", "id": f"ms-{about.delivery[-8:]}"},
                "recipient": {"object": "recipient", "email": about.address},
            },
            "morph": {"object": "recipient_bounce", "reason": f"<{about.address}> unknown"},
        },
    }


def _mailersend_proof(body: bytes, _now: datetime, _about: About) -> Sent:
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return Sent(body=body, headers={"Signature": mac})


# Amazon SES, brought by SNS


def _ses(word: Any, about: About) -> Any:
    name, more = word if isinstance(word, tuple) else (word, {})
    return {
        "eventType": name,
        "mail": {
            "timestamp": about.iso,
            "messageId": f"ses-{about.delivery[-8:]}",
            "destination": [about.address],
            "tags": {key: [value] for key, value in about.tags.items()},
        },
        **more,
    }


def _sns_proof(body: bytes, now: datetime, about: About) -> Sent:
    subject = {"Subject": "Amazon SES Email Event Notification"}
    return sns({"Type": "Notification", "Message": body.decode(), **subject}, now, about.id)


def sns(fields: Mapping[str, str], now: datetime, message_id: str, *, version: str = "2") -> Sent:
    """A call of SNS about our topic, signed as in Amazon's developer guide."""
    told = {
        "MessageId": message_id,
        "TopicArn": TOPIC,
        "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        **fields,
    }
    wanted = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if told["Type"] != "Notification":
        wanted = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{told[name]}\n" for name in wanted if name in told)
    digest = {"1": "-sha1", "2": "-sha256"}[version]
    signature = openssl("dgst", digest, "-sign", str(keys() / "rsa.pem"), data=text.encode())
    whole = {
        **told,
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    }
    return Sent(body=raw(whole), headers={"Content-Type": "text/plain; charset=UTF-8"})


# OpenSSL


def openssl(*words: str, data: bytes = b"") -> bytes:
    """What OpenSSL writes. Raises when it fails."""
    done = subprocess.run(["openssl", *words], input=data, capture_output=True, check=True)
    return done.stdout


@cache
def keys() -> Path:
    """A folder with an RSA key and its certificate, and a key on P-256, for this test session."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="wbkeys"))
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sns.example"),
        *("-keyout", str(folder / "rsa.pem"), "-out", str(folder / "certificate.pem")),
    )
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(folder / "ec.pem"))
    return folder


def certificate(url: str) -> bytes:
    """What Amazon would have at that address."""
    assert url == CERTIFICATE_URL
    return (keys() / "certificate.pem").read_bytes()


def sendgrid_key() -> str:
    """The public key as SendGrid shows it."""
    der = openssl("ec", "-in", str(keys() / "ec.pem"), "-pubout", "-outform", "DER")
    return base64.b64encode(der).decode()


@cache
def providers() -> Mapping[str, Provider]:
    """All that report, by name; the two with public keys only where OpenSSL is."""
    made = [
        Provider(
            name="resend",
            words={
                "accepted": "email.sent",
                "deferred": "email.delivery_delayed",
                "delivered": "email.delivered",
                "soft_bounce": ("email.bounced", "Transient"),
                "hard_bounce": ("email.bounced", "Permanent"),
                "complaint": "email.complained",
                "rejected": "email.failed",
            },
            body=_resend,
            prove=_svix,
            secrets={"RESEND_WEBHOOK_SECRET": WHSEC},
        ),
        Provider(
            name="lettermint",
            words={
                "accepted": "message.created",
                "delivered": "message.delivered",
                "soft_bounce": "message.soft_bounced",
                "hard_bounce": "message.hard_bounced",
                "complaint": "message.spam_complaint",
                "unsubscribed": "message.unsubscribed",
                "rejected": "message.policy_rejected",
            },
            body=_lettermint,
            prove=_lettermint_proof,
            secrets={"LETTERMINT_WEBHOOK_SECRET": SECRET},
        ),
        Provider(
            name="mailgun",
            words={
                "accepted": "accepted",
                "deferred": ("failed", {"severity": "temporary", "reason": "generic"}),
                "delivered": "delivered",
                "soft_bounce": ("failed", {"severity": "permanent", "reason": "old"}),
                "hard_bounce": ("failed", {"severity": "permanent", "reason": "bounce"}),
                "complaint": "complained",
                "unsubscribed": "unsubscribed",
                "rejected": "rejected",
            },
            body=_mailgun,
            prove=_mailgun_proof,
            secrets={"MAILGUN_WEBHOOK_KEY": "canary-mailgun-key", "MAILGUN_WEBHOOK_SECRET": SECRET},
            signs_body=False,
        ),
        Provider(
            name="postmark",
            words={
                "delivered": {"RecordType": "Delivery", "Recipient": "{address}", "DeliveredAt": "{at}"},
                "soft_bounce": {**_PM_BOUNCE, "Type": "SoftBounce", "TypeCode": 4096, "Inactive": False},
                "hard_bounce": {**_PM_BOUNCE, "Type": "HardBounce", "TypeCode": 1, "Inactive": True},
                "complaint": {**_PM_BOUNCE, "RecordType": "SpamComplaint", "TypeCode": 512},
                "unsubscribed": {
                    "RecordType": "SubscriptionChange",
                    "Recipient": "{address}",
                    "ChangedAt": "{at}",
                    "Origin": "Recipient",
                    "SuppressSending": True,
                    "SuppressionReason": "ManualSuppression",
                },
                "rejected": {
                    "RecordType": "SubscriptionChange",
                    "Recipient": "{address}",
                    "ChangedAt": "{at}",
                    "Origin": "Admin",
                    "SuppressSending": True,
                    "SuppressionReason": "Other",
                },
            },
            body=_postmark,
            prove=_in_path,
            secrets={"POSTMARK_WEBHOOK_SECRET": SECRET},
            signs_body=False,
        ),
        Provider(
            name="brevo",
            words={
                "accepted": "request",
                "deferred": "deferred",
                "delivered": "delivered",
                "soft_bounce": "soft_bounce",
                "hard_bounce": "hard_bounce",
                "complaint": "spam",
                "unsubscribed": "unsubscribed",
                "rejected": "blocked",
            },
            body=_brevo,
            prove=_in_path,
            secrets={"BREVO_WEBHOOK_SECRET": SECRET},
            signs_body=False,
        ),
        Provider(
            name="mailjet",
            words={
                "delivered": "sent",
                "soft_bounce": ("bounce", {"blocked": False, "hard_bounce": False}),
                "hard_bounce": ("bounce", {"blocked": True, "hard_bounce": True}),
                "complaint": ("spam", {"source": "JMRPP"}),
                "unsubscribed": "unsub",
                "rejected": ("blocked", {"error_related_to": "recipient", "error": "preblocked"}),
            },
            body=_mailjet,
            prove=_in_path,
            secrets={"MAILJET_WEBHOOK_SECRET": SECRET},
            many=True,
            signs_body=False,
        ),
        Provider(
            name="sparkpost",
            words={
                "accepted": "injection",
                "deferred": ("delay", "21"),
                "delivered": "delivery",
                "soft_bounce": ("bounce", "22"),
                "hard_bounce": ("out_of_band", "10"),
                "complaint": "spam_complaint",
                "unsubscribed": "list_unsubscribe",
                "rejected": "policy_rejection",
            },
            body=_sparkpost,
            prove=_in_path,
            secrets={"SPARKPOST_WEBHOOK_SECRET": SECRET},
            many=True,
            signs_body=False,
        ),
        Provider(
            name="mailersend",
            words={
                "accepted": "activity.sent",
                "deferred": "activity.deferred",
                "delivered": "activity.delivered",
                "soft_bounce": "activity.soft_bounced",
                "hard_bounce": "activity.hard_bounced",
                "complaint": "activity.spam_complaint",
                "unsubscribed": "activity.unsubscribed",
            },
            body=_mailersend,
            prove=_mailersend_proof,
            secrets={"MAILERSEND_WEBHOOK_SECRET": SECRET},
        ),
    ]
    return {each.name: each for each in (*made, *(_with_public_keys() if HAS_OPENSSL else ()))}


def _with_public_keys() -> list[Provider]:
    return [
        Provider(
            name="sendgrid",
            words={
                "accepted": "processed",
                "deferred": ("deferred", {"response": "450 later", "attempt": "2"}),
                "delivered": ("delivered", {"response": "250 OK"}),
                "soft_bounce": ("bounce", {"type": "blocked", "status": "5.7.1", "reason": "blocked"}),
                "hard_bounce": ("bounce", {"type": "bounce", "status": "5.1.1", "reason": "unknown"}),
                "complaint": "spamreport",
                "unsubscribed": "unsubscribe",
                "rejected": ("dropped", {"reason": "Invalid SMTPAPI header"}),
            },
            body=_sendgrid,
            prove=_sendgrid_proof,
            secrets={"SENDGRID_WEBHOOK_KEY": sendgrid_key()},
            many=True,
            needs_openssl=True,
        ),
        Provider(
            name="ses",
            words={
                "accepted": ("Send", {"send": {}}),
                "deferred": ("DeliveryDelay", {"deliveryDelay": {"delayType": "MailboxFull"}}),
                "delivered": ("Delivery", {"delivery": {"smtpResponse": "250 OK"}}),
                "soft_bounce": (
                    "Bounce",
                    {"bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull"}},
                ),
                "hard_bounce": (
                    "Bounce",
                    {"bounce": {"bounceType": "Permanent", "bounceSubType": "General"}},
                ),
                "complaint": ("Complaint", {"complaint": {"complaintFeedbackType": "abuse"}}),
                "unsubscribed": ("Subscription", {"subscription": {"contactList": "x"}}),
                "rejected": ("Reject", {"reject": {"reason": "Bad content"}}),
            },
            body=_ses,
            prove=_sns_proof,
            secrets={"SES_TOPIC_ARN": TOPIC},
            needs_openssl=True,
        ),
    ]
