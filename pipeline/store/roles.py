"""What the public pages need of a PostgreSQL database, so that they can have a role of their own.

The pages stand on the open internet. Whoever takes their database password should be able to spoil no more
than the pages can: no edition, no frozen audience, no ledger. (SQLite has no roles: there the file is
whoever's who can read it.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.store import tables

PAGES: Mapping[str, tuple[str, ...]] = {
    "alembic_version": ("SELECT",),
    tables.installation.name: ("SELECT",),
    tables.subscriber.name: ("SELECT", "INSERT", "UPDATE"),
    tables.consent.name: ("SELECT", "INSERT", "UPDATE (network, network_salt)"),
    tables.suppression.name: ("SELECT", "INSERT", "UPDATE", "DELETE"),
    tables.address_change.name: ("SELECT", "INSERT", "UPDATE"),
    tables.join_count.name: ("SELECT", "INSERT", "UPDATE", "DELETE"),
    # Reports are left here for the sender, who alone acts on them; who is erased is erased from them too.
    tables.incoming.name: ("SELECT", "INSERT", "UPDATE (body, headers)", "DELETE"),
    tables.event.name: ("SELECT", "UPDATE (detail)"),
    tables.slot.name: ("SELECT",),
    tables.edition.name: ("SELECT",),
    tables.batch.name: ("SELECT",),
    # To forget somebody: from every edition, and from the one that is going out. Never to whom a letter goes.
    tables.delivery.name: ("SELECT", "UPDATE (address, address_key, name, state, reason)"),
}
"""Table → privileges (PostgreSQL, GRANT)."""

_COUNTED = (tables.subscriber, tables.consent, tables.address_change, tables.incoming)


def grants_for_pages(role: str) -> Iterator[str]:
    """The SQL statements, each a line, that give `role` what the pages need. Raises ValueError for a name
    that cannot be one."""
    if not role or "\0" in role or len(role.encode()) > 63:
        raise ValueError(f"{role!r} is no name for a role")
    name = '"' + role.replace('"', '""') + '"'
    yield f"GRANT USAGE ON SCHEMA public TO {name};"
    for table, privileges in PAGES.items():
        yield f"GRANT {', '.join(privileges)} ON TABLE {table} TO {name};"
    for counted in _COUNTED:
        yield f"GRANT USAGE ON SEQUENCE {counted.name}_id_seq TO {name};"
