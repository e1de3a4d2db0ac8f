"""The card's front matter, the bill of materials, the map to Annex IV."""

import json

from ruamel.yaml import YAML

from trueweight.data.signature import ColumnFacts, Signature
from trueweight.report.card import card_with_front_matter, front_matter, task_of
from trueweight.report.materials import bill_of_materials
from trueweight.report.page import annex_page


def test_front_matter_is_yaml_with_results(subject):
    text = front_matter(subject.spec, subject.signature, subject.evidence)
    fence, inside, rest = text.split("---\n")
    assert (fence, rest) == ("", "\n")
    read = YAML(typ="safe").load(inside)
    assert read["library_name"] == "trueweight"
    assert read["pipeline_tag"] == "tabular-classification"
    (result,) = read["model-index"][0]["results"]
    assert result["dataset"] == {"type": "private", "name": "shop.csv", "split": "test"}
    accuracy = result["metrics"][0]
    assert accuracy["type"] == "accuracy"
    assert accuracy["value"] == 0.81
    assert "n = 442" in accuracy["name"]
    assert "license" not in read  # nobody named one


def test_front_matter_is_added_once(subject):
    once = card_with_front_matter(subject, "# Model card\n")
    assert once.endswith("# Model card\n")
    assert card_with_front_matter(subject, once) == once


def test_the_task_follows_from_the_types():
    def signature(*types: str, target: str = "category") -> Signature:
        columns = [ColumnFacts(f"c{i}", kind, "feature", "", {}, 1, 0) for i, kind in enumerate(types)]
        columns.append(ColumnFacts("y", target, "target", "", {}, 1, 0))
        return Signature({c.name: c for c in columns})

    assert task_of(signature("image")) == "image-classification"
    assert task_of(signature("text", "number")) == "tabular-classification"
    assert task_of(signature("number", target="number")) == "tabular-regression"


def test_the_bill_names_model_libraries_and_metrics(subject):
    bill = json.loads(bill_of_materials(subject))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    metric = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]
    assert metric["type"] == "accuracy"
    assert metric["value"] == "0.81"
    assert metric["confidenceInterval"] == {"lowerBound": "0.79", "upperBound": "0.83"}
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(set(references)) == len(references)
    assert set(bill["dependencies"][0]["dependsOn"]) <= set(references)
    assert bill_of_materials(subject) == bill_of_materials(subject)


def test_the_map_lists_what_a_person_still_has_to_write(subject):
    text = annex_page(subject)
    assert text.count("- [ ]") >= 13 + 3
    assert "`card.owner`" in text
    assert "declaration itself" in text
