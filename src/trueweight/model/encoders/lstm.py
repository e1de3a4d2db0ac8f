"""Long short-term memory: a recurrent network over texts, sounds, series and lines of pictures."""

from typing import TYPE_CHECKING, Literal

from trueweight.data.field import Layout
from trueweight.model.recurrent import RecurrentSpec, recurrent, recurrent_on

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["LstmEncoder"]


class LstmEncoder(RecurrentSpec):
    """Reads a sequence step by step, keeping what its gates choose to keep; learns order and distance.

    At each step t, with gates i, f, o between 0 and 1:

        c_t = f * c_(t-1) + i * tanh(W x_t + U h_(t-1) + b),  h_t = o * tanh(c_t)

    Sources: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate of Gers et al. 2000, whose bias
    begins at 1.

    Example:
        ``encoder: {type: lstm, hidden_size: 128, layers: 2, bidirectional: true}``
    """

    type: Literal["lstm"] = "lstm"
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
