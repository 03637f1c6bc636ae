"""What sealing adds to a hand-off of a crew, in CPU time of the process.

    python bench_crew.py [--rounds 60] [--bytes 4096] [--home memory]

Crews with a scripted model run sealed and unsealed in turn, so that both meet the same machine. A crew's first kickoff finds
no lanes and makes an opening of every message; its later ones find a lane for every pair. What a kickoff costs unsealed is
taken away from what it costs sealed, first from first and later from later; the rest is divided by the number of hand-offs.
A hand-off is everything between an agent and its caller: the prompt, one envelope for each earlier agent's words, and the
result. Making the home and the identities belongs to seal(), which is measured by itself. Python's garbage is collected between crews and
not while one is measured: a collection takes longer than a hand-off, and whom it hits is chance.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conftest  # noqa: F401 - keeps CrewAI quiet
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from scenarios import ScriptedModel, final

from sealwire.crewai import seal

TARGETS = {"opening": 3.0, "lane": 1.0}
"""Milliseconds of CPU that sealing may add to a hand-off, on a machine where CrewAI itself takes `REFERENCE`."""

REFERENCE = 13.0
"""Milliseconds of CPU that a hand-off takes unsealed where the targets were set; a slower machine may take longer for both."""

ROLES = ("Reader", "Analyst", "Writer")


def crew_of(size: int) -> Crew:
    """Three agents in a row; each answers with `size` bytes, and reads all answers before its own."""
    filler = "lorem ipsum dolor sit amet " * (size // 27 + 1)
    model = ScriptedModel(lambda said: final(filler[:size]))
    agents: list[Any] = [Agent(role=role, goal="work", backstory="works", llm=model) for role in ROLES]
    tasks = [Task(description=f"part {agent.role}", expected_output="text", agent=agent) for agent in agents]
    return Crew(agents=agents, tasks=tasks)


def cpu(call: Callable[[], Any]) -> float:
    """Milliseconds of CPU, of all threads, that `call` takes, with what it leaves to CrewAI's event threads."""
    started = time.process_time()
    call()
    _flush()
    return (time.process_time() - started) * 1000


_flush: Callable[[], Any] = getattr(crewai_event_bus, "flush", lambda: None)


class Costs:
    """The measured kickoffs, sealed and not, first and later."""

    def __init__(self) -> None:
        self.first: dict[bool, list[float]] = {True: [], False: []}
        self.later: dict[bool, list[float]] = {True: [], False: []}
        self.seal: list[float] = []
        self.envelopes = 0.0
        """How many make a hand-off."""

    def measure(self, size: int, home: Path | None, laters: int, order: tuple[bool, bool]) -> None:
        """A crew that is sealed and one that is not: the first kickoff of each, then later ones in turn."""
        gc.collect()
        crews = {sealed: crew_of(size) for sealed in order}
        self.seal.append(cpu(lambda: seal(crews[True], home=home)))
        for sealed in order:
            self.first[sealed].append(cpu(crews[sealed].kickoff))
        openings = _forms(crews[True])
        for _ in range(laters):
            for sealed in order:
                self.later[sealed].append(cpu(crews[sealed].kickoff))
        forms = _forms(crews[True])
        _require(openings["lane"] == 0, "the first kickoff found a lane")
        _require(forms["opening"] == openings["opening"], "a later kickoff made an opening")
        self.envelopes = openings["opening"] / len(ROLES)

    def added(self, costs: dict[bool, list[float]]) -> list[float]:
        """Milliseconds added to one hand-off: of each sealed kickoff, compared with the unsealed one beside it."""
        return [(ours - theirs) / len(ROLES) for ours, theirs in zip(costs[True], costs[False], strict=True)]


def _forms(crew: Any) -> Counter[str]:
    return Counter(message.form for message in crew.sealwire.messages)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"not measured: {otherwise}")


def measured(rounds: int, size: int, laters: int, in_memory: bool) -> Costs:
    costs = Costs()
    gc.disable()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        for number in range(rounds + 2):
            if number == 2:
                costs = Costs()  # the first rounds import and compile
            home = None if in_memory else Path(folder) / f"home-{number}"
            costs.measure(size, home, laters, (True, False) if number % 2 else (False, True))
    return costs


def report(costs: Costs, size: int) -> dict[str, Any]:
    rows = {}
    pace = statistics.median(costs.later[False]) / len(ROLES) / REFERENCE
    for form, kickoffs in (("opening", costs.first), ("lane", costs.later)):
        added = costs.added(kickoffs)
        bare = statistics.median(kickoffs[False]) / len(ROLES)
        rows[form] = {
            "crewai_ms": round(bare, 3),
            "added_ms": round(statistics.median(added), 3),
            "added_ms_quartiles": [round(each, 3) for each in statistics.quantiles(added, n=4)[::2]],
            "ratio": round(1 + statistics.median(added) / bare, 3),
            "target_ms": round(TARGETS[form] * pace, 3),
            "kickoffs": len(added),
        }
    return {"bytes": size, "envelopes": costs.envelopes, "hand_offs": rows, "seal_ms": round(statistics.median(costs.seal), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="crews measured, sealed and not (default 60)")
    parser.add_argument("--later", type=int, default=3, help="kickoffs of each crew after its first (default 3)")
    parser.add_argument("--bytes", type=int, default=4096, help="length of each answer (default 4096)")
    parser.add_argument("--home", choices=["folder", "memory"], default="folder", help="where keys are kept")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    costs = measured(chosen.rounds, chosen.bytes, chosen.later, chosen.home == "memory")
    shown = report(costs, chosen.bytes)
    if chosen.json:
        print(json.dumps(shown, indent=2))
    else:
        print(f"CPU time of a hand-off ({shown['envelopes']:g} envelopes), answers of {chosen.bytes} bytes, home in {chosen.home}, medians")
        for form, row in shown["hand_offs"].items():
            low, high = row["added_ms_quartiles"]
            verdict = "met" if row["added_ms"] < row["target_ms"] else "MISSED"
            print(
                f"  {form:<8} CrewAI {row['crewai_ms']:6.2f} ms   sealing adds {row['added_ms']:5.2f} ms"
                f" (quartiles {low:.2f} to {high:.2f}, {row['kickoffs']} kickoffs)   x {row['ratio']:.3f}"
                f"   target < {row['target_ms']:.2f} ms: {verdict}"
            )
        print(f"  targets: {TARGETS['opening']:g} and {TARGETS['lane']:g} ms where CrewAI takes {REFERENCE:g}, in proportion here")
        print(f"  seal()   {shown['seal_ms']:.2f} ms, once for a crew: its home and the identities of its agents")
    return 0 if all(row["added_ms"] < row["target_ms"] for row in shown["hand_offs"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
