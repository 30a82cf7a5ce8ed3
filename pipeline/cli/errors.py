"""Which exit code an error of ours means. Anything that is not listed is a fault of the program."""

from __future__ import annotations

from pipeline.report import Exit


def exit_code_of(error: Exception) -> int | None:
    """The code for an error that a person can mend, or None for an unexpected one."""
    from emails.render import RenderError
    from pipeline.check.week import NotFit
    from pipeline.complaints import SettingsError
    from pipeline.due import NoSuchSlot, NotATime
    from pipeline.store.editions import LedgerMismatch
    from pipeline.store.engine import StorageError, StorageTrouble
    from pipeline.store.ledger import LostLease
    from pipeline.store.lock import AnotherRun
    from subscribers.tokens import SecretError

    if isinstance(error, StorageTrouble):
        return Exit.UNAVAILABLE if error.passing else Exit.HELD
    table: tuple[tuple[type[Exception], int], ...] = (
        (SettingsError, Exit.WRONG_USE),
        (SecretError, Exit.WRONG_USE),
        (StorageError, Exit.WRONG_USE),
        (NotATime, Exit.WRONG_USE),
        (NoSuchSlot, Exit.WRONG_USE),
        (RenderError, Exit.HELD),
        (NotFit, Exit.HELD),
        (LedgerMismatch, Exit.HELD),
        (AnotherRun, Exit.ANOTHER_RUN),
        (LostLease, Exit.ANOTHER_RUN),
    )
    return next((code for kind, code in table if isinstance(error, kind)), None)
