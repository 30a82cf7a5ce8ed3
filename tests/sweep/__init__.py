"""The sweep: a sender that is really killed at every named place, while its provider misbehaves.

    crash point × provider fault × kind of provider × database  ─▶  start again until done  ─▶  judge

A scenario (`scenario`) is drawn from a seed. A stand (`stand`) plays it with real processes: the sender is
forked from a warm process (`zygote`) and ends itself with SIGKILL at the named place, the provider is
`tests.fault_provider`. The judge (`judge`) reads the provider's truth log and the ledger, never what the
sender says of itself. `python -m tests.sweep --runs 10000 --seed 1` is the long sweep.
"""
