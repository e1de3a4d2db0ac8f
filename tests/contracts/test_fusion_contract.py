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
    "three single": {"a": Form(3), "b": Form(4, grid_rank=1), "c": Form(2, grid_rank=1)},
}
SINGLE = {"transformer"}
"""Those that join networks of one member only."""
CASES = [
    pytest.param(name, forms, id=f"{name}-{forms}")
    for name in registry("fusion")
    for forms in FORMS
    if name not in SINGLE or all(form.members == 1 for form in FORMS[forms].values())
]
ROWS = 5


def make(name: str, forms: str) -> nn.Module:
    torch.manual_seed(0)
    return registry("fusion")[name].model_validate({"type": name}).build(FORMS[forms]).eval()


def encodings(forms: str, rows: int) -> dict[str, Encoding]:
    rng = torch.Generator().manual_seed(1)
    found = {}
    for name, form in FORMS[forms].items():
        tokens = torch.randn(rows * form.members, 6 if form.grid_rank else 1, form.width, generator=rng)
        # The longest row first, and an empty one among them; the second sequence is all real.
        real = torch.arange(6) < torch.tensor([6, 2, 0, 5, 1])[:rows, None] if name == "b" else None
        found[name] = Encoding(tokens, real, grid=(6,) if form.grid_rank else (), members=form.members)
    return found


def _with_other_padding(z: Encoding) -> Encoding:
    return Encoding(z.tokens_BLD + 5.0 * ~z.mask_BL.unsqueeze(2), z.mask_BL, z.grid, members=z.members)


@pytest.mark.parametrize("name", SINGLE)
def test_several_members_are_refused_by_name(name):
    with pytest.raises(ValueError, match=r"the encoder of 'a' holds 2: set its members to 1, or use fusion concat"):
        make(name, "three")


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
        few = {
            key: Encoding(
                z.tokens_BLD[: 2 * z.members], None if z.mask_BL is None else z.mask_BL[:2], z.grid, members=z.members
            )
            for key, z in parts.items()
        }
        whole = fusion(parts, ROWS).tokens_BLD[: 2 * fusion.form.members]
        torch.testing.assert_close(fusion(few, 2).tokens_BLD, whole)

    def test_what_is_masked_is_not_read(self, name, forms):
        fusion, parts = make(name, forms), encodings(forms, ROWS)
        other = {key: z if z.mask_BL is None else _with_other_padding(z) for key, z in parts.items()}
        torch.testing.assert_close(fusion(other, ROWS).tokens_BLD, fusion(parts, ROWS).tokens_BLD)

    def test_every_parameter_learns(self, name, forms):
        fusion = make(name, forms).train()
        z = fusion(encodings(forms, ROWS), ROWS).tokens_BLD
        if any(True for _ in fusion.parameters()):
            (z * torch.randn(z.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        # A lone token has nothing to choose between: its queries and keys, a third each of qkv, stay as they are.
        assert not [key for key, p in fusion.named_parameters() if p.grad is None or not p.grad.any()]

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
