from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.losses.quadratic import quadratic_terms

F64 = {"dtype": torch.float64}


def test_gradient_is_that_of_the_mean_square():
    theta = torch.tensor([1.0, -2.0], requires_grad=True, **F64)
    terms = quadratic_terms(theta)
    for name in terms.residuals:
        (expected,) = torch.autograd.grad(terms.loss(name), theta, retain_graph=True)
        torch.testing.assert_close(terms.gradient(name), expected)
    torch.testing.assert_close(terms.gradient("pde", "boundary"), terms.gradient("pde") + terms.gradient("boundary"))


def test_the_graph_survives():
    theta = torch.tensor([1.0, -2.0], requires_grad=True, **F64)
    terms = quadratic_terms(theta)
    terms.gradient("pde")
    terms.loss("pde").backward()
    assert theta.grad is not None


def test_frozen_and_unused_weights():
    used, unused, frozen = (torch.ones(2, **F64) for _ in range(3))
    used.requires_grad_(), unused.requires_grad_()
    terms = quadratic_terms(used * frozen, parameters=[used, unused, frozen])
    assert terms.gradient("pde").shape == (4,)  # the frozen weight is left out
    assert not terms.gradient("pde")[2:].any()  # the unused one counts as zero
    constant = quadratic_terms(frozen, parameters=[used])
    assert torch.equal(constant.gradient("pde"), torch.zeros(2, **F64))
    assert quadratic_terms(frozen, parameters=[frozen]).gradient("pde").shape == (0,)


def test_weighted_terms_have_weighted_losses():
    theta = torch.tensor([1.0, -2.0], requires_grad=True, **F64)
    terms = quadratic_terms(theta)
    weighted = terms.weighted({"pde": torch.tensor(4.0, **F64), "boundary": torch.tensor([9.0, 0.0], **F64)})
    assert weighted.loss("pde").item() == pytest.approx(4 * terms.loss("pde").item())
    assert weighted.loss("boundary").item() == pytest.approx(9 * terms.residuals["boundary"][0].item() ** 2 / 2)
    torch.testing.assert_close(weighted.gradient("pde"), 4 * terms.gradient("pde"))


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_a_power_counts_in_loss_gradient_and_weight(power):
    theta = torch.tensor([1.0, -2.0], requires_grad=True, **F64)
    terms = replace(quadratic_terms(theta), powers={"pde": power})
    assert terms.loss("pde").item() == pytest.approx((3**power + 2**power) / 2)
    (expected,) = torch.autograd.grad(terms.loss("pde"), theta, retain_graph=True)
    torch.testing.assert_close(terms.gradient("pde"), expected)
    weighted = terms.weighted({name: torch.tensor(4.0, **F64) for name in terms.residuals})
    assert weighted.loss("pde").item() == pytest.approx(4 * terms.loss("pde").item())
    torch.testing.assert_close(weighted.gradient("pde"), 4 * terms.gradient("pde"))
