"""HTTP basic authentication (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from emails.delivery import Request


@dataclass(frozen=True, slots=True)
class Basic:
    """`Authorization: Basic …`."""

    user: str
    secret: str = field(repr=False)

    def headers(self, request: Request) -> Mapping[str, str]:
        return {"authorization": f"Basic {self._pair()}"}

    def hide(self, text: str) -> str:
        """Also where a provider repeats the header and not the secret itself."""
        return text.replace(self._pair(), "<secret>").replace(self.secret, "<secret>")

    def _pair(self) -> str:
        return b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")
