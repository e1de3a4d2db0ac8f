"""Sparse matrices in pieces: what they are multiplied to, either way round, does not depend on how they were cut."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from trueweight.nn import sparse
from trueweight.nn.sparse import Sparse


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def matrix(rows: int, columns: int, *, share: float = 0.1, seed: int = 0) -> np.ndarray:
    """Every third row empty, the second full, the last column empty."""
    rng = np.random.default_rng(seed)
    x = (rng.random((rows, columns)) < share) * rng.normal(size=(rows, columns))
    x[::3] = 0
    x[1:2] = 1
    x[:, -1:] = 0
    return x.astype(np.float32)


def taken_apart(x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    row, place = x.nonzero()
    count = np.bincount(row, minlength=len(x))
    return (
        torch.from_numpy(count),
        torch.from_numpy(place.astype(np.int32)),
        torch.from_numpy(x[row, place]),
        x.shape[1],
    )


@pytest.mark.parametrize("piece", [1, 40, 10**6])
@pytest.mark.parametrize("outputs", [0, 1, 3])
@pytest.mark.parametrize("shape", [(61, 47), (2, 5), (1, 3), (5, 70_000)])
def test_products_are_those_of_the_dense_matrix(
    monkeypatch: pytest.MonkeyPatch, threads: int, piece: int, outputs: int, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr(sparse, "PIECE", piece)
    x = matrix(*shape)
    parts, rng = taken_apart(x), np.random.default_rng(1)
    right = rng.normal(size=(shape[1], outputs)).astype(np.float32)
    left = rng.normal(size=(shape[0], outputs)).astype(np.float32)
    across, back = Sparse.of(*parts), Sparse.flipped(*parts)
    assert len(across.pieces) <= threads
    np.testing.assert_allclose(across @ torch.from_numpy(right), x @ right, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(back @ torch.from_numpy(left), x.T @ left, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(back.squared() @ torch.from_numpy(left), (x * x).T @ left, rtol=1e-4, atol=1e-4)


def test_pieces_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = taken_apart(matrix(400, 90))
    right, left = torch.randn(90, 3), torch.randn(400, 3)
    one = Sparse.of(*parts) @ right, Sparse.flipped(*parts) @ left
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    monkeypatch.setattr(sparse, "PIECE", 50)
    try:
        several = Sparse.of(*parts), Sparse.flipped(*parts)
    finally:
        torch.set_num_threads(before)
    assert [len(matrix.pieces) for matrix in several] == [4, 4]
    assert torch.equal(several[0] @ right, one[0])
    assert torch.equal(several[1] @ left, one[1])


@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_stored(rows: int) -> None:
    parts = taken_apart(np.zeros((rows, 6), np.float32))
    assert torch.equal(Sparse.of(*parts) @ torch.ones(6, 2), torch.zeros(rows, 2))
    assert torch.equal(Sparse.flipped(*parts) @ torch.ones(rows, 2), torch.zeros(6, 2))


def test_turned_round_rows_ascend_in_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "PIECE", 30)
    x = matrix(200, 25)
    turned = Sparse.flipped(*taken_apart(x))
    (row, column), number = x.T.nonzero(), 0
    for piece in turned.pieces:
        size = len(piece.values())
        np.testing.assert_array_equal(piece.col_indices(), column[number : number + size])
        np.testing.assert_array_equal(piece.values(), x.T[row, column][number : number + size])
        number += size
    assert number == len(row)
