"""Medians and percentiles of small samples."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that *percent* of all values do not exceed: nearest rank."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]
