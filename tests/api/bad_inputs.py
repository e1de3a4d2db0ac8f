"""What bad input gets: the table that ``test_bad_input.py`` proves. ``docs/bad-input.md`` shows cases of scripts/.

Each row says what somebody did, the exit code, and words that the message must hold. ``code`` 0 stands for things that
look wrong and are not: they are dealt with, and said.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BAD_INPUTS", "GOOD_SPEC", "SECTIONS", "BadInput", "Place", "claims"]

FAST = ("--set", "model.preset=fast")


@dataclass(slots=True)
class Place:
    """A folder in which a mistake is made."""

    folder: Path
    """Empty at first; the command runs in it."""
    bundle: Callable[[], Path]
    """Puts a fresh copy of a trained bundle (features size and kind, target fraud) at ``claims.bundle``."""

    def write(self, name: str, content: str | bytes) -> str:
        """A file in the folder; returns its name."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name


@dataclass(frozen=True, slots=True)
class BadInput:
    """One row of the table."""

    id: str
    did: str
    """What the user did."""
    gets: str
    """What they get, in a sentence."""
    code: int
    """Exit code."""
    says: tuple[str, ...]
    """Words that are printed."""
    arrange: Callable[[Place], list[str]] = field(repr=False)
    """Makes the mistake; returns the command line."""


def claims(
    rows: int = 60, *, target: Callable[[int], object] | None = None, extra: Callable[[int], object] | None = None
) -> str:
    """A small CSV file that trains: a number, a category, a target that they tell, and perhaps one more column."""
    lines = [f"size,kind{',extra' if extra else ''},fraud"]
    for n in range(rows):
        size, kind = (n * 37) % 61 / 10, ("fire", "water", "theft")[n % 3]
        answer = target(n) if target else ("yes" if size + (n % 3 == 2) > 3.4 else "no")
        more = f",{extra(n)}" if extra else ""
        lines.append(f"{size},{kind}{more},{answer}")
    return "\n".join(lines) + "\n"


def train(content: str | bytes | None, *options: str, target: str = "fraud") -> Callable[[Place], list[str]]:
    """``trueweight train claims.csv --target fraud`` on a file of this content; None writes none."""

    def arrange(place: Place) -> list[str]:
        if content is not None:
            place.write("claims.csv", content)
        return ["train", "claims.csv", "--target", target, *FAST, *options]

    return arrange


def spec(text: str, *options: str, verb: str = "train") -> Callable[[Place], list[str]]:
    """``trueweight train claims.yaml`` on a spec of this text, beside a good file."""

    def arrange(place: Place) -> list[str]:
        place.write("claims.csv", claims())
        place.write("claims.yaml", text)
        return [verb, "claims.yaml", *options]

    return arrange


def ask(verb: str, content: str | bytes, *options: str) -> Callable[[Place], list[str]]:
    """``trueweight predict claims.bundle new.csv`` or the like, on a file of this content."""

    def arrange(place: Place) -> list[str]:
        bundle = place.bundle()
        return [verb, bundle.name, place.write("new.csv", content), *options]

    return arrange


def spoilt(spoil: Callable[[Path], object], verb: str = "verify") -> Callable[[Place], list[str]]:
    """``trueweight verify claims.bundle`` on a bundle to which something was done."""

    def arrange(place: Place) -> list[str]:
        bundle = place.bundle()
        spoil(bundle)
        rest = [place.write("new.csv", claims())] if verb == "predict" else []
        return [verb, bundle.name, *rest]

    return arrange


def _edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def spoil(bundle: Path) -> None:
        text = (bundle / name).read_text()
        assert old in text, f"{name} holds no {old!r}"
        (bundle / name).write_text(text.replace(old, new))

    return spoil


def _cut(name: str) -> Callable[[Path], object]:
    return lambda bundle: (bundle / name).write_bytes((bundle / name).read_bytes()[:-7])


def _remove(name: str) -> Callable[[Path], object]:
    return lambda bundle: (bundle / name).unlink()


def _too_new(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"format": manifest["format"] + 1}))


def _outside(bundle: Path) -> None:
    (bundle / "MODEL_CARD.md").unlink()
    (bundle / "MODEL_CARD.md").symlink_to("../new.csv")


def _run_as_bundle(place: Place) -> list[str]:
    (place.folder / "run").mkdir()
    shutil.move(place.bundle(), place.folder / "run")
    return ["show", "run"]


