"""Gated recurrent units: a recurrent network with fewer gates than an LSTM."""

from typing import TYPE_CHECKING, Literal

from trueweight.data.field import Layout
from trueweight.model.recurrent import RecurrentSpec, recurrent, recurrent_on

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["GruEncoder"]


class GruEncoder(RecurrentSpec):
    """Reads a sequence step by step like an LSTM, with one state and two gates: a quarter fewer weights.

    At each step t, with gates z, r between 0 and 1:

        h_t = z * h_(t-1) + (1 - z) * tanh(W x_t + r * (U h_(t-1) + b))

    Source: Cho et al. 2014, arXiv:1406.1078; the reset gate acts on the product with the state, as in torch's kernels.

    Example:
        ``encoder: {type: gru, hidden_size: 128, layers: 2, bidirectional: true}``
    """

    type: Literal["gru"] = "gru"
    """Name of this part."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.recurrent.Recurrent`` behind a stem that turns the column into steps.

        Raises:
            SpecError: Columns that are no sequence.
        """
        return recurrent(self, layout)

    def build_on(self, form: "Form") -> "nn.Module":
        """The same behind another encoder."""
        return recurrent_on(self, form)
