"""Block-sparse QR against the dense solution."""

from __future__ import annotations

import pytest
import torch

from sciml.errors import InputError
from sciml.optim.block_sparse import BlockQR, Rows, minimum_degree


def grid_problem(nx=3, ny=3, n=5, k=2):
    """Blocks on a grid, each with its own rows and coupling rows to its right and upper neighbours."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    sizes = [n + (b % 2) for b in range(nx * ny)]
    rows = [Rows({b: draw(2 * n, sizes[b])}, draw(2 * n, k)) for b in range(nx * ny)]
    for i in range(nx):
        for j in range(ny):
            for other in ([i + 1, j], [i, j + 1]):
                if other[0] < nx and other[1] < ny:
                    a, b = i * ny + j, other[0] * ny + other[1]
                    rows.append(Rows({a: draw(3, sizes[a]), b: draw(3, sizes[b])}, draw(3, k)))
    return rows, sizes


def dense(rows, sizes):
    starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    matrix = torch.zeros(sum(len(r.right) for r in rows), sum(sizes), dtype=torch.float64)
    row = 0
    for group in rows:
        for b, block in group.matrices.items():
            matrix[row : row + len(group.right), starts[b] : starts[b + 1]] = block
        row += len(group.right)
    return matrix, torch.cat([r.right for r in rows])


def test_solution_equals_dense_least_squares():
    rows, sizes = grid_problem()
    matrix, right = dense(rows, sizes)
    expected = torch.linalg.lstsq(matrix, right).solution
    factor = BlockQR(rows, sizes)
    torch.testing.assert_close(torch.cat(factor.solve()), expected, rtol=1e-10, atol=1e-12)
    residual = (matrix @ expected - right).norm(dim=0)
    torch.testing.assert_close(factor.residual_norm, residual, rtol=1e-10, atol=1e-12)


def test_fronts_of_several_panels_and_blocks_that_overtake_others():
    """Block 0 leaves rows on 1, 2 and 3; then 3 is eliminated together with 1, before 2, which is touched by more."""
    generator, sizes = torch.Generator().manual_seed(0), [70, 90, 80, 110, 60]
    rows = []
    for blocks in ((0, 1, 2, 3), (0, 1), (2, 4), (4,), (2,), (1, 3)):
        matrices = {b: torch.randn(400, sizes[b], dtype=torch.float64, generator=generator) for b in blocks}
        rows.append(Rows(matrices, torch.randn(400, 2, dtype=torch.float64, generator=generator)))
    expected = torch.linalg.lstsq(*dense(rows, sizes)).solution
    found = BlockQR(rows, sizes, order=[0, 1, 2, 3, 4]).solve()
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-10, atol=1e-12)


def test_normal_solve_is_the_adjoint():
    rows, sizes = grid_problem()
    matrix, _ = dense(rows, sizes)
    gradient = torch.randn(sum(sizes), 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    solution = torch.cat(BlockQR(rows, sizes).solve_normal(list(gradient.split(sizes))))
    torch.testing.assert_close(matrix.T @ (matrix @ solution), gradient, rtol=1e-9, atol=1e-9)


def test_dependent_columns_stay_bounded():
    rows, sizes = grid_problem(2, 1)
    first = rows[0].matrices[0].clone()
    first[:, 1] = first[:, 0]
    coupling = rows[2].matrices[0].clone()
    coupling[:, 1] = coupling[:, 0]
    rows[0], rows[2] = Rows({0: first}, rows[0].right), Rows({0: coupling, 1: rows[2].matrices[1]}, rows[2].right)
    solution = BlockQR(rows, sizes, ridge=1e-5).solve()
    matrix, right = dense(rows, sizes)
    best = torch.linalg.lstsq(matrix, right, driver="gelsd").solution
    torch.testing.assert_close(matrix @ torch.cat(solution), matrix @ best, rtol=1e-6, atol=1e-6)
    assert torch.cat(solution).abs().max() < 1e3


def test_chains_are_eliminated_from_their_ends():
    rows, _ = grid_problem(5, 1)
    assert minimum_degree(rows, 5)[0] in (0, 4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one group"),
        ([Rows({0: torch.zeros(2, 3)}, torch.zeros(2, 1))], r"shape \(2, 3\), expected \(2, 2\)"),
        ([Rows({0: torch.full((2, 2), torch.nan)}, torch.zeros(2, 1))], "not finite"),
    ],
)
def test_bad_rows(rows, message):
    with pytest.raises(InputError, match=message):
        BlockQR(rows, [2])


def test_blocks_left_out_of_the_order_stay_with_their_rows():
    """Two halves of the rows eliminated apart, then what they share: the same solution."""
    rows, sizes = grid_problem()
    middle = {3, 4, 5}  # separates blocks 0, 1, 2 from 6, 7, 8
    halves = [[r for r in rows if min(r.matrices) < 3], [r for r in rows if max(r.matrices) > 5]]
    halves[0] += [r for r in rows if set(r.matrices) <= middle]
    inner = [BlockQR(halves[0], sizes, order=[0, 1, 2]), BlockQR(halves[1], sizes, order=[6, 7, 8])]
    rest = [group for factor in inner for group in factor.rest]
    assert set().union(*(group.matrices for group in rest)) == middle
    outer = BlockQR(rest, sizes, order=[3, 4, 5]).solve()
    known = {block: outer[block] for block in middle}
    found = [factor.solve(known) for factor in inner]
    parts = [found[0][b] if b < 6 else found[1][b] for b in range(9)]
    matrix, right = dense(rows, sizes)
    torch.testing.assert_close(torch.cat(parts), torch.linalg.lstsq(matrix, right).solution, rtol=1e-9, atol=1e-11)