JUNK = bytes((n * 7919 + 13) % 251 + 1 for n in range(4000))  # no NUL, no line that makes sense


GOOD_SPEC = "version: 1\nname: claims\ndata: {source: claims.csv}\ntargets: {fraud: binary}\nmodel: {preset: fast}\n"


def _set(*settings: str, content: str | None = None) -> Callable[[Place], list[str]]:
    options = [word for setting in settings for word in ("--set", setting)]
    return train(claims() if content is None else content, *options)


FILES = [
    BadInput("missing-file", "named a file that is not there", "is told what the folder holds", 3,
             ("there is no file 'claims.csv'", "hint: the folder"), train(None)),
    BadInput("misspelt-file", "misspelt a file's name", "is told the name that is there", 3,
             ("there is no file 'claim.csv'", "did you mean 'claims.csv'?"),
             lambda p: ["train", p.write("claims.csv", claims())[:5] + ".csv", "--target", "fraud"]),
    BadInput("folder", "named a folder", "is shown how to name the files in it", 3,
             ("is a folder, not a file", "*.csv"), lambda p: ["train", ".", "--target", "fraud"]),
    BadInput("empty-file", "gave an empty file", "is told so", 3, ("claims.csv", "empty (0 bytes)"), train("")),
    BadInput("header-only", "gave a header without rows", "is told so", 3,
             ("claims.csv", "a header of 3 columns, but no row"), train("size,kind,fraud\n")),
    BadInput("junk", "gave binary junk named .csv", "is told that this is no text", 3,
             ("claims.csv", "not a text file", "control characters", "data.format"), train(JUNK)),
    BadInput("program", "gave a program named .csv", "is told at which byte it stops being text", 3,
             ("claims.csv", "not a text file: byte 4 is NUL"), train(b"\x7fELF" + bytes(500))),
    BadInput("picture", "gave a picture named .csv", "is told what it is", 3,
             ("claims.csv", "not a text file but an image"), train(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))),
    BadInput("wrong-delimiter", "said the wrong delimiter", "is told the one that fits", 3,
             ("delimiter ';' does not split the header", "set data.delimiter to ','"), _set("data.delimiter=;")),
    BadInput("ragged", "gave rows of different lengths", "is told the first such line, and how many there are", 3,
             ("claims.csv:62", "20 of 80 rows do not have 3 cells", "data.max_bad_rows"),
             train(claims() + "1,2\n" * 20)),
    BadInput("duplicate-columns", "gave two columns one name", "is told which", 3,
             ("duplicate column names: 'size'", "columns 1, 2"), train(claims().replace("size,kind", "size,size", 1))),
    BadInput("one-column", "gave a file with nothing but the target", "is told that nothing can be learnt from it", 3,
             ("no column is left to learn from",), train("fraud\n" + "yes\nno\n" * 20)),
    BadInput("three-rows", "gave 3 rows", "is told which part of the split stays empty", 3,
             ("leaves no row for validation and test", "only 3 rows"), train(claims(3))),
    BadInput("ten-rows", "gave 10 rows", "gets a model, and is told that its scores prove little", 0,
             ("Test: 2 rows", "2 rows are too few to compare on"), train(claims(10))),
]  # fmt: skip

CELLS = [
    BadInput("empty-column", "gave a column without any value", "the column is left out", 0, ("Test: 12 rows",),
             train(claims(extra=lambda n: ""))),
    BadInput("empty-column-named", "asked for a column without any value", "the model learns from the others", 0,
             ("60 cells: missing in extra",), _set("features.extra.type=number", content=claims(extra=lambda n: ""))),
    BadInput("infinite", "gave infinite numbers", "they count as missing, and are counted", 0,
             ("7 cells: infinite in extra",), train(claims(extra=lambda n: "inf" if n % 9 == 0 else n / 7))),
    BadInput("infinite-target", "gave infinite targets", "rows without a finite target are left out and counted", 0,
             ("7 rows without any label left out", "7 cells: infinite in fraud"),
             train(claims(target=lambda n: "-inf" if n % 9 == 0 else n / 7))),
    BadInput("huge-cell", "gave a cell of 1 MB", "it is a rare category like any other", 0, ("Test: 12 rows",),
             train(claims(extra=lambda n: "x" * 1_000_000 if n == 7 else "ab"[n % 2]))),
    BadInput("many-levels", "gave a name for each row", "the column is left out as an identifier", 0,
             ("Test: 12 rows",),
             train(claims(extra=lambda n: f"row {n}"))),
    BadInput("many-levels-named", "called a name for each row a category", "rare levels share one place", 0,
             ("Test: 12 rows",), _set("features.extra.type=category", content=claims(extra=lambda n: f"row {n}"))),
    BadInput("big-integers", "gave whole numbers above 2^53", "they are rounded, and counted", 0,
             ("60 cells: above 2^53 in extra",), train(claims(extra=lambda n: 2**53 + n))),
    BadInput("words-as-numbers", "called a column of words a number", "is shown a cell", 3,
             ("column 'kind' is said to be a number", "'fire'", "features.kind"), _set("features.kind.type=number")),
]  # fmt: skip

