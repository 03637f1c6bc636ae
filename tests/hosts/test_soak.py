"""Nothing lost, nothing twice: requests between two hosts while packets, cables, processes and the broker fail (`soak.py`)."""

from __future__ import annotations

import pytest
from soak import Plan, soak


@pytest.mark.parametrize(("over", "workers", "seed"), [("tcp", 1, 22), ("jetstream", 1, 38)])
def test_every_request_is_answered_once(over: str, workers: int, seed: int) -> None:
    """5,000 requests, the last of them in peace. With these seeds all that can fail does, the cable included."""
    plan = Plan(over, 5_000, seed, per_second=100, workers=workers, failing=45, longest=600)
    assert soak(plan).troubles == []


def test_the_soak_can_fail() -> None:
    """The positive control: a worker that forgets what it had taken in does it twice and is not told."""
    plan = Plan(
        "tcp", 1_000, 22, per_second=100, every=(0.3, 0.6), kinds=("worker killed",), loses_packets=False, forgets=True, longest=600
    )
    assert any("not told" in trouble for trouble in soak(plan).troubles)
