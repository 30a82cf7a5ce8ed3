"""Who we are: one row that names this installation, its lease epoch and its standing hold."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, func, insert, select, update

from pipeline.store import tables
from pipeline.store.engine import StorageError, writing

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    id: str
    created_at: datetime
    lease_epoch: int
    ledger_seq: int
    hold_reason: str | None
    last_examined: datetime | None
    secret_fingerprint: str | None


class Installations:
    """The installation's row. It is made on first use and never again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ensure(self, *, now: datetime) -> Installation:
        with writing(self._engine) as connection:
            found = _read(connection)
            if found is None:
                connection.execute(
                    insert(tables.installation).values(
                        id=1, installation_id=_new_id(), created_at=now, lease_epoch=0, ledger_seq=0
                    )
                )
                found = _read(connection)
            if found is None:
                raise StorageError("storage: the installation row could not be written")
            return found

    def read(self) -> Installation:
        """The row as it is now."""
        with writing(self._engine) as connection:
            found = _read(connection)
        if found is None:
            raise StorageError("storage: the installation row is gone")
        return found

    def adopt_machine(self, fingerprint: str) -> bool:
        """Remember which machine sends; False when another one did before."""
        with writing(self._engine) as connection:
            known = connection.execute(select(tables.installation.c.machine_fingerprint)).scalar_one()
            if known is None:
                connection.execute(update(tables.installation).values(machine_fingerprint=fingerprint))
            return known in (None, fingerprint)

    def release(self, *, who: str, machine: str | None, now: datetime) -> int:
        """A person says that this database on this machine is the one that sends. Gives its ledger step."""
        with writing(self._engine) as connection:
            seq: int = connection.execute(
                update(tables.installation)
                .values(hold_reason=None, machine_fingerprint=machine, last_examined=now)
                .returning(tables.installation.c.ledger_seq)
            ).scalar_one()
            connection.execute(insert(tables.decision).values(at=now, who=who, what="release"))
            return seq

    def adopt_secret(self, fingerprint: str) -> None:
        """Remember which secret signs our links. Raises `StorageError` when it has changed: every
        unsubscribe link in every letter ever sent would stop working."""
        with writing(self._engine) as connection:
            known = connection.execute(select(tables.installation.c.secret_fingerprint)).scalar_one()
            if known is None:
                connection.execute(update(tables.installation).values(secret_fingerprint=fingerprint))
            elif known != fingerprint:
                raise StorageError(
                    "WEEKBRIEF_SECRET is not the one this newsletter has signed its links with: "
                    "unsubscribe links in letters already sent would stop working. Put the old secret back"
                )

    def new_epoch(self) -> int:
        """Become the sender: every write of an earlier sender is refused from here on."""
        with writing(self._engine) as connection:
            epoch: int = connection.execute(
                update(tables.installation)
                .values(lease_epoch=tables.installation.c.lease_epoch + 1)
                .returning(tables.installation.c.lease_epoch)
            ).scalar_one()
            return epoch

    def examined(self, at: datetime) -> None:
        """Remember the last instant that was looked at for due slots; it never moves back."""
        column = tables.installation.c.last_examined
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.installation).where(func.coalesce(column, at) <= at).values(last_examined=at)
            )


def _read(connection: Connection) -> Installation | None:
    row = connection.execute(select(tables.installation)).one_or_none()
    if row is None:
        return None
    return Installation(
        id=row.installation_id,
        created_at=row.created_at,
        lease_epoch=row.lease_epoch,
        ledger_seq=row.ledger_seq,
        hold_reason=row.hold_reason,
        last_examined=row.last_examined,
        secret_fingerprint=row.secret_fingerprint,
    )


def _new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))
