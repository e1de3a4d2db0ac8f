"""What every fusion promises, checked for every fusion we ship or have installed."""

import pytest
import torch
from torch import nn

from trueweight.nn.encoding import Encoding, Form
from trueweight.registry import registry

FORMS = {
    "none": {},
    "one": {"a": Form(3)},
    "one with members": {"a": Form(3, members=2)},
    "one sequence": {"a": Form(4, grid_rank=1)},
    "three": {"a": Form(3, members=2), "b": Form(4, grid_rank=1), "c": Form(1)},
}
CASES = [pytest.param(name, forms, id=f"{name}-{forms}") for name in registry("fusion") for forms in FORMS]
ROWS = 5


def make(name: str, forms: str) -> nn.Module:
    torch.manual_seed(0)
    return registry("fusion")[name].model_validate({"type": name}).build(FORMS[forms]).eval()


def encodings(forms: str, rows: int) -> dict[str, Encoding]:
    rng = torch.Generator().manual_seed(1)
    found = {}
    for name, form in FORMS[forms].items():
        tokens = torch.randn(rows * form.members, 6 if form.grid_rank else 1, form.width, generator=rng)
        found[name] = Encoding(tokens, grid=(6,) if form.grid_rank else (), members=form.members)
    return found


@pytest.mark.parametrize(("name", "forms"), CASES)
class TestFusion:
    def test_output_has_the_form_it_promised(self, name, forms):
        fusion = make(name, forms)
        z = fusion(encodings(forms, ROWS), ROWS)
        assert z.tokens_BLD.shape[0] == ROWS * fusion.form.members
        assert z.tokens_BLD.shape[2] == fusion.form.width
        assert (z.members, len(z.grid)) == (fusion.form.members, fusion.form.grid_rank)

    def test_rows_do_not_see_each_other(self, name, forms):
        fusion, parts = make(name, forms), encodings(forms, ROWS)
        few = {key: Encoding(z.tokens_BLD[: 2 * z.members], grid=z.grid, members=z.members) for key, z in parts.items()}
        whole = fusion(parts, ROWS).tokens_BLD[: 2 * fusion.form.members]
        torch.testing.assert_close(fusion(few, 2).tokens_BLD, whole)

    def test_no_rows_are_no_problem(self, name, forms):
        assert make(name, forms)(encodings(forms, 0), 0).tokens_BLD.shape[0] == 0

    def test_state_survives_a_round_trip(self, name, forms):
        fusion, parts = make(name, forms), encodings(forms, ROWS)
        twin = make(name, forms)
        twin.load_state_dict(fusion.state_dict())
        assert torch.equal(twin(parts, ROWS).tokens_BLD, fusion(parts, ROWS).tokens_BLD)

    def test_can_be_exported(self, name, forms):
        fusion, parts = make(name, forms), encodings(forms, ROWS)
        exported = torch.export.export(fusion, (parts, ROWS)).module()
        torch.testing.assert_close(exported(parts, ROWS).tokens_BLD, fusion(parts, ROWS).tokens_BLD)
