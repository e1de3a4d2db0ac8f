"""The ``muon`` optimiser."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.fused import Fused
    from trueweight.train.loop import Optimizer

__all__ = ["Muon", "overhead"]

_CPU_ITERATIONS, _ITERATIONS = 3, 5
_SGD_RATE, _SGD_MOMENTUM = 0.05, 0.85

DEAR = 0.2
"""Share of a layer's own work that making its step orthogonal may cost, where ``layers`` is auto."""

SLIGHT = 0.03
"""Share of the whole network's work that the steps of layers for which they are dear may cost together all the same. A
picture network narrows towards its end: the last filters of airbench's, 256 by 2,304, cost a quarter of their layer's
own work and a hundredth of the network's. Left to AdamW they cost more: on 42,000 rows of cifar10, 8,000 others
judging, accuracy was 0.783 for 0.789 and calibrated log loss 0.620 for 0.612 after two passes of a network of 64, 256
and 256 filters, whitened at every second place (72 and 75 seconds of one core); after three of one of 32, 64 and 64
0.753 for 0.758 and 0.700 for 0.691, and with another seed and steps of 128 rows 0.757 for 0.763 and 0.695 for 0.688."""

WIDE = 128
"""Shorter side from which on it is always worth it on an accelerator."""


def overhead(rows: int, columns: int, seen: float, iterations: int) -> float:
    """Multiplications of Newton-Schulz, as a share of those of the layer's own forward and backward pass.

        iterations * (4 m^2 n + 2 m^3) / (6 m n seen)        m the shorter and n the longer side

    Args:
        rows: Outputs of the layer.
        columns: Inputs of the layer.
        seen: Rows that the matrix meets in a step: places of pictures and steps of sequences are rows.
        iterations: Of Newton-Schulz.
    """
    m, n = sorted((rows, columns))
    return iterations * (4 * m * m * n + 2 * m**3) / (6 * m * n * seen)


