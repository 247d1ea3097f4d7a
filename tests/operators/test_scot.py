"""Shifted-window cosine attention against a patch-by-patch computation from the formulas."""

from __future__ import annotations

import math

import pytest
import torch

from operators import ScOT, Size
from operators.trunk import Block
from operators.weights import initialise
from operators.window_attention import WindowAttention
from sciml.errors import InputError


def by_patch(attention, x):
    """Attention of every patch of ``x`` (H, W, C) over those in its window, one head at a time, before the norm."""
    rows, columns, channels = x.shape
    window = [min(attention.window, n) for n in (rows, columns)]
    shift = [w // 2 if attention.shifted and n > w else 0 for n, w in zip((rows, columns), window, strict=True)]

    def place(i, axis):
        """Number of the window and position in it."""
        n, w, s = (rows, columns)[axis], window[axis], shift[axis]
        moved = i - s
        if attention.padding == "periodic":
            moved %= -(-n // w) * w
        return moved // w, moved

    def bias(p, q):
        offsets = []
        for axis in (0, 1):
            d = 8 * (place(p[axis], axis)[1] - place(q[axis], axis)[1]) / max(window[axis] - 1, 1)
            offsets.append(math.copysign(math.log2(abs(d) + 1) / math.log2(8), d))
        return 16 * torch.sigmoid(attention.position_bias(torch.tensor(offsets, dtype=x.dtype)))

    query, key, value = attention.query(x), attention.key(x), attention.value(x)
    scale = torch.exp(torch.clamp(attention.logit_scale, max=math.log(100)))
    size = channels // attention.heads
    patches = [(i, j) for i in range(rows) for j in range(columns)]
    output = torch.empty_like(x)
    for p in patches:
        seen = [q for q in patches if all(place(p[a], a)[0] == place(q[a], a)[0] for a in (0, 1))]
        for head in range(attention.heads):
            part = slice(head * size, (head + 1) * size)
            a = query[p][part] / query[p][part].norm()
            logits = [scale[head] * torch.dot(a, key[q][part] / key[q][part].norm()) + bias(p, q)[head] for q in seen]
            weights = torch.softmax(torch.stack(logits), 0)
            output[p][part] = sum(w * value[q][part] for w, q in zip(weights, seen, strict=True))
    return attention.output(output)


def normalised(x, norm, time):
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)
    return (norm.scale.weight[:, 0] * time + norm.scale.bias) * y + norm.shift.weight[:, 0] * time + norm.shift.bias


@pytest.mark.parametrize("padding", ["zeros", "periodic"])
@pytest.mark.parametrize(
    ("grid", "shifted"), [((4, 4), False), ((8, 8), True), ((4, 8), True), ((6, 9), True), ((3, 1), True)]
)
def test_block(grid, shifted, padding):
    generator = torch.Generator().manual_seed(0)
    block = Block(4, WindowAttention(4, 2, 4, shifted, padding)).double()
    initialise(block, generator)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        # one head beyond the highest allowed scale of the logits
        block.mixer.logit_scale[1] = 5.0
        x = torch.randn(2, *grid, 4, generator=generator, dtype=torch.float64)
        time = torch.tensor([[0.3], [1.2]], dtype=torch.float64)
        expected = []
        for fields, t in zip(x, time, strict=True):
            y = fields + normalised(by_patch(block.mixer, fields), block.mixer.norm, t)
            expected.append(y + normalised(block.feed_forward(y), block.norm, t))
        torch.testing.assert_close(block(x, time), torch.stack(expected), rtol=1e-9, atol=1e-9)


def test_periodic_windows_move_by_their_width():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 8, 12, 4, generator=generator)
    for padding in ("zeros", "periodic"):
        attention = WindowAttention(4, 2, 4, True, padding)
        initialise(attention, generator)
        with torch.no_grad():
            y, moved = attention(x, torch.ones(1, 1)), attention(x.roll((4, -4), (1, 2)), torch.ones(1, 1))
        assert torch.allclose(moved, y.roll((4, -4), (1, 2)), atol=1e-5) == (padding == "periodic")


def test_blocks_alternate_and_the_decoder_mirrors():
    network = ScOT(1, 1, "tiny")
    assert [[block.mixer.shifted for block in stage] for stage in network.encoder] == [[False, True]] * 3
    assert [[block.mixer.shifted for block in stage] for stage in network.decoder] == [[True, False]] * 3


def test_heads_must_divide_the_channels():
    with pytest.raises(InputError, match="heads = 3"):
        ScOT(1, 1, Size(8, depths=(1,), skips=(0,), heads=(3,)))
    with pytest.raises(InputError, match="patch_size"):
        ScOT(1, 1, "tiny", paper_exact=True, patch_size=2)
