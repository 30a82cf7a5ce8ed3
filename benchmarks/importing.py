"""What a large list costs: `python -m benchmarks.importing [PEOPLE]`, on SQLite in a temporary folder.

Imports PEOPLE (a million unless told) as a child process, imports them again, exports them, and prints the
seconds of each and the most memory it held.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

PEOPLE = 1_000_000
SCHEDULE = {
    "newsletter": {
        "name": "Stille post",
        "sender": "brief@stillepost.example",
        "language": "nl",
        "address": "Dorpsstraat 1, Utrecht",
        "url": "https://brief.stillepost.example",
    },
    "sources": [{"folder": "posts"}],
    "schedule": {"every": "week", "on": "sunday", "at": "08:00", "timezone": "Europe/Amsterdam"},
    "provider": {"name": "outbox"},
}


@dataclass(frozen=True)
class Cost:
    """Of one command."""

    seconds: float
    processor: float
    """Seconds of it that the processor worked for us: what counts on a machine that does other things too."""
    megabytes: float
    """The most that was resident."""
    said: str


def main(people: int = PEOPLE) -> int:
    with tempfile.TemporaryDirectory() as name:
        for step, cost in costs(Path(name), people).items():
            print(
                f"{step:<14} {cost.seconds:7.1f} s  {cost.processor:7.1f} s of processor  "
                f"{cost.processor / people * 1e6:6.1f} µs each  {cost.megabytes:5.0f} MB  {cost.said}"
            )
    return 0


def costs(folder: Path, people: int) -> dict[str, Cost]:
    """Import, import again, export both ways: what each cost."""
    (folder / "posts").mkdir()
    (folder / "schedule.yaml").write_text(json.dumps(SCHEDULE), "utf-8")
    write_list(folder / "list.csv", people)
    importing = ("import", str(folder / "list.csv"), "--confirmed", "--source", "old", "--date", "2024-05-01")
    return {
        "import": measured(folder, *importing),
        "import again": measured(folder, *importing),
        "export csv": measured(folder, "export", "--output", str(folder / "out.csv")),
        "export jsonl": measured(
            folder, "export", "--format", "jsonl", "--output", str(folder / "out.jsonl")
        ),
    }


def write_list(file: Path, people: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write("email,name,language,status\n")
        for number in range(people):
            status = "unsubscribed" if number % 50 == 49 else "active"
            out.write(f"reader{number}@voorbeeld{number % 997}.example,Lezer Nummer {number},nl,{status}\n")


def measured(folder: Path, *words: str) -> Cost:
    command = [sys.executable, "-m", "pipeline", "-c", str(folder / "schedule.yaml"), "subscribers", *words]
    own = {key: value for key, value in os.environ.items() if not key.startswith("WEEKBRIEF_")}
    began = monotonic()
    with subprocess.Popen(
        command,
        env={**own, "WEEKBRIEF_SECRET": "a secret of this benchmark and of nothing else"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as done:
        said = done.stdout.read().strip().splitlines() if done.stdout else []
        _, status, usage = os.wait4(done.pid, 0)
        done.returncode = os.waitstatus_to_exitcode(status)
    if done.returncode:
        raise SystemExit("\n".join(said))
    last = said[-1].replace(str(folder), "") if said else ""
    worked = usage.ru_utime + usage.ru_stime
    return Cost(seconds=monotonic() - began, processor=worked, megabytes=_peak(usage), said=last)


def _peak(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
