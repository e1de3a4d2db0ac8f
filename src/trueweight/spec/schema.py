"""The JSON Schema of a spec, from which editors take hints and complaints."""

from typing import Any

from trueweight.spec.run import RunSpec

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a run spec, with the options of every part that is installed."""
    schema = RunSpec.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Trueweight run spec"}
