"""The BentoML service of :mod:`benchmarks.serving_peers`: BentoML wants a module to import."""

import os
from typing import Any

import bentoml
import torch
from serving_peers import answers, network, tensor_of

TASK = os.environ.get("SERVING_TASK", "table")


@bentoml.service(traffic={"timeout": 30})
class Model:
    """Batches adaptively."""

    def __init__(self) -> None:
        self.model = network(TASK)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Probabilities."""
        return answers(TASK, self.model, torch.cat([tensor_of(TASK, row) for row in rows]))
