"""The sandbox: a provider on this machine that keeps what it gets and shows it on an inbox page.

It speaks Resend's dialect, so that trying weekbrief out exercises the very code that sends in earnest.
`emails.sandbox` is the server at the other end.
"""

from __future__ import annotations

from datetime import timedelta

from emails.delivery import Capabilities
from emails.esp.base import Bearer, HttpEsp
from emails.esp.resend import ResendDialect
from emails.esp.settings import EspSettings

BASE_URL = "http://127.0.0.1:8026"
CAPABILITIES = Capabilities(
    name="sandbox",
    max_batch=100,
    max_bytes=10_000_000,
    key_life=timedelta(days=365),
    eight_bit_local_part=True,
    notes=("Keeps every message on this machine; nobody is mailed.", "Never forgets a key."),
)
ANY_KEY = "sandbox"


def make(settings: EspSettings) -> HttpEsp:
    """The sandbox at `base_url`. `SANDBOX_API_KEY` is only needed where the sandbox asks for one."""
    dialect = ResendDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    has_key = bool(settings.env.get("SANDBOX_API_KEY", "").strip())
    key = settings.secret("SANDBOX_API_KEY", CAPABILITIES.name) if has_key else ANY_KEY
    return HttpEsp(dialect, Bearer(key))
