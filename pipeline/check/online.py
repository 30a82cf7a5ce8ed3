"""Asking whether a page is there. Only when the editor says so: `check --online`."""

from __future__ import annotations

import httpx

SECONDS = 10
_NO_HEAD = {403, 405, 501}
"""What servers answer that know no HEAD; they are asked with GET, and their page is not read."""


def head_status(url: str) -> int | None:
    """The status that `url` (http or https) answers with, after redirects; None for no answer."""
    if not url.startswith(("https://", "http://")):
        return None
    try:
        with httpx.Client(
            timeout=SECONDS, follow_redirects=True, headers={"User-Agent": "weekbrief-check"}
        ) as client:
            status = client.head(url).status_code
            if status in _NO_HEAD:
                with client.stream("GET", url) as answer:
                    status = answer.status_code
            return status
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
