"""What ``doctor`` says of threads, memory and neighbours: every warning tells what to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from trueweight.cli.machine import physical_cores, quota
from trueweight.cli.surroundings import Surroundings, advice, hints

FINE = Surroundings(
    threads=4, cores=4, processors=8, allowed=8, quota=None, load=0.3, flushes=True, allocator="glibc 2.36", offered="",
    huge_pages="madvise", environment={},
)  # fmt: skip


def test_nothing_is_said_where_nothing_is_wrong():
    assert list(advice(FINE)) == []


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ({"threads": 8}, "8 threads on 4 physical cores", "set OMP_NUM_THREADS=4"),
        ({"threads": 1, "environment": {"OMP_NUM_THREADS": "1"}}, "1 of 4 physical cores", "unset it"),
        ({"environment": {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "2"}}, "disagree", "set all to 4"),
        ({"environment": {"OMP_NUM_THREADS": "all"}}, "'all', which is no number", "set it to 4"),
        ({"environment": {"OMP_NUM_THREADS": "0"}}, "'0', which is no number", "set it to 4"),
        ({"quota": 0.5}, "0.5 of a processor", "allow at least 1"),
        ({"allowed": 2}, "2 of 8 processors", "start it without"),
        ({"load": 9.5}, "9.5 processes wanted to compute", "stop other programs"),
        ({"flushes": False}, "a hundred times slower", "raise the optimizer's eps"),
        ({"environment": {"MALLOC_PERTURB_": "7"}}, "MALLOC_PERTURB_ is set", "unset it"),
        ({"environment": {"PYTHONMALLOC": "debug"}}, "PYTHONMALLOC=debug", "unset it"),
        ({"environment": {"MALLOC_ARENA_MAX": "1"}}, "4 threads wait for each other", "unset it"),
        ({"environment": {"LD_PRELOAD": "/x/libjemalloc.so"}}, "was not loaded", "see that /x/libjemalloc.so exists"),
        ({"huge_pages": "never"}, "huge pages are switched off", "THP_MEM_ALLOC_ENABLE=1"),
    ],
)
def test_what_is_in_the_way_is_told_with_its_remedy(change: dict, said: str, remedy: str):
    (told,) = advice(replace(FINE, **change))
    assert said in told
    assert remedy in told


@pytest.mark.parametrize(
    "change",
    [
        {"environment": {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}},
        {"environment": {"OMP_NUM_THREADS": "4,2"}},  # of nested regions
        {"environment": {"MALLOC_CHECK_": "0"}},
        {"environment": {"LD_PRELOAD": "/x/libjemalloc.so"}, "allocator": "jemalloc"},
        {"environment": {"MALLOC_ARENA_MAX": "1"}, "allocator": "jemalloc"},
        {"load": None},
        {"threads": 2},  # a program may have its reasons
        {"huge_pages": ""},
    ],
    ids=str,
)
def test_what_is_right_is_let_be(change: dict):
    assert list(advice(replace(FINE, **change))) == []


def test_what_could_help_is_a_hint():
    memory, pages = hints(FINE)
    assert "MALLOC_TRIM_THRESHOLD_=" in memory
    assert "none is installed" in memory
    assert "THP_MEM_ALLOC_ENABLE=1" in pages
    assert "LD_PRELOAD=/x/libjemalloc.so" in next(hints(replace(FINE, offered="/x/libjemalloc.so")))
    tuned = {"MALLOC_TRIM_THRESHOLD_": "1", "THP_MEM_ALLOC_ENABLE": "1"}
    assert list(hints(replace(FINE, environment=tuned))) == []
    assert list(hints(replace(FINE, allocator="jemalloc", huge_pages="always"))) == []


def test_this_process_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    found = Surroundings.here(threads=3, flushes=True)
    assert found.threads == 3
    assert found.cores == physical_cores() <= found.allowed <= found.processors
    assert "OMP_NUM_THREADS" not in found.environment  # empty is not set
    facts = found.facts()
    assert "MALLOC_ARENA_MAX=2" in facts["variables"]
    assert facts["allocator"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_container_limit_is_found_in_both_versions(tmp_path: Path, files: dict[str, str], expected: float | None):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert quota(tmp_path) == expected
