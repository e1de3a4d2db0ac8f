"""What a program does about imports: torch comes while data is prepared, which must not need it."""

import gc
import subprocess
import sys

import pytest

from trueweight.cli import machine

BEGINNING = """
import sys
import trueweight.api.begin
assert "torch" not in sys.modules, "nothing that prepares data may import torch"
from trueweight.cli import machine
machine.physical_cores = lambda: {cores}
usual = sys.getswitchinterval()
with machine.torch_meanwhile():
    begun = sys.getswitchinterval() != usual or "torch" in sys.modules
assert begun == ("torch" in sys.modules) == ({cores} > 1)
assert sys.getswitchinterval() == usual
machine.prepare_torch()
assert "torch" in sys.modules
with machine.torch_meanwhile():
    assert sys.getswitchinterval() == usual, "there is nothing to wait for"
"""


@pytest.mark.parametrize("cores", [1, 2])
def test_torch_is_imported_beside_the_rest_where_there_are_cores(cores):
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING.format(cores=cores)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def failing() -> None:
    with machine._uncollected():
        assert not gc.isenabled()
        raise ImportError


def test_the_collector_is_on_again_after_an_import_that_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(ImportError):
        failing()
    gc.unfreeze()
    assert gc.isenabled()


PANDAS = """
import sys
from trueweight.cli.machine import leave_pandas_out
leave_pandas_out()
assert "pandas" not in sys.modules
import pyarrow as pa
assert pa.table({"a": [1]}).to_pandas()["a"][0] == 1, "whoever wants a frame gets one"
"""


def test_pandas_is_left_out_until_somebody_asks_for_it():
    done = subprocess.run([sys.executable, "-c", PANDAS], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