TARGETS = [
    BadInput("no-target", "left out --target", "is asked for it", 2, ("which column of claims.csv", "--target COLUMN"),
             lambda p: ["train", p.write("claims.csv", claims())]),
    BadInput("misspelt-target", "misspelt the target", "is told the name that is there", 3,
             ("claims.csv", "no column 'fruad'", "'fraud'"), train(claims(), target="fruad")),
    BadInput("unlabelled", "gave a target without any value", "is told so", 3,
             ("targets.fraud", "has no values"), train(claims(target=lambda n: ""))),
    BadInput("some-unlabelled", "gave a target with gaps", "rows without a label are left out and counted", 0,
             ("15 rows without any label left out",), train(claims(target=lambda n: "yn"[n % 2] if n % 4 else ""))),
    BadInput("constant-target", "gave a target that is always the same", "is told that nothing can be learnt", 3,
             ("targets.fraud", "constant"), train(claims(target=lambda n: "yes"))),
    BadInput("constant-number", "gave a number that is always the same", "is told that nothing can be learnt", 3,
             ("targets.fraud", "constant"), train(claims(target=lambda n: "1.5"))),
    BadInput("one-row-class", "gave a class with one row", "is told which class", 3,
             ("targets.fraud", "class 'rare' of 'fraud' has only one", "merge it"),
             train(claims(target=lambda n: "rare" if n == 5 else "yn"[n % 2]))),
    BadInput("name-as-target", "asked for a name of each row", "is told how many there are", 3,
             ("60 distinct texts in 60 rows", "targets:"), train(claims(target=lambda n: f"row-{n}-{n * n}"))),
    BadInput("words-as-number-target", "called a target of words a number", "is shown a cell", 3,
             ("'fraud' is said to be a number", "'no'", "targets.fraud"),
             lambda p: spec(GOOD_SPEC.replace("binary", "number"))(p)),
    BadInput("three-as-two", "called a target of three classes binary", "is told the three", 3,
             ("has 3 values, not two", "type: category"),
             lambda p: ["train", (p.write("claims.csv", claims(target=lambda n: "abc"[n % 3])),
                                  p.write("claims.yaml", GOOD_SPEC))[1]]),
    BadInput("weight-gap", "weighed rows with a column that has gaps", "is told what a weight must be", 3,
             ("data.sample_weight", "'extra'", "missing or below 0"),
             _set("data.sample_weight=extra", content=claims(extra=lambda n: "" if n == 3 else 1))),
    BadInput("weight-zero", "weighed every row with 0", "is told so", 3, ("data.sample_weight", "'extra' is 0"),
             _set("data.sample_weight=extra", content=claims(extra=lambda n: 0))),
    BadInput("huge-target", "gave targets up to 1e302", "is told the largest", 3,
             ("targets.fraud", "8.55e+301", "larger unit"), train(claims(target=lambda n: f"{n * 1.5}e300"))),
    BadInput("positive-class", "named a positive class that there is none of", "is told those there are", 3,
             ("'maybe'", "'no' and 'yes'"), _set("targets.fraud.positive_class=maybe")),
]  # fmt: skip

