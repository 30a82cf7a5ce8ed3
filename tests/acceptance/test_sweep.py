"""The short sweep: real senders, really killed at every named place, against a provider that misbehaves.

The long one is `make sweep`; its last result stands in `docs/reliability.md`.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.sweep.points import BESIDE, SWEPT, Kind, in_code
from tests.sweep.scenario import FAULTS, SEVERAL, STORAGES, Scenario, again, grid, many_kills, short
from tests.sweep.stand import Stand

SEED = random.SystemRandom().randrange(10**6)
MEMORY = Path("/dev/shm")

Cell = tuple[str, str]


def _cells() -> dict[Cell, list[Scenario]]:
    cells: dict[Cell, list[Scenario]] = defaultdict(list)
    for scenario in short(SEED):
        cells[scenario.storage, SEVERAL if scenario.point == SEVERAL else scenario.kind].append(scenario)
    return cells


CELLS = _cells()


@pytest.fixture(scope="module")
def stand(postgres_server: str) -> Iterator[Stand]:
    """One for all: its database is emptied and its provider started over for each scenario."""
    where = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="sweep", dir=where) as folder,
        Stand(Path(folder) / "stand", server=postgres_server, name="short_sweep") as opened,
    ):
        yield opened


def played(stand: Stand, scenarios: list[Scenario]) -> set[str]:
    """Play them; fail with everything that a scenario complains of. Gives the places of death."""
    print(f"seed {SEED}; play one again: python -m tests.sweep --again 'ID'")
    died: set[str] = set()
    for scenario in scenarios:
        result = stand.play(scenario)
        died.update(result.deaths)
        assert not result.complaints, "\n".join([f"--again '{scenario.id}'", *result.complaints])
    return died


def test_every_crash_point_in_the_code_is_swept() -> None:
    assert in_code() == set(SWEPT) | set(BESIDE)


def test_the_short_sweep_holds_every_place_and_every_fault_on_both_databases() -> None:
    for storage in STORAGES:
        of_it = [scenario for scenario in short(SEED) if scenario.storage == storage]
        assert {scenario.fault for scenario in of_it} == set(FAULTS)
        assert {scenario.point for scenario in of_it} == {*SWEPT, SEVERAL}


@pytest.mark.parametrize("seed", range(20))
def test_in_the_short_sweep_no_fault_can_keep_a_sender_from_any_place(seed: int) -> None:
    undisturbed = {(run.storage, run.kind, run.point) for run in short(seed) if run.fault == "none"}
    for storage, kind, (point, reach) in product(STORAGES, Kind, SWEPT.items()):
        if kind in reach.kinds and (reach.often or reach.after):
            assert (storage, kind, point) in undisturbed


def test_the_long_sweep_holds_every_combination() -> None:
    assert len(grid()) == len(set(grid()))
    for storage in STORAGES:
        for point, reach in SWEPT.items():
            for kind in reach.kinds:
                assert {(storage, kind, point, fault) for fault in FAULTS} <= set(grid())


def test_a_scenario_can_be_played_again_from_its_id() -> None:
    for scenario in short(SEED):
        assert again(scenario.id) == scenario


@pytest.mark.slow
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.fault(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 46, 47, 52, 54, 57, 58, 59, 60, 67, 80)
def test_killed_at_every_place_while_the_provider_misbehaves(stand: Stand, storage: str, kind: Kind) -> None:
    died = played(stand, CELLS[storage, kind])
    swept = {point for point, reach in SWEPT.items() if kind in reach.kinds}
    assert swept <= died, f"nobody died at {sorted(swept - died)}"


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.fault(15, 16)
def test_many_kills_in_a_row(stand: Stand, storage: str) -> None:
    died = played(stand, [*CELLS[storage, SEVERAL], *(many_kills(seed, storage) for seed in (1, 2, 3))])
    assert len(died) > 3
