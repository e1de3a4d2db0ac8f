"""What every decoder promises, checked for every decoder we ship or have installed.

A decoder either writes (``build``), or reads a text off steps (``build_head``: see ``model.decoders.ctc.Aligning``).
How heads learn with them is in the contract of heads.
"""

import inspect
import subprocess
import sys
from typing import Any

import pytest
import torch

from trueweight.errors import SpecError
from trueweight.model.decoders.ctc import Aligning
from trueweight.nn.encoding import Encoding, Form
from trueweight.registry import registry
from trueweight.spec.docstrings import descriptions

VOCABULARY, WIDTH, STEPS = 7, 8, 9
LEARNT: dict[str, Any] = {"tokens": 3.0, "max_tokens": 4, "ngrams": []}


@pytest.fixture(params=list(registry("decoder")))
def part(request: pytest.FixtureRequest) -> Any:
    return registry("decoder")[request.param].model_validate({"type": request.param})


@pytest.fixture
def writing(part: Any) -> Any:
    if isinstance(part, Aligning):
        pytest.skip("it does not write")
    return part


@pytest.mark.parametrize("memory", [WIDTH, None])
def test_one_token_at_a_time_gives_what_all_at_once_give(writing: Any, memory: int | None):
    torch.manual_seed(0)
    module = writing.build(VOCABULARY, memory, 6).eval()
    with torch.no_grad():
        z = Encoding(torch.randn(3, STEPS, WIDTH), torch.arange(STEPS) < torch.tensor([[9], [4], [1]]))
        read = module.read(z if memory else None)
        token_BT = torch.randint(0, VOCABULARY, (3, 5))
        whole = module.logits(module.states(token_BT, read))
        cache = module.cache(3, 6)
        steps = [module.step(token_BT[:, t], torch.full((3,), t), read, cache) for t in range(5)]
    assert whole.shape == (3, 5, VOCABULARY)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_what_reads_off_needs_steps(part: Any):
    if not isinstance(part, Aligning):
        pytest.skip("it writes")
    with pytest.raises(SpecError, match="reads a text off steps in time, and what reaches it has none"):
        part.build_head(Form(WIDTH), VOCABULARY, LEARNT, beams=1, reader=None)
    head = part.build_head(Form(WIDTH, grid_rank=1), VOCABULARY, LEARNT, beams=1, reader=None)
    assert head.row_wise
    with pytest.raises(SpecError, match="does not write"):
        part.build(VOCABULARY, WIDTH, 5)  # type: ignore[attr-defined]


def test_every_field_is_explained_and_its_values_are_valid(part: Any):
    for name in type(part).model_fields:
        assert name in descriptions(type(part)), f"{part.type}.{name} has no docstring"
    for field, values in part.search_space.items():
        for value in values:
            given = {"type": part.type, field: value, **({"ngrams": 3} if field == "ngram_weight" else {})}
            assert getattr(type(part).model_validate(given), field) == value
    assert "Example:" in (inspect.getdoc(type(part)) or "")


def test_a_part_file_imports_without_torch(part: Any):
    code = f"import sys, {type(part).__module__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
