"""A bundle's model as ONNX files: other programs run the networks, and our Predictor answers from the very same files.

claims-onnx/
  export.json        what this is, of which bundle, how the files' inputs and outputs are called, parity, bake-off
  networks/0.onnx    one for each network of the model, in the order of its tree
  signature.json predictor.json members/   all that is around the networks: how cells become tensors, tensors answers
  golden/            made-up rows with the answers that this folder gives
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trueweight.bundle.bake_off import SECONDS, BakeOff, bake_off
from trueweight.bundle.bundle import Bundle, key_of, require_columns
from trueweight.bundle.format import ANSWERS, PREDICTOR, ROWS, SIGNATURE, is_safe_path
from trueweight.bundle.golden import Golden, GoldenResult, check_golden
from trueweight.bundle.integrity import parse_json
from trueweight.bundle.parts import check_allowed, origins, parts_of
from trueweight.bundle.tree import read_tree, tree_files
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import SpecError, TrueweightError, VerifyError
from trueweight.files import atomic_folder, canonical_json, digest_bytes, read_json, write_atomic
from trueweight.model.onnx_file import OnnxFile, why_not_flat
from trueweight.model.onnx_runtime import OnnxRuntime
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.tree import leaves_of, predictor_from_state
from trueweight.model.protocols import Predictor, State
from trueweight.model.runtimes import why_not

__all__ = ["RECORD", "OnnxModel", "open_onnx", "refuse_unexportable", "write_onnx_folder"]

RECORD = "export.json"
_FORMAT = 1


@dataclass(frozen=True)
class OnnxModel:
    """A model whose networks are ONNX files. The answers are the bundle's, within its tolerance."""

    path: Path
    record: Mapping[str, Any]
    """What ``export.json`` holds."""
    signature: Signature
    predictor: Predictor

    def predict(self, frame: Any, *, media_dir: str | Path | None = None) -> Any:
        """Answer rows, as :meth:`trueweight.bundle.bundle.Bundle.predict` does.

        Args:
            frame: Anything with columns.
            media_dir: Folder that paths of pictures and sounds start from, and stay in.

        Raises:
            DataError: The frame has none of the columns that the model reads.
        """
        from trueweight.data.frames import from_frame, like_frame

        table = frame if isinstance(frame, Table) else from_frame(frame)
        table = table if media_dir is None else replace(table, media_dir=Path(media_dir))
        require_columns(self.signature, table)
        columns = key_of(self.signature, table)
        for target, prediction in self.predictor.predict(table).items():
            columns |= prediction.columns(target)
        return Table.of(columns) if isinstance(frame, Table) else like_frame(columns, frame)


def refuse_unexportable(bundle: Bundle) -> None:
    """Say what cannot be exported before any work begins.

    Raises:
        SpecError: A network cannot be one ONNX file, there is none, or what writes and runs such files is missing.
    """
    leaves = list(leaves_of(bundle.predictor))
    if not leaves:
        raise SpecError("the model has no network", where="--to onnx", hint="there is nothing to write as ONNX")
    for leaf in leaves:
        if reason := why_not_flat(leaf.network):
            hint = "models that answer with numbers, classes, sets or vectors can be exported; see --to hf for others"
            raise SpecError(reason, where="--to onnx", hint=hint)
        if reason := why_not("onnx", leaf.network):
            raise SpecError(reason, where="--to onnx")
    if bundle.loaded.golden is None:
        hint = "train it again; bundles hold golden rows unless they were made without"
        raise SpecError("the bundle has no golden rows to hold the export against", where="--to onnx", hint=hint)


def write_onnx_folder(bundle: Bundle, out: Path, *, seconds: float = SECONDS) -> Mapping[str, Any]:
    """Write the folder, after its answers to the bundle's golden rows were found to be the same. Gives the record.

    Args:
        bundle: Run as it was tested.
        out: Must not be there yet.
        seconds: For the bake-off; 0 for none.

    Raises:
        SpecError: See :func:`refuse_unexportable`.
        VerifyError: The exported networks answer differently.
        TrainError: ``out`` exists, or cannot be written to.
    """
    refuse_unexportable(bundle)
    golden = bundle.loaded.golden
    assert golden is not None  # refused otherwise
    runs: list[OnnxRuntime] = []

    def made(network: Any) -> OnnxRuntime:
        runs.append(OnnxRuntime(network))
        return runs[-1]

    exported = bundle.predictor.with_runtime(made)
    result = check_golden(exported, golden)
    if not result.ok:
        hint = "the bundle itself is as it was; serve it as it is (--runtime eager)"
        raise VerifyError(f"the exported networks answer differently: {result.problems[0]}", where="golden", hint=hint)
    _ask_all(exported, runs, golden)
    running = bake_off(bundle.predictor, golden, seconds=seconds)[1]
    files = _files(bundle, [run.file for run in runs])
    record = _record(bundle, [run.file for run in runs], result, running, files)
    with atomic_folder(out) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / name, content)
        write_atomic(folder / RECORD, canonical_json(record).encode())
    return record


def _ask_all(exported: Predictor, runs: Sequence[OnnxRuntime], golden: Golden) -> None:
    """Blends do not ask members without a weight: their files are written all the same."""
    for leaf in leaves_of(exported):
        if isinstance(leaf.run, OnnxRuntime) and not leaf.run.ready:
            leaf.predict(golden.table)
    assert all(run.ready for run in runs)


