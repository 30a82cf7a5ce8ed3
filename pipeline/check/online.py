"""Asking whether a page is there. Only when the editor says so: `check --online`."""

from __future__ import annotations

import urllib.error
import urllib.request

SECONDS = 10


def head_status(url: str) -> int | None:
    """The status that `url` (http or https) answers a HEAD request with, after redirects; None for no
    answer."""
    if not url.startswith(("https://", "http://")):
        return None
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "weekbrief-check"})  # noqa: S310  # the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310  # as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None
