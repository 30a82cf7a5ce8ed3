"""Where the pages of a newsletter live. Links come from the configuration, never from a request."""

from __future__ import annotations

from urllib.parse import urlsplit

PREFERENCES = "/preferences"
"""Behind a reader's unsubscribe link: their preferences."""
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class LinkError(ValueError):
    """`newsletter.url` cannot carry links that mail programs accept."""


def check_base_url(url: str) -> str:
    """The base of every link, without a slash at its end.

    Mailbox providers offer one-click unsubscribe for https links only (RFC 8058, section 3.1), so http
    is taken on this machine alone. Raises `LinkError`, naming the field and the mend.
    """
    parts = urlsplit(url)
    odd = parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        raise LinkError(
            f"newsletter.url: {url!r} is not a web address; write one as https://letter.example.org"
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise LinkError(
            f"newsletter.url: {url!r} must begin with https://, or mail programs offer no unsubscribe; "
            "http:// is taken for localhost only"
        )
    if parts.username or parts.password:
        raise LinkError("newsletter.url: it holds a user name or password; leave them out")
    return url.rstrip("/")


def unsubscribe_url(base: str, token: str) -> str:
    """The link for List-Unsubscribe and for the foot of a letter."""
    return f"{base}/u/{token}"


def undo_url(base: str, token: str) -> str:
    """Where the goodbye page posts to come back."""
    return f"{base}/u/{token}/undo"


def preferences_url(base: str, token: str) -> str:
    """Where its holder may make the letter come less often. In a letter it is the unsubscribe link with
    `PREFERENCES` behind it."""
    return f"{unsubscribe_url(base, token)}{PREFERENCES}"


def own_url(base: str, token: str) -> str:
    """What we hold about one person: mailed to their own address, good for a day."""
    return f"{base}/p/{token}"


def move_url(base: str, token: str) -> str:
    """Mailed to a new address, to be confirmed there."""
    return f"{base}/a/{token}"


def confirm_url(base: str, token: str) -> str:
    """The link in a confirmation message."""
    return f"{base}/c/{token}"


def join_url(base: str) -> str:
    """The sign-up page."""
    return f"{base}/join"


def privacy_url(base: str) -> str:
    """The privacy text."""
    return f"{base}/privacy"


def archive_url(base: str, day: str) -> str:
    """A letter that went out, as a page for anyone: no token is in it."""
    return f"{base}/archive/{day}"


def path_of(url: str) -> str:
    """A link from one page of ours to another, on whatever host the visitor came in."""
    return urlsplit(url).path