def _files(bundle: Bundle, networks: Sequence[OnnxFile]) -> dict[str, bytes]:
    golden = bundle.loaded.golden
    assert golden is not None  # refused otherwise
    found = {SIGNATURE: canonical_json(bundle.signature.to_json()).encode()}
    found |= tree_files(_without_weights(bundle.predictor.state()))
    found |= golden.files()
    return found | {_network(number): file.content for number, file in enumerate(networks)}


def _network(number: int) -> str:
    return f"networks/{number}.onnx"


def _without_weights(state: State) -> State:
    tensors = {} if state.kind == "network" else state.tensors
    return replace(state, tensors=tensors, members=tuple(map(_without_weights, state.members)))


def _record(
    bundle: Bundle, networks: Sequence[OnnxFile], result: GoldenResult, running: BakeOff, files: Mapping[str, bytes]
) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "format": _FORMAT, "kind": "onnx", "name": bundle.name,
        "bundle": {"digest": manifest.digest, "trueweight": manifest.trueweight},
        "networks": [_described(number, file) for number, file in enumerate(networks)],
        "parity": {
            name: {"largest": result.largest[name], "allowed": result.allowed[name]} for name in result.largest
        },
        "bake_off": running.to_json(),
        "parts": origins(parts_of(bundle.predictor.state(), bundle.signature, [])),
        "files": {name: digest_bytes(content) for name, content in sorted(files.items())},
    }  # fmt: skip


def _described(number: int, file: OnnxFile) -> dict[str, Any]:
    ins = zip(file.input_names(), file.inputs, strict=True)
    outs = zip(file.output_names(), file.outputs, strict=True)
    return {
        "file": _network(number),
        "inputs": [{"name": name, "field": field, "array": array} for name, (field, array) in ins],
        "outputs": [{"name": name, "target": target, "output": output} for name, (target, output) in outs],
    }


def open_onnx(path: str | Path, *, allow: Sequence[str] = ()) -> OnnxModel:
    """Open what ``trueweight export --to onnx`` wrote: rows are prepared as ever, onnxruntime runs the networks.

    Args:
        path: The folder.
        allow: Distributions beside Trueweight whose parts may be imported.

    Raises:
        VerifyError: Not such a folder, changed, or it answers its golden rows differently here.
        SpecError: onnxruntime is not installed.
    """
    folder = Path(path)
    record, content = _content(folder)
    try:
        documents = {name: parse_json(data, name) for name, data in content.items() if name.endswith(".json")}
        signature = Signature.from_json(documents[SIGNATURE])
        state = read_tree(documents[PREDICTOR], lambda name: documents[name], content)
        check_allowed(parts_of(state, signature, []), record["parts"], allow)
        files = iter(_networks(record, content))
        blank = predictor_from_state(_blank(state, signature), signature)
        predictor = blank.with_runtime(lambda network: OnnxRuntime(network, next(files)))
        golden = Golden.from_files(content[ROWS], documents[ANSWERS])
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, StopIteration) as error:
        if isinstance(error, TrueweightError):
            raise
        raise VerifyError(f"the exported folder cannot be understood: {error!r}", where=str(folder)) from error
    result = check_golden(predictor, golden)
    if not result.ok:
        hint = "another version of onnxruntime may compute differently; export the bundle again on this machine"
        raise VerifyError(f"the golden rows get other answers: {result.problems[0]}", where=str(folder), hint=hint)
    return OnnxModel(folder, record, signature, predictor)


def _content(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    if not (folder / RECORD).is_file():
        hint = "such a folder is written by: trueweight export BUNDLE --to onnx"
        raise VerifyError(f"no {RECORD} in {str(folder)!r}", where=str(folder), hint=hint)
    record = read_json(folder / RECORD)
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict) or record.get("format") != _FORMAT:
        raise VerifyError(f"{RECORD} is not of a format that this version reads", where=str(folder))
    found = {}
    for name, digest in files.items():
        if not is_safe_path(name) or not (folder / name).is_file():
            raise VerifyError(f"{name!r} is missing", where=str(folder), hint="export the bundle again")
        found[name] = (folder / name).read_bytes()
        if digest_bytes(found[name]) != digest:
            raise VerifyError(f"{name!r} was changed", where=str(folder), hint="export the bundle again")
    return record, found


def _networks(record: Mapping[str, Any], content: Mapping[str, bytes]) -> Iterator[OnnxFile]:
    for one in record["networks"]:
        inputs = tuple((str(i["field"]), str(i["array"])) for i in one["inputs"])
        outputs = tuple((str(o["target"]), str(o["output"])) for o in one["outputs"])
        yield OnnxFile(content[one["file"]], inputs, outputs)


def _blank(state: State, signature: Signature) -> State:
    """With some weights in the networks, which are never looked at: their tensors are in the files."""
    members = tuple(_blank(member, signature) for member in state.members)
    tensors = state.tensors
    if state.kind == "network":
        tensors = NetworkPredictor.blank(state, signature).network.state_dict()
    return replace(state, tensors=tensors, members=members)
