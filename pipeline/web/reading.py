"""What a visitor sends, read within bounds: a body is never larger or slower than its page needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_BODY: Final = 16_384
"""Octets of a request body that are read. A one-click body has 26, a sign-up a few hundred."""
BODY_SECONDS: Final = 10.0
"""How long a body may take to arrive."""
MAX_FIELDS: Final = 20


async def body_of(request: Request, *, most: int = MAX_BODY) -> bytes:
    """The whole body, or a refusal: 413 when larger than `most` octets, 408 when too slow. Raises
    `HTTPException`."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:12]) > most:
        raise HTTPException(413, headers={"Connection": "close"})
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413, headers={"Connection": "close"})
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    return bytes(body)


def fields_of(request: Request, body: bytes) -> Mapping[str, str]:
    """The first value of each field of a form. Raises `HTTPException`: 415 for another kind of body, 400 for
    a broken one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[0] for name, values in fields.items()}
