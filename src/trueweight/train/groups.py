"""Which weights decay, which are matrices, who moves which, and several optimisers as one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from trueweight.train.fused import METHOD
from trueweight.train.loop import Optimizer

__all__ = ["Several", "decay_groups", "hidden_matrices", "told"]

_TABLES = (nn.Embedding, nn.EmbeddingBag)
_FILTERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_HEADS = re.compile(r"heads\.(?!\w+\.decoder\.blocks\.)")
"""Names of what answers. Layers of a decoder that writes are hidden like those of any network."""


def decay_groups(
    network: nn.Module,
    weight_decay: float,
    *,
    without: Sequence[nn.Parameter] = (),
    vectors: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: matrices decay; biases, norms, scalars and embedding tables do not.

    Args:
        network: Whose trainable parameters are grouped.
        weight_decay: For the group that decays.
        without: Parameters that another optimiser takes.
        vectors: ``lr`` and ``weight_decay`` of biases, norms and scalars, as a group of their own, the last. None: they
            are as embedding tables.
    """
    if vectors is not None:
        thin = [p for p in network.parameters() if p.requires_grad and p.ndim < 2]
        rest = decay_groups(network, weight_decay, without=[*without, *thin])
        return [*rest, {"params": thin, **vectors}] if thin else rest
    taken = {id(p) for p in without}
    tables = {id(p) for p in _table_weights(network)}
    left = [p for p in network.parameters() if p.requires_grad and id(p) not in taken]
    if not weight_decay:
        return [{"params": left, "weight_decay": 0.0}] if left else []
    decaying = [p for p in left if p.ndim >= 2 and id(p) not in tables]
    others = [p for p in left if p.ndim < 2 or id(p) in tables]
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def hidden_matrices(network: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of dense layers and filters of convolutions between inputs and heads, by name: matrices with one row for
    each output.

    Nothing below ``heads`` but the layers of decoders; no embedding tables, no factors, and no recurrent weights, which
    hold the matrices of several gates. Filters of grouped convolutions belong to several small matrices and are left
    out too.
    """
    matrices = {
        id(module.weight)
        for name, module in network.named_modules()
        if not _HEADS.match(name)
        and (isinstance(module, nn.Linear) or (isinstance(module, _FILTERS) and module.groups == 1))
    } - {id(p) for p in _table_weights(network)}
    return {name: p for name, p in network.named_parameters() if id(p) in matrices and p.requires_grad}


def _table_weights(network: nn.Module) -> Iterator[Tensor]:
    for module in network.modules():
        if isinstance(module, _TABLES):
            yield module.weight


class Several:
    """Optimisers of different parameters, as one. States are numbered through."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self._all = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of all, in order; their ``lr`` may be set."""
        return [group for optimizer in self._all for group in optimizer.param_groups]

    def step(self) -> None:
        """One step of each."""
        for optimizer in self._all:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for optimizer in self._all:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with parameters numbered over all."""
        state: dict[int, Any] = {}
        groups: list[dict[str, Any]] = []
        for start, optimizer in self._numbered():
            part = optimizer.state_dict()
            state |= {start + number: values for number, values in part["state"].items()}
            groups += [{**group, "params": [start + n for n in group["params"]]} for group in part["param_groups"]]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of :meth:`state_dict`."""
        groups = list(state["param_groups"])
        for start, optimizer in self._numbered():
            mine = [groups.pop(0) for _ in optimizer.param_groups]
            numbers = [n for group in mine for n in group["params"]]
            part = {n - start: state["state"][n] for n in numbers if n in state["state"]}
            shifted = [{**group, "params": [n - start for n in group["params"]]} for group in mine]
            optimizer.load_state_dict({"state": part, "param_groups": shifted})

    def _numbered(self) -> Iterator[tuple[int, Optimizer]]:
        start = 0
        for optimizer in self._all:
            yield start, optimizer
            start += sum(len(group["params"]) for group in optimizer.param_groups)


def told(optimizer: Optimizer, network: nn.Module) -> Mapping[str, list[str]]:
    """Names of the weights by who moves them: what each group of the optimiser says, or the optimiser's class."""
    names = {id(p): name for name, p in network.named_parameters()}
    found: dict[str, list[str]] = {}
    for group in optimizer.param_groups:
        method = group.get(METHOD, type(optimizer).__name__)
        found.setdefault(method, []).extend(names[id(p)] for p in group["params"])
    return found
