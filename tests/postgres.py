"""A PostgreSQL server of the tests' own: started once in a temporary folder, thrown away after."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def server() -> Iterator[str | None]:
    """The URL of a running server's `postgres` database, or None where there is no PostgreSQL.

    `WEEKBRIEF_TEST_PG_URL` names a server to use instead of starting one.
    """
    given = os.environ.get("WEEKBRIEF_TEST_PG_URL")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        yield None
        return
    # The path of a Unix socket may have about 100 characters: keep the folder short.
    home = Path(tempfile.mkdtemp(prefix="wbpg", dir="/tmp"))
    try:
        with _running(binaries, home) as url:
            yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """A fresh, empty database on that server; dropped at the end."""
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    base, _, query = server_url.partition("?")
    try:
        yield base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


@contextmanager
def _running(binaries: Path, home: Path) -> Iterator[str]:
    owner = "postgres" if os.getuid() == 0 else None
    data = home / "data"
    if owner:
        shutil.chown(home, owner, owner)
    home.chmod(0o711)
    _as(
        owner,
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    )
    # fsync off: a test may die, the machine will not. synchronous_commit stays on, as weekbrief demands.
    options = f"-F -k {home} -c listen_addresses= -c full_page_writes=off -c max_connections=200"
    _as(owner, binaries / "pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start")
    try:
        yield f"postgresql://postgres@/postgres?host={home}"
    finally:
        _as(owner, binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _as(owner: str | None, *command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command], user=owner, capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _binaries() -> Path | None:
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = max(versions, key=lambda p: float(p.parent.parent.name), default=None)
    return newest.parent if newest else None
