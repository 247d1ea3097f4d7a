"""Which items a step sees."""

from __future__ import annotations

import pytest
import torch

from sciml.errors import InputError
from sciml.problem import Points
from sciml.training import Epochs, distributed


class Items:
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def batch_of(self, rows, draws):
        return {"items": Points(draws[:, None], rows=rows)}


def drawn(sampler, steps, count=20):
    generator = torch.Generator()
    return [sampler(Items(count), step, generator)["items"] for step in range(steps)]


def test_every_item_once_an_epoch_in_another_order():
    batches = drawn(Epochs(size=6), 9)
    epochs = [torch.cat([b.rows for b in batches[i : i + 3]]) for i in (0, 3, 6)]
    for rows in epochs:
        assert len(rows.unique()) == 18  # a rest of two is left out
    assert not torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[1], epochs[2])
    assert not torch.equal(batches[0].coordinates, batches[3].coordinates)


def test_the_order_follows_from_the_seed_alone():
    first, same, other = (drawn(Epochs(size=6, seed=seed), 7) for seed in (1, 1, 2))
    for a, b in zip(first, same, strict=True):
        assert torch.equal(a.rows, b.rows) and torch.equal(a.coordinates, b.coordinates)
    assert not any(torch.equal(a.rows, b.rows) for a in first for b in other)


def test_a_restored_order_goes_on():
    whole = drawn(Epochs(size=6), 8)
    begun, resumed = Epochs(size=6), Epochs(size=6)
    drawn(begun, 5)
    resumed.load_state_dict(begun.state_dict())
    assert torch.equal(resumed(Items(20), 5, torch.Generator())["items"].rows, whole[5].rows)


def test_processes_share_every_batch(monkeypatch):
    whole = drawn(Epochs(size=6), 4)
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(drawn(Epochs(size=6), 4))
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[step].rows for part in parts]), batch.rows)
        assert torch.equal(torch.cat([part[step].coordinates for part in parts]), batch.coordinates)
    with pytest.raises(InputError, match="8 items cannot be shared by 3 processes"):
        drawn(Epochs(size=8), 1)


def test_fewer_items_than_a_batch_are_one_batch():
    (batch,) = drawn(Epochs(size=32), 1)
    assert sorted(batch.rows.tolist()) == list(range(20))
    assert Epochs(size=32).steps(20) == 1 and Epochs(size=6).steps(20) == 3
    with pytest.raises(InputError, match="size must be at least 1"):
        Epochs(size=0)
