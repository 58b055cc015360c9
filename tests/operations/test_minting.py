"""Ids of what is submitted together stand together, in the order of their submission."""

from datetime import timedelta
from random import Random

import pytest

from asyncservice.operations import ids
from asyncservice.operations.minting import Mint
from tests.support import NOON

SHARDS = 16


def places(mint: Mint, count: int) -> list[ids.Place]:
    made = mint.ids([None] * count, shards=SHARDS, now=NOON)
    return [ids.place_of(each, SHARDS, NOON) for each in made]


def a_mint(seed: int = 1) -> Mint:
    return Mint(run=50, random_bits=Random(seed).getrandbits)


@pytest.mark.parametrize("count", [1, 120, 5000])
def test_a_batch_stands_together_by_the_run_and_in_order(count: int) -> None:
    made = places(a_mint(), count)
    assert len(set(made)) == count
    for start in range(0, count, 50):
        assert len({place.partition for place in made[start : start + 50]}) == 1
    if count <= 4096:
        assert [place.key for place in made] == sorted(place.key for place in made)


def test_the_runs_of_a_batch_spread_over_the_partitions() -> None:
    assert len({place.partition for place in places(a_mint(), 50 * SHARDS)}) == SHARDS


def test_what_one_submitter_submits_one_by_one_stays_together_for_a_short_while() -> None:
    mint = a_mint()
    made = [place for _ in range(20) for place in places(mint, 1)]
    assert len({place.partition for place in made}) == 1
    assert [place.key for place in made] == sorted(place.key for place in made)

    [later] = mint.ids([None], shards=SHARDS, now=NOON + timedelta(milliseconds=40))
    assert ids.partition_of(later, SHARDS) != made[0].partition


def test_submitters_begin_at_different_partitions() -> None:
    assert len({places(a_mint(seed), 1)[0].partition for seed in range(30)}) > SHARDS // 2


def test_operations_of_a_token_stand_in_its_partition() -> None:
    made = a_mint().ids(["orders", None, "orders"], shards=SHARDS, now=NOON)
    own = ids.partition_name(ids.token_shard("orders", SHARDS))
    assert [ids.partition_of(made[index], SHARDS) for index in (0, 2)] == [own, own]