SPECS = [
    BadInput("missing-spec", "named a spec that is not there", "is told how to get one", 2,
             ("claims.yaml: no such file", "trueweight init"), lambda p: ["train", "claims.yaml"]),
    BadInput("unknown-keys", "misspelt options in a spec", "is told all of them, each with its place", 2,
             ("2 mistakes", "claims.yaml:6:1: trian", "did you mean 'train'", "claims.yaml:7:9: split.methd",
              "'method'"),
             spec(GOOD_SPEC + "trian: {}\nsplit: {methd: random}\n")),
    BadInput("wrong-types", "gave options the wrong types", "is told what each of them must be", 2,
             ("4 mistakes", "claims.yaml:6:7: seed: must be at least 0, got -1", "must be a number, got 'most'",
              "'soon'", "write 8GB"),
             spec(GOOD_SPEC + "seed: -1\nsplit: {test: most}\ntrain: {budget: {time: soon, memory: lots}}\n")),
    BadInput("check-wrong-types", "checked such a spec", "is told the same", 2, ("claims.yaml:6:7: seed", "got -1"),
             spec(GOOD_SPEC + "seed: -1\n", verb="check")),
    BadInput("not-yaml", "wrote a spec that is not YAML", "is shown the place", 2,
             ("claims.yaml:2:14", "not YAML", "^", "brackets"), spec("version: 1\nname: [claims\n")),
    BadInput("list-as-spec", "wrote a spec that is a list", "is told what it should be", 2,
             ("claims.yaml", "found a list", "trueweight init"), spec("- a\n- b\n")),
    BadInput("empty-spec", "gave an empty spec", "is told the least that it holds", 2,
             ("claims.yaml: the spec is empty", "targets:"), spec("")),
    BadInput("data-as-spec", "checked a data file", "is told how to write a spec for it", 2,
             ("a data file, not a spec", "trueweight init"),
             lambda p: ["check", p.write("claims.csv", claims())]),
    BadInput("unknown-part", "misspelt the name of an optimiser", "is told the nearest one", 2,
             ("claims.yaml:6:20", "unknown optimizer 'adamq'", "'adam'"),
             spec(GOOD_SPEC + "train: {optimizer: adamq}\n")),
    BadInput("unknown-column", "named a feature that is not in the file", "is told the nearest one", 3,
             ("claims.csv", "no column 'sizes'", "'size'"), spec(GOOD_SPEC + "features: {sizes: number}\n")),
    BadInput("unknown-group", "split by a column that is not in the file", "is told the columns", 3,
             ("no column 'customer'", "'kind'"), _set("split.group=customer")),
    BadInput("no-time", "split by time with a column of words", "is told what it needs", 3,
             ("split.time_column", "'kind'", "neither dates nor numbers"), _set("split.time_column=kind")),
    BadInput("no-parts", "split by a column that does not say the part", "is told the words it may hold", 3,
             ("split.column", "'fire'", "train, validation"), _set("split.column=kind")),
    BadInput("one-group", "split by a column that is always the same", "is told which parts stay empty", 3,
             ("the group split leaves no row for validation and test",),
             _set("split.group=extra", content=claims(extra=lambda n: "one"))),
    BadInput("unknown-metric", "misspelt a metric", "is told the nearest one, before training", 2,
             ("evaluate.metrics.fraud", "'roc_uac'", "did you mean 'roc_auc'"),
             spec(GOOD_SPEC + "evaluate: {metrics: {fraud: [roc_uac]}}\n")),
    BadInput("unfit-metric", "asked for a metric that does not fit the target", "is told those that do", 2,
             ("'rmse' cannot be measured on 'fraud'", "choose from"),
             spec(GOOD_SPEC + "evaluate: {metrics: {fraud: [rmse]}}\n")),
    BadInput("unknown-class", "asked for the recall of a class that is not there", "is told the nearest one, before "
             "training", 2, ("evaluate.metrics.fraud: no class is called 'yess'", "did you mean 'yes'"),
             _set("evaluate.metrics.fraud=['recall[no]', 'recall[yess]']")),
    BadInput("metric-without-intervals", "asked for the coverage of intervals that are switched off", "is told, "
             "before training", 2, ("'coverage' is of intervals, and evaluate.conformal is null",),
             _set("evaluate.conformal=null", "evaluate.metrics.fraud=[mae, coverage]",
                  content=claims(target=lambda n: n % 13 + 0.5))),
    BadInput("select-by-intervals", "selected by intervals, which are made after selecting", "is told what fits", 2,
             ("train.selection_metric: 'coverage' is of intervals", "choose from mae"),
             _set("train.selection_metric={target: fraud, metric: coverage}",
                  content=claims(target=lambda n: n % 13 + 0.5))),
    BadInput("unknown-setting", "misspelt a --set", "is told the nearest option", 2,
             ("train.bugdet: no such option", "did you mean 'budget'"), _set("train.bugdet.time=2m")),
    BadInput("half-setting", "gave a --set without a value", "is shown one", 2,
             ("--set seed: expected name=value", "--set train.budget.time=2m"), _set("seed")),
    BadInput("bad-budget", "gave a --budget that is no time", "is shown some that are", 2,
             ("train.budget.time", "90s, 20m", "'soon'"), train(claims(), "--budget", "soon")),
    BadInput("no-budget", "gave a --budget of nothing", "is told so", 2, ("train.budget.time", "more than 0"),
             train(claims(), "--budget", "0s")),
    BadInput("unknown-option", "misspelt an option", "is told the nearest one", 2, ("'--bugdet'", "'--budget'"),
             train(claims(), "--bugdet", "2m")),
    BadInput("nothing-to-train", "kept every row for testing and validation", "is told that nothing is left", 2,
             ("validation 0.4 and test 0.6 leave nothing",), _set("split.test=0.6", "split.validation=0.4")),
    BadInput("much-to-test", "kept 90 % for testing", "validation gets half of the rest", 0, ("Test: 180 rows",),
             _set("split.test=0.9", content=claims(200))),
    BadInput("no-source", "gave a spec without data", "is told where to name it", 2,
             ("data.source", "data: {source: FILE}"),
             spec(GOOD_SPEC.replace("data: {source: claims.csv}\n", ""))),
    BadInput("spec-and-target", "gave a spec and --target", "is told which to leave out", 2, ("leave out --target",),
             spec(GOOD_SPEC, "--target", "fraud")),
    BadInput("no-memory", "allowed less memory than fitting needs", "is told how much it needs", 4,
             ("train.budget.memory", "needs about", "1.0 KB"),
             _set("train.budget.memory=1KB", "model.preset=standard")),
    BadInput("diverged", "chose a learning rate of 1e30", "is told to lower it", 4,
             ("train.optimizer.learning_rate", "diverged", "lower it"),
             _set("train.optimizer={type: sgd, learning_rate: 1e30}", "model.encoder={type: mlp, hidden_sizes: [8]}",
                  "train.budget.steps=60", "train.max_grad_norm=1e30",
                  content=claims(target=lambda n: n * 1.5))),
    BadInput("nothing-to-resume", "resumed a run that is not there", "is told so", 4,
             ("no unfinished run of 'claims'", "leaving out --resume"), train(claims(), "--resume")),
    BadInput("out-not-empty", "chose an --out that holds other things", "is told one of them", 4,
             ("the folder is not empty", "'claims.csv'", "--out"), train(claims(), "--out", ".")),
    BadInput("out-below-file", "chose an --out below a file", "is told which", 4, ("claims.csv is a file",),
             train(claims(), "--out", "claims.csv/run")),
    BadInput("out-is-file", "chose an --out that is a file", "is told so", 2, ("claims.csv", "is a file"),
             train(claims(), "--out", "claims.csv")),
    BadInput("no-plan", "replayed a file that is no plan", "is told which file is one", 2, ("not a plan", "plan.json"),
             lambda p: [*train(claims())(p), "--plan", p.write("plan.json", "{}")]),
]  # fmt: skip

