"""The sandbox's web application: the provider's surface, a small JSON interface, and the inbox page."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from emails.sandbox.api import Api
from emails.sandbox.inbox import Inbox
from emails.sandbox.record import SandboxRecord

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")


def create_app(
    record: SandboxRecord, *, api_key: str | None = None, hosts: tuple[str, ...] = LOOPBACK_NAMES
) -> Starlette:
    """The sandbox over `record`.

    With `api_key`, calls to send must bring it. `hosts` are the names under which pages are served: a web
    page elsewhere that makes its own name point at this machine (DNS rebinding) reads nothing.
    """
    return Starlette(
        routes=[*Api(record, api_key).routes(), *Inbox(record).routes()],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
    )
