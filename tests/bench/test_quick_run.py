"""The whole benchmark, at its smallest."""

import json
import subprocess
import sys
from pathlib import Path

from bench.children import ROOT
from bench.plan import QUICK


def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    """Every way of ours, the peer on the same emulator, latency, hosts, idle hours and cost are in the results."""
    output = tmp_path / "latest.json"

    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--markdown", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = json.loads(output.read_text())
    assert [way["operations"] for way in results["ours"]] == [each.operations for each in QUICK.loads]
    assert all(measured["per_second"]["middle"] > 0 and measured["own"] > 0 for measured in results["ours"])
    assert all("Celery on Azure Storage" in ratios for ratios in results["ratios"].values())
    assert len({peer["name"].partition(";")[0] for peer in results["peers"]}) + len(results["skipped"]) == 2
    # Alone and below capacity with the local settings, alone with those for Azure; to the start and to the end.
    assert [each["operations"] > 1 for each in results["latency"]] == [True] * 6
    assert [each["name"] for each in results["idle"]] == ["local settings", "Azure settings"]
    assert all(each["per_hour"] > 0 for each in results["idle"])
    # Insert, hint, claim, settle, delete the hint: no operation can do without any of them.
    assert results["lone"]["own"] >= 5
    assert [(each["hosts"], each["workers"]) for each in results["hosting"]] == list(QUICK.hosting)
    assert all(sum(each["measured"]["shares"]) == each["measured"]["operations"] for each in results["hosting"])
    assert all(each["dollars"] > 0 for each in results["costs"])
    assert "| submit_many |" in ran.stdout
