"""Rows of a linear problem as a matrix whose mostly empty columns are stored sparsely.

One-hot codes of many levels are nearly all zeros: a product with them costs what the ones cost, not what the places do.

Shape suffixes in this file:
    R  rows    P  columns    D  columns stored densely    S  columns stored sparsely    N  stored numbers    O  outputs
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trueweight.nn.entries import Entries
from trueweight.nn.sparse import Sparse
from trueweight.nn.threads import one_thread

__all__ = ["Columns", "Rows", "few_threads"]

EMPTY = 1 / 8
"""Largest share of numbers other than zero for which a column is stored sparsely."""

EMPTY_WIDE = 1 / 2
"""The same for wide rows, which are multiplied by few columns at a time: of 27,000 tweets in three classes, products
took 17 ms with 11 columns stored densely and 38 ms with 346; of reviews in 18 classes as long as before."""

WIDE = 4096
"""Columns from which on numbers are kept in float32, as the network gave them: texts have tens of thousands of columns
and hundreds of numbers a row, whose memory is what products wait for."""

WORTHWHILE = 192
"""Fewest such columns: below, dense products are faster."""


MANY = 64
"""Stored numbers of one row from which pairing them one by one is slower than a dense product."""


FEW = 32
"""Most columns of a matrix that is turned for a product; see :func:`_product`."""


SLICE = 4096
"""Rows of one such product."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are stored how, the same for all rows of a pass."""

    dense_D: Tensor
    """int64, ascending."""
    sparse_S: Tensor
    """int64, ascending; empty where everything is dense."""

    @property
    def wide(self) -> bool:
        """Whether there are so many that nothing of the size of their square can be made."""
        return len(self.sparse_S) > 0 and len(self.dense_D) + len(self.sparse_S) >= WIDE

    @property
    def dtype(self) -> torch.dtype:
        """Of the numbers."""
        return torch.float32 if self.wide else torch.float64

    @classmethod
    def of(cls, x: Tensor | Entries) -> Self:
        """Judge by some rows. Rows unlike them cost memory and time, never correctness."""
        if isinstance(x, Entries):
            count_P = torch.bincount(x.place_N, minlength=x.width)
        else:
            count_P = torch.from_numpy(np.count_nonzero(x.numpy(), axis=0))
        share_P = count_P / max(len(x), 1)
        is_sparse_P = share_P <= EMPTY
        if int(is_sparse_P.sum()) < WORTHWHILE:
            is_sparse_P = torch.zeros_like(is_sparse_P)
        elif len(count_P) >= WIDE:
            is_sparse_P = share_P <= EMPTY_WIDE
        return cls((~is_sparse_P).nonzero()[:, 0], is_sparse_P.nonzero()[:, 0])

    def numbers(self, chosen: Tensor) -> Tensor:
        """int32: where each column stands among the chosen ones, which ascend; -1 for others."""
        number_P = torch.full((len(self.dense_D) + len(self.sparse_S),), -1, dtype=torch.int32)
        number_P[chosen] = torch.arange(len(chosen), dtype=torch.int32)
        return number_P


