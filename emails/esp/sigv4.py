"""AWS Signature Version 4, as the `Authorization` header of one request.

AWS's own library would bring 25 MB for this page of arithmetic; the tests compare every signature with that
library's. Source: AWS documentation, "Create a signed AWS API request", as of November 2026.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlsplit

from emails.delivery import Request

_ALGORITHM = "AWS4-HMAC-SHA256"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigV4:
    """Signs each request for one service in one region at the moment it is posted."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    service: str
    session_token: str = field(default="", repr=False)
    """Only temporary credentials have one."""
    now: Callable[[], datetime] = _now
    """AWS takes a signature for 5 minutes."""

    def headers(self, request: Request) -> Mapping[str, str]:
        moment = self.now().astimezone(UTC)
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        ours = {"x-amz-date": stamp}
        if self.session_token:
            ours["x-amz-security-token"] = self.session_token
        signed = {"host": _host(request.url), **ours}
        if "content-type" in request.headers:
            signed["content-type"] = request.headers["content-type"]
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(_canonical(request, signed).encode()).hexdigest()
        key = _key(self.secret_key, stamp[:8], self.region, self.service)
        signature = hmac.new(key, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode(), hashlib.sha256)
        return {
            **ours,
            "authorization": f"{_ALGORITHM} Credential={self.access_key}/{scope}, "
            f"SignedHeaders={_names(signed)}, Signature={signature.hexdigest()}",
        }

    def hide(self, text: str) -> str:
        for secret in (self.secret_key, self.session_token, self.access_key):
            text = text.replace(secret, "<secret>") if secret else text
        return text


def _canonical(request: Request, signed: Mapping[str, str]) -> str:
    """The request in the one form that both sides can compute."""
    parts = urlsplit(request.url)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return "\n".join(
        (
            request.method,
            # Encoded once more than in the URL: every service but S3 wants it so.
            quote(parts.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)),
            "",
            _names(signed),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _names(signed: Mapping[str, str]) -> str:
    return ";".join(sorted(signed))


def _host(url: str) -> str:
    """As the HTTP client sends it: without a scheme's own port."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


@lru_cache(maxsize=4)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    """Good for a day."""
    key = f"AWS4{secret}".encode()
    for word in (date, region, service, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key
