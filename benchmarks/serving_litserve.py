"""The LitServe interface of :mod:`benchmarks.serving_peers`: its workers import it from a module."""

import os
from typing import Any

import litserve as ls
import torch
from serving_peers import answers, network, tensor_of


class Api(ls.LitAPI):
    """Batches dynamically."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # its name is theirs
        """In each worker."""
        self.task = os.environ["SERVING_TASK"]
        self.model = network(self.task)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # with a type, it would be a query
        """A row as a tensor."""
        return tensor_of(self.task, request)

    def batch(self, inputs: Any) -> Any:
        """Several rows."""
        return torch.cat(inputs)

    def predict(self, x: Any) -> Any:
        """One answer for each."""
        return answers(self.task, self.model, x)

    def unbatch(self, output: Any) -> Any:
        """They are a list as it is."""
        return output

    def encode_response(self, output: Any) -> Any:
        """As JSON."""
        return output
