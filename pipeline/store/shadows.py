"""What is left of an address that was erased: keyed hashes among the suppressions (`Signer.shadow`).

The database cannot make them by itself, and must not: with the key beside them they would be no secret. The
program hands the key's function in once it knows the secret and the database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection, select

from pipeline.store import tables
from pipeline.store.engine import StorageError

PAGE = 10_000
"""Hashes in one question."""
HIDDEN = tables.suppression.c.address_key.not_like("%@%")
"""Rows that stand under a shadow: a hash has no @, and every address has one."""


class Shadows:
    """The shadows of an address, as soon as the secret is known."""

    def __init__(self) -> None:
        self._of: Callable[[str], Sequence[str]] | None = None
        self._fingerprint: str | None = None
        self._sure = False

    def know(self, of: Callable[[str], Sequence[str]], *, fingerprint: str | None = None) -> None:
        """`of` gives the shadows of an address key, by the secret of today and by former ones; `fingerprint`
        tells this secret from another (`Signer.fingerprint`), None: it is known to be the right one."""
        self._of, self._fingerprint, self._sure = of, fingerprint, False

    def of(self, address_key: str) -> Sequence[str]:
        """The shadows under which this address may stand; none while the secret is not known."""
        return () if self._of is None else self._of(address_key)

    def places(self, connection: Connection, address_keys: Collection[str]) -> dict[str, str]:
        """Under which key a suppression of each of these addresses is to stand: its own, or, for one that was
        erased, its shadow, so that it does not come back in clear."""
        own = {key: key for key in address_keys}
        addresses = {shadow: key for key in own for shadow in self.of(key)}
        if not addresses:
            return own
        here, hashes = tables.suppression.c.address_key, list(addresses)
        for start in range(0, len(hashes), PAGE):
            query = select(here).where(here.in_(hashes[start : start + PAGE]))
            own |= {addresses[shadow]: shadow for shadow in connection.execute(query).scalars()}
        return own

    def require(self, connection: Connection) -> None:
        """Raises `StorageError` when people were erased here and nobody could tell who: without the secret,
        or with another one, an import or a report would bring them, or their address, back."""
        if self._sure or self._is_right(connection):
            self._sure = True
            return
        erased = select(tables.suppression.c.reason).where(HIDDEN)
        if connection.execute(erased.limit(1)).first() is not None:
            wrong = "without" if self._of is None else "with another"
            raise StorageError(
                f"people were erased here, and {wrong} WEEKBRIEF_SECRET nobody can tell who must not be "
                "added again; set it as it was"
            )

    def _is_right(self, connection: Connection) -> bool:
        if self._of is None or self._fingerprint is None:
            return self._of is not None
        known = connection.execute(select(tables.installation.c.secret_fingerprint)).scalar_one()
        return known in (None, self._fingerprint)
