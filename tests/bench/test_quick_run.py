"""The whole benchmark, at its smallest."""

import json
import subprocess
import sys
from pathlib import Path

from bench.children import ROOT
from bench.plan import QUICK


def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    """Every way of ours, the peer on the same emulator, latency, the idle service and memory are in the results."""
    output = tmp_path / "latest.json"

    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = json.loads(output.read_text())
    assert [way["operations"] for way in results["ours"]] == [QUICK.operations] * 5
    assert results["peers"][0]["name"] == "Celery on Azure Storage"
    assert all(measured["per_second"] > 0 and measured["own"] > 0 for measured in results["ours"])
    assert [each["operations"] for each in results["latency"]] == [QUICK.lone, QUICK.lone]
    assert results["idle"]["per_minute"] > 0
    # Insert, hint, claim, settle, delete the hint: no operation can do without any of them.
    assert results["lone"]["own"] >= 5
    assert len(results["peers"]) + len(results["skipped"]) == 2