@dataclass(frozen=True)
class Rows:
    """A matrix, (R, P). Products with it are float64, those of wide ones computed in float32."""

    columns: Columns
    dense_RD: Tensor
    """float64, or float32 of wide ones."""
    count_R: Tensor
    """int64: stored numbers of each row; empty if no column is sparse, as are the next two."""
    place_N: Tensor
    """int32: their columns, numbered within ``columns.sparse_S``, ascending within a row."""
    value_N: Tensor
    """The same, not 0."""

    @classmethod
    def of(cls, x: Tensor | Entries, columns: Columns) -> Self:
        """Take a matrix apart."""
        none = torch.zeros(0)
        if not len(columns.sparse_S):
            x_RP = x.dense() if isinstance(x, Entries) else x
            return cls(columns, x_RP.double(), none.long(), none.int(), none.double())
        return cls._of_entries(x, columns) if isinstance(x, Entries) else cls._of_matrix(x, columns)

    @classmethod
    def _of_entries(cls, x: Entries, columns: Columns) -> Self:
        value_N = x.value_N.to(columns.dtype)
        if not len(columns.dense_D):
            return cls(columns, value_N.new_zeros(len(x), 0), x.count_R, x.place_N.int(), value_N)
        place_N = columns.numbers(columns.sparse_S)[x.place_N]
        # NumPy finds places several times as fast as torch, which finds them anew for each array picked by marks.
        is_sparse_N = place_N.numpy() >= 0
        sparse_M, dense_M = (torch.from_numpy(np.flatnonzero(mark)) for mark in (is_sparse_N, ~is_sparse_N))
        owner_N, number_P = torch.repeat_interleave(x.count_R), columns.numbers(columns.dense_D)
        dense_RD, owner_M = value_N.new_zeros(len(x), len(columns.dense_D)), owner_N[dense_M]
        dense_RD[owner_M, number_P[x.place_N[dense_M]].long()] = value_N[dense_M]
        count_R = x.count_R - torch.bincount(owner_M, minlength=len(x))
        return cls(columns, dense_RD, count_R, place_N[sparse_M], value_N[sparse_M])

    @classmethod
    def _of_matrix(cls, x_RP: Tensor, columns: Columns) -> Self:
        x = x_RP.contiguous().numpy()
        # Flat and by NumPy: seven times as fast as torch's nonzero.
        row_N, place_N = np.divmod(np.flatnonzero(x != 0), x.shape[1])
        number_P = columns.numbers(columns.sparse_S).numpy()
        chosen_N = number_P[place_N] >= 0
        row_N, place_N = row_N[chosen_N], place_N[chosen_N]
        count_R = torch.from_numpy(np.bincount(row_N, minlength=len(x)))
        value_N = torch.from_numpy(x[row_N, place_N]).to(columns.dtype)
        dense_RD = x_RP.index_select(1, columns.dense_D).to(columns.dtype)
        return cls(columns, dense_RD, count_R, torch.from_numpy(number_P[place_N]), value_N)

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, which must share their columns."""
        if len(parts) == 1:
            return parts[0]
        pieces = zip(*((p.dense_RD, p.count_R, p.place_N, p.value_N) for p in parts), strict=True)
        return cls(parts[0].columns, *(torch.cat(piece) for piece in pieces))

    def __len__(self) -> int:
        return len(self.dense_RD)

    @property
    def width(self) -> int:
        """P."""
        return len(self.columns.dense_D) + len(self.columns.sparse_S)

    @property
    def sparse(self) -> bool:
        """Whether any column is stored sparsely."""
        return len(self.columns.sparse_S) > 0

    @property
    def wide(self) -> bool:
        """See :attr:`Columns.wide`."""
        return self.columns.wide

    @property
    def bytes(self) -> int:
        """Memory, that of the transposed copy included."""
        size = self.columns.dtype.itemsize
        return size * self.dense_RD.numel() + 16 * len(self.count_R) + 2 * (4 + size) * len(self.value_N)

    def times(self, weight_PO: Tensor) -> Tensor:
        """``x @ weight``, (R, O)."""
        if not self.sparse:
            return _product(self.dense_RD, weight_PO)
        weight_PO = weight_PO.to(self.columns.dtype)
        dense_RO = _product(self.dense_RD, weight_PO.index_select(0, self.columns.dense_D))
        return (dense_RO + self._sparse @ weight_PO.index_select(0, self.columns.sparse_S)).double()

    def transposed_times(self, error_RO: Tensor) -> Tensor:
        """``x.T @ error``, (P, O)."""
        if not self.sparse:
            return _product(self.dense_RD.t(), error_RO)
        error_RO = error_RO.to(self.columns.dtype)
        return self._woven(_product(self.dense_RD.t(), error_RO), self._flipped @ error_RO)

    def squares_times(self, error_RO: Tensor) -> Tensor:
        """``(x * x).T @ error``, (P, O)."""
        error_RO = error_RO.to(self.columns.dtype)
        dense_DO = self.dense_RD.square().t() @ error_RO
        if not self.sparse:
            return dense_DO
        return self._woven(dense_DO, self._flipped.squared() @ error_RO)

    def gram(self, weight_R: Tensor) -> Tensor:
        """``x.T @ diag(weight) @ x``, (P, P)."""
        weight_R = weight_R.to(self.columns.dtype)
        weighted_RD = self.dense_RD * weight_R.unsqueeze(1)
        dense_DD = weighted_RD.t() @ self.dense_RD
        if not self.sparse:
            return dense_DD
        found_PP = dense_DD.new_zeros(self.width, self.width)
        dense_D, sparse_S = self.columns.dense_D, self.columns.sparse_S
        mixed_SD = self._flipped @ weighted_RD
        found_PP[dense_D.unsqueeze(1), dense_D] = dense_DD
        found_PP[sparse_S.unsqueeze(1), dense_D] = mixed_SD
        found_PP[dense_D.unsqueeze(1), sparse_S] = mixed_SD.t()
        found_PP[sparse_S.unsqueeze(1), sparse_S] = self._pairs(weight_R)
        return found_PP

    def shifted(self, shift_D: Tensor) -> "Rows":
        """The same, less ``shift_D`` in the dense columns."""
        return Rows(self.columns, self.dense_RD - shift_D, self.count_R, self.place_N, self.value_N)

    @cached_property
    def rough(self) -> "Rows":
        """The same in float32, for products that need not be exact; itself where columns are stored sparsely."""
        if self.sparse:
            return self
        return Rows(self.columns, self.dense_RD.float(), self.count_R, self.place_N, self.value_N)

    @cached_property
    def _owner(self) -> Tensor:
        """(N,) the row of each stored number."""
        return torch.repeat_interleave(self.count_R)

    @cached_property
    def _sparse(self) -> Sparse:
        """(R, S)."""
        return Sparse.of(self.count_R, self.place_N, self.value_N, len(self.columns.sparse_S))

    @cached_property
    def _flipped(self) -> Sparse:
        """(S, R)."""
        return Sparse.flipped(self.count_R, self.place_N, self.value_N, len(self.columns.sparse_S))

    def _woven(self, dense_DO: Tensor, sparse_SO: Tensor) -> Tensor:
        found_PO = torch.empty(self.width, dense_DO.shape[1], dtype=torch.float64)
        found_PO[self.columns.dense_D] = dense_DO.double()
        found_PO[self.columns.sparse_S] = sparse_SO.double()
        return found_PO

    def _pairs(self, weight_R: Tensor) -> Tensor:
        """The sparse columns' part of :meth:`gram`, (S, S)."""
        found_SS = weight_R.new_zeros(len(self.columns.sparse_S), len(self.columns.sparse_S))
        most = int(self.count_R.max()) if len(self.count_R) else 0
        if most > MANY:
            return self._in_slices(weight_R, found_SS)
        # Every stored number meets all of its row: the k-th of each row with each of the others.
        start_R = self.count_R.cumsum(0) - self.count_R
        scaled_N, row_N = self.value_N * weight_R[self._owner], self._owner
        flat = found_SS.view(-1)
        for k in range(most):
            has_N = self.count_R[row_N] > k
            other_N = (start_R[row_N] + k)[has_N]
            place = self.place_N[has_N].long() * len(found_SS) + self.place_N[other_N]
            flat.index_add_(0, place, scaled_N[has_N] * self.value_N[other_N])
        return found_SS

    def _in_slices(self, weight_R: Tensor, found_SS: Tensor) -> Tensor:
        """Add :meth:`_pairs` to ``found_SS`` by dense products of a few rows at a time."""
        end_R = self.count_R.cumsum(0)
        for first in range(0, len(self), SLICE):
            last = min(first + SLICE, len(self))
            stored = slice(int(end_R[first] - self.count_R[first]), int(end_R[last - 1]))
            x_RS = found_SS.new_zeros(last - first, len(found_SS))
            x_RS[self._owner[stored] - first, self.place_N[stored].long()] = self.value_N[stored]
            found_SS += x_RS.t() @ (x_RS * weight_R[first:last].unsqueeze(1))
        return found_SS


def _product(x_AB: Tensor, y_BO: Tensor) -> Tensor:
    """``x @ y``; if y has a few columns as ``(y.T @ x.T).T``, for which the matrix library takes the same time, or as
    little as an eighth of it. A single column is a vector to it, whichever way."""
    if y_BO.shape[1] == 1 or y_BO.shape[1] > FEW:
        return x_AB @ y_BO
    return (y_BO.t().contiguous() @ x_AB.t()).t().contiguous()


def few_threads(x: Rows) -> AbstractContextManager[None]:
    """One thread of the library's while rows like these are multiplied, if some of their columns are sparse: what is
    beside such products is so short that threads wait for each other longer than they compute. The products have
    threads of their own; see :mod:`trueweight.nn.sparse`."""
    return one_thread(when=bool(x.sparse))