class Muon(PartSpec):
    """Momentum, made orthogonal: every direction of a hidden matrix moves by the same amount.

        B = momentum * B + (1 - momentum) * G      G' = momentum * B + (1 - momentum) * G  (nesterov)
        W = W - learning_rate * weight_decay * W
        W = W - learning_rate * sqrt(max(1, rows / columns)) * U V^T      where G' = U S V^T

    U V^T is approximated by Newton-Schulz iterations, of all matrices of one shape at once. Filters of convolutions are
    matrices of one row for each output. Embedding tables, heads but for the layers of decoders, recurrent weights and
    whatever is no matrix are left to AdamW, NadamW or SGD; with ``layers: auto`` also layers that meet so few rows in a
    step that the iterations would be dear: those whose work would grow by a fifth or more (on an accelerator only if
    narrower than 128), unless the whole network's grows by less than 3 % for them.

    With ``normalized`` a matrix does not decay. Before each step it is brought to one size, and all take equal steps:

        W = W * sqrt(rows) / |W|        W = W - learning_rate * U V^T

    SGD moves the others by ``v = other_momentum * v + g + decay * w`` and ``w = w - rate * v``, or with ``nesterov`` by
    ``w = w - rate * (g + decay * w + other_momentum * v)``. Gradients are those of a batch's mean: rates for sums are
    to be multiplied with the rows of a batch.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; filters as matrices, three
    iterations, the normalised step and SGD for the others as in airbench, arXiv:2404.00498.

    Example:
        ``optimizer: {type: muon, learning_rate: 0.02}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [0.005, 0.01, 0.02, 0.04],
        "weight_decay": [0.0, 0.01, 0.1],
        "other_learning_rate": [1e-3, 2e-3, 4e-3],
    }
    states_per_weight: ClassVar[int] = 2
    weighs: ClassVar[bool] = True
    auto: ClassVar[Mapping[str, float]] = {"learning_rate": 0.02, "other_learning_rate": 2e-3}

    type: Literal["muon"] = "muon"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size of hidden matrices. auto: 0.02."""

    layers: Literal["auto", "all"] = "auto"
    """Which hidden matrices are moved so: all, or those for which it is cheap. What was chosen is in the evidence."""

    iterations: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Of Newton-Schulz. auto: 3 on a CPU, else 5."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Share of the running gradient that is kept from one step to the next."""

    nesterov: bool = True
    """Look ahead by one push of the gradient."""

    normalized: bool = False
    """Bring each hidden matrix to one size before each step, instead of letting it decay."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull towards zero, times the learning rate. Biases, norms and embedding tables are spared."""

    others: Literal["adamw", "nadamw", "sgd"] = "adamw"
    """Who moves everything else."""

    other_learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size for everything else. auto: 0.002, of SGD 0.05."""

    other_momentum: Annotated[float, Field(ge=0, lt=1)] = _SGD_MOMENTUM
    """Of SGD for everything else: share of the velocity that is kept from one step to the next."""

    other_weight_decay: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Pull towards zero of heads and other matrices, times their rate. auto: ``weight_decay``, of SGD 0."""

    bias_learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size for biases and norms of hidden layers. auto: ``other_learning_rate``."""

    bias_weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Pull towards zero of biases and norms of hidden layers, times their rate."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Of AdamW or NadamW for everything else."""

    @property
    def usual(self) -> Mapping[str, float]:
        """What auto stands for, where it is a number."""
        return {**self.auto, "other_learning_rate": _SGD_RATE} if self.others == "sgd" else self.auto

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Momentum of SGD is SGD's alone."""
        if "other_momentum" in raw and raw.get("others", "adamw") != "sgd" and raw["other_momentum"] != _SGD_MOMENTUM:
            yield Conflict(("other_momentum",), "only SGD has it; say others: sgd, or betas for AdamW and NadamW")

    def build(
        self, network: "nn.Module", *, steps: int | None = None, seen: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> "Optimizer":  # fmt: skip
        """An optimiser of the network's trainable parameters: one object, however many it is made of.

        Args:
            network: On the device that it is trained on.
            steps: Makes no difference here.
            seen: Rows that each weight meets in a step, by name. None: unknown, so that no layer is too dear.
        """
        from trueweight.train.fused import Fused
        from trueweight.train.groups import Several
        from trueweight.train.orthogonal import MOMENTUM, muon_update

        fast = any(p.device.type != "cpu" for p in network.parameters())
        iterations = (_ITERATIONS if fast else _CPU_ITERATIONS) if self.iterations == "auto" else self.iterations
        matrices = self._taken(network, seen, iterations, fast=fast)
        parts: list[Optimizer] = []
        if matrices:
            rate = self.auto["learning_rate"] if self.learning_rate == "auto" else self.learning_rate
            update = muon_update(
                self.momentum, nesterov=self.nesterov, iterations=iterations, normalized=self.normalized
            )
            group = {"params": matrices, "weight_decay": 0.0 if self.normalized else self.weight_decay}
            parts.append(Fused([group], rate, (MOMENTUM,), update, self.type))
        return Several(*parts, *self._of_others(network, matrices))

    def _of_others(self, network: "nn.Module", matrices: list["nn.Parameter"]) -> Iterator["Fused"]:
        """Who moves all but the matrices, if there is anything else."""
        from trueweight.train.fused import Fused, adam_update, nadam_update, sgd_update
        from trueweight.train.groups import decay_groups

        sgd, ahead = self.others == "sgd", self.others == "nadamw"
        rate = self.usual["other_learning_rate"] if self.other_learning_rate == "auto" else self.other_learning_rate
        usual_decay = 0.0 if sgd else self.weight_decay
        decay = usual_decay if self.other_weight_decay == "auto" else self.other_weight_decay
        thin = None
        if self.bias_learning_rate != "auto" or self.bias_weight_decay:
            own = rate if self.bias_learning_rate == "auto" else self.bias_learning_rate
            thin = {"lr": own, "weight_decay": self.bias_weight_decay}
        rest = decay_groups(network, decay, without=matrices, vectors=thin)
        if rest and sgd:
            push = self.other_momentum
            update = sgd_update(push, nesterov=self.nesterov and push > 0)
            yield Fused(rest, rate, ("momentum_buffer",) if push else (), update, self.others)
        elif rest:
            update = nadam_update(self.betas, 1e-8, 4e-3) if ahead else adam_update(self.betas, 1e-8, decoupled=True)
            yield Fused(rest, rate, ("step", "exp_avg", "exp_avg_sq"), update, self.others, decoupled=ahead)

    def _taken(
        self, network: "nn.Module", seen: Mapping[str, float] | None, iterations: int, *, fast: bool
    ) -> list["nn.Parameter"]:
        """Hidden matrices that are worth the iterations."""
        from trueweight.train.groups import hidden_matrices

        found = hidden_matrices(network)
        if self.layers == "all" or seen is None:
            return list(found.values())
        sizes = {name: p.numel() for name, p in network.named_parameters()}
        work = {name: sizes[name] * rows for name, rows in seen.items()}
        shares = {
            n: overhead(p.shape[0], prod(p.shape[1:]), seen[n], iterations) for n, p in found.items() if n in seen
        }
        taken = {name for name, p in found.items() if fast and min(p.shape[0], prod(p.shape[1:])) >= WIDE}
        taken |= {name for name, share in shares.items() if share < DEAR}
        left = SLIGHT * sum(work.values())
        for name in sorted(shares.keys() - taken, key=lambda name: (shares[name] * work[name], name)):
            left -= shares[name] * work[name]
            if left < 0:
                break
            taken.add(name)
        return [p for name, p in found.items() if name in taken]