ASKING = [
    BadInput("predict-no-columns", "asked about a file with none of the model's columns", "is told the columns", 3,
             ("new.csv", "'size'", "'kind'"), ask("predict", "a,b\n1,2\n")),
    BadInput("predict-one-column", "asked about a file that lacks a column", "it counts as missing, and is named", 0,
             ("fraud,fraud.p[yes]", "new.csv lacks 'kind'"), ask("predict", "size\n1.5\n")),
    BadInput("predict-empty", "asked about an empty file", "is told so", 3, ("new.csv", "empty"), ask("predict", "")),
    BadInput("predict-header", "asked about a header without rows", "is told so", 3, ("new.csv", "no row"),
             ask("predict", "size,kind\n")),
    BadInput("predict-new-level", "asked about a category never seen", "it counts as rare", 0, ("fraud,fraud.p[yes]",),
             ask("predict", "size,kind\n1.5,flood\n")),
    BadInput("predict-words", "asked about words where numbers were", "they count as missing", 0,
             ("fraud,fraud.p[yes]",), ask("predict", "size,kind\nbig,fire\n")),
    BadInput("predict-missing-file", "asked about a file that is not there", "is told what is there", 3,
             ("there is no file 'new.csv'", "claims.bundle"), lambda p: ["predict", p.bundle().name, "new.csv"]),
    BadInput("predict-nowhere", "sent answers to a folder that is not there", "is told how to make it", 4,
             ("does not exist", "mkdir -p"), ask("predict", claims(), "-o", "no/where.csv")),
    BadInput("evaluate-no-target", "measured on a file without the target", "is told so", 3,
             ("new.csv", "column 'fraud' is not there", "use predict"), ask("evaluate", "size,kind\n1,fire\n")),
    BadInput("evaluate-unlabelled", "measured on a file whose target is empty", "is told so", 3,
             ("new.csv", "'fraud' is empty in all 60 rows"), ask("evaluate", claims(target=lambda n: ""))),
    BadInput("evaluate-new-classes", "measured on classes never seen", "is told those that are known", 3,
             ("new.csv", "'maybe'", "'no', 'yes'"), ask("evaluate", claims(target=lambda n: "maybe"))),
]  # fmt: skip

