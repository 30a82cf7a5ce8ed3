"""One post from one web address."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import httpx

from pipeline.post import Post
from pipeline.reading.read import LARGEST, SUFFIXES, Unreadable, read_post

DEADLINE = 30.0
"""Seconds one page may take, all in all."""
MOST_REDIRECTS = 5


def read_page(address: str, *, language: str | None = None, default_language: str = "en") -> Post:
    """The post at an `http://` or `https://` address. Its key is the last part of the address's path.

    Raises Unreadable when the page cannot be fetched or holds no text.
    """
    raw, kind = _fetch(address)
    name = PurePosixPath(urlsplit(address).path.rstrip("/")).name or urlsplit(address).netloc
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        name += ".html" if "html" in kind else ".txt"
    return read_post(raw, name=name, language=language, default_language=default_language)


def _fetch(address: str) -> tuple[bytes, str]:
    ends = time.monotonic() + DEADLINE
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=MOST_REDIRECTS, timeout=DEADLINE) as client,
            client.stream(
                "GET", address, headers={"accept": "text/html, text/markdown, text/plain"}
            ) as response,
        ):
            if response.status_code != 200:
                raise Unreadable(f"{address}: the server answered with status {response.status_code}")
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise Unreadable(f"{address}: is larger than {LARGEST // 1_000_000} MB, which is no post")
                if time.monotonic() > ends:
                    raise Unreadable(f"{address}: took longer than {DEADLINE:.0f} seconds")
            return bytes(body), response.headers.get("content-type", "")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreadable(f"{address}: cannot be fetched ({error or type(error).__name__})") from error
