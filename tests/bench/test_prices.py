"""What storage requests cost."""

import pytest

from bench import prices


def test_a_million_operations_cost_what_their_requests_cost() -> None:
    """Tables are charged at a tenth of queues; polls are requests to a queue."""
    cost = prices.of_operations("bulk", {"table transaction": 0.5, "queue put": 0.25}, 0.25)

    assert cost.requests == 1_000_000
    assert cost.dollars == round(500_000 * prices.TABLE / 10_000 + 500_000 * prices.QUEUE / 10_000, 2)


def test_an_idle_hour_costs_little() -> None:
    """Kinds are those of an idle hour, with the words that say what made them."""
    cost = prices.of_hour("idle", {"queue poll": 3600, "table query by the sweep": 960, "blob delete": 5})

    assert cost.requests == 4565
    assert cost.dollars == pytest.approx(0.00144 + 0.00003456, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        ("table query", prices.TABLE),
        ("queue manage", prices.QUEUE),
        ("blob write", prices.BLOB_WRITE),
        ("blob list", prices.BLOB_WRITE),
        ("blob lease by the host's timers", prices.BLOB_READ),
        ("blob delete", 0),
    ],
)
def test_every_kind_of_request_has_a_price(kind: str, price: float) -> None:
    """By ten thousand."""
    assert prices.of_request(kind) * 10_000 == pytest.approx(price)


def test_what_has_no_price_is_refused() -> None:
    """A kind that nobody thought of is not free."""
    with pytest.raises(ValueError, match="There is no price for 'file read'"):
        prices.of_request("file read")