BUNDLES = [
    BadInput("no-bundle", "named a bundle that is not there", "is told so", 5, ("there is no bundle 'claims.bundle'",),
             lambda p: ["predict", "claims.bundle", p.write("new.csv", claims())]),
    BadInput("file-as-bundle", "named a file as a bundle", "is told what a bundle is", 5,
             ("'claims.bundle' is not a bundle", "manifest.json"),
             lambda p: ["show", p.write("claims.bundle", "hello")]),
    BadInput("folder-as-bundle", "named another folder as a bundle", "is told what a bundle is", 5,
             ("is not a bundle", "manifest.json"), lambda p: ["show", "."]),
    BadInput("run-as-bundle", "named the run's folder instead of the bundle", "is told the bundle in it", 5,
             ("'run' is not a bundle", "did you mean 'run/claims.bundle'?"),
             _run_as_bundle),
    BadInput("changed-verify", "changed a file of a bundle and verified it", "is told which file", 5,
             ("unchanged: NO", "evidence.json"), spoilt(_edit("evidence.json", "fraud", "fried"))),
    BadInput("changed-predict", "asked a changed bundle", "gets no answer", 5,
             ("the bundle was changed: evidence.json", "fresh copy"),
             spoilt(_edit("evidence.json", "fraud", "fried"), "predict")),
    BadInput("changed-show", "looked at a changed bundle", "is told which file", 5, ("MODEL_CARD.md", "changed"),
             spoilt(_edit("MODEL_CARD.md", "fraud", "fried"), "show")),
    BadInput("cut-short", "copied a bundle incompletely", "is told which file is short", 5,
             ("predictor.json is cut short",), spoilt(_cut("predictor.json"), "predict")),
    BadInput("file-lost", "deleted a file of a bundle", "is told which", 5, ("signature.json is missing",),
             spoilt(_remove("signature.json"), "predict")),
    BadInput("file-added", "put a file into a bundle", "is told which", 5, ("notes.txt was added",),
             spoilt(lambda bundle: (bundle / "notes.txt").write_text("mine"), "predict")),
    BadInput("too-new", "opened a bundle of a later version", "is told to upgrade", 5,
             ("format 2", "reads up to 1", "pip install --upgrade"), spoilt(_too_new, "show")),
    BadInput("link", "replaced a file of a bundle by a link", "is told which", 5, ("MODEL_CARD.md is a link",),
             spoilt(_outside, "show")),
    BadInput("verify-no-data", "recomputed without data", "is asked for it", 2, ("--data SOURCE",),
             lambda p: ["verify", p.bundle().name, "--recompute"]),
    BadInput("verify-other-data", "recomputed on other data", "is told that the rows differ", 3,
             ("other.csv", "not the rows that were measured", "the very file"),
             lambda p: ["verify", p.bundle().name, "--recompute", "--data", p.write("other.csv", claims(50))]),
]  # fmt: skip

SECTIONS: dict[str, list[BadInput]] = {
    "Files": FILES, "Cells": CELLS, "Targets": TARGETS, "Specs and options": SPECS, "Asking": ASKING,
    "Bundles": BUNDLES,
}  # fmt: skip
"""Heading of the docs page to rows."""

BAD_INPUTS = [row for rows in SECTIONS.values() for row in rows]
