"""Words below fields are found where they stand, whichever class of the family says them."""

from pydantic import BaseModel, Field

from trueweight.registry import registry
from trueweight.spec.base import Spec
from trueweight.spec.docstrings import descriptions
from trueweight.spec.schema import json_schema


class Parent(Spec):
    """A spec."""

    told: int = 1
    """Of the parent,
    on two lines."""

    again: int = 2
    """Of the parent."""

    silent: int = 3
    "A string in between counts."
    other: int = Field(4, description="Given.")
    """Not this."""

    def method(self) -> int:
        """No field's."""
        return self.told


class Child(Parent):
    """A spec of a spec."""

    again: int = 5
    own: int = 6
    """Of the child."""


def test_words_are_those_of_the_class_that_last_annotates_the_field():
    told = {"told": "Of the parent,\non two lines.", "silent": "A string in between counts.", "other": "Given."}
    assert descriptions(Parent) == told | {"again": "Of the parent."}
    assert descriptions(Child) == told | {"own": "Of the child."}


def test_classes_within_functions_are_told_apart():
    class Parent(Spec):
        told: int = 1
        """Of this one."""

    assert descriptions(Parent) == {"told": "Of this one."}


def test_without_source_nothing_is_said():
    made = type("Made", (BaseModel,), {"__annotations__": {"x": int}, "__module__": "nowhere"})
    assert descriptions(made) == {}


class Eager(BaseModel, use_attribute_docstrings=True):
    """Read by pydantic, when it is made."""

    plain: int = 1
    """One line."""

    long: int = 2
    """Two

        lines, one of them further in.
    """

    silent: int = 3


def test_they_are_what_pydantic_reads():
    eager = {name: field.description for name, field in Eager.model_fields.items() if field.description}
    assert set(eager) == {"plain", "long"}
    for field in Eager.model_fields.values():
        field.description = None
    assert descriptions(Eager) == eager


def test_a_schema_holds_them_of_parts_too():
    for name in ("binary", "number"):
        part = registry("head")[name]
        shown = part.model_json_schema()["properties"]
        assert {key: one["description"] for key, one in shown.items()} == descriptions(part)
        inside = [
            choice for choice in json_schema()["properties"]["targets"]["additionalProperties"]["anyOf"]
            if choice.get("properties", {}).get("type", {}).get("const") == name
        ]  # fmt: skip
        told = [one["properties"]["loss_weight"]["description"] for one in inside]
        assert told == [descriptions(part)["loss_weight"]]
