"""Other servers with the same model, each as its own first page shows it; run in the rivals' environment.

    python benchmarks/serving_peers.py SYSTEM PORT TASK

SYSTEM: bare (uvicorn alone, no model), fastapi, litserve, bentoml, ray. TASK: table (a row of eight numbers, two hidden
layers of 256), picture (32 by 32 colours as PNG in base64, six convolutions), text (64 words, two layers of a
transformer) or writer (32 tokens behind a prompt, by transformers' ``generate``). Weights are random: none of it is
judged by its answers. Each gets the batching that its documentation recommends, where it has one.
"""

import base64
import io
import os
import sys
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TABLE = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]
PLACES, WRITTEN = 512, 32


def network(task: str) -> Any:
    """The model that all serve."""
    import torch
    from throughput_nets import NETS
    from torch import nn

    torch.manual_seed(0)
    if task == "table":
        layers = [nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)]
        return nn.Sequential(*layers).eval()
    if task == "writer":
        from transformers import GPT2Config, GPT2LMHeadModel

        sizes = {"vocab_size": 2048, "n_positions": PLACES, "n_embd": 128, "n_layer": 4, "n_head": 4}
        return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=0, pad_token_id=0)).eval()
    return NETS["cnn" if task == "picture" else "transformer"].build().eval()


def tensor_of(task: str, row: dict[str, Any]) -> Any:
    """One row as the model takes it. Words become tokens by what is far simpler than a tokenizer."""
    import torch

    if task == "table":
        return torch.tensor([[float(row[name]) for name in TABLE]])
    if task == "text":
        return torch.tensor([[ord(letter) for letter in row["x"].split()[:64]]])
    if task == "writer":
        return torch.tensor([[ord(letter) for letter in row["prompt"].split()]])
    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(row["x"].partition(",")[2]))).convert("RGB")
    return torch.from_numpy(np.asarray(picture)).permute(2, 0, 1)[None]


def answers(task: str, model: Any, batch: Any) -> list[dict[str, Any]]:
    """Of all rows of a batch."""
    import torch

    with torch.inference_mode():
        if task != "writer":
            return [{"p": row} for row in model(batch).softmax(1).tolist()]
        found = model.generate(
            batch, attention_mask=torch.ones_like(batch), do_sample=False, use_cache=True, min_new_tokens=WRITTEN,
            max_new_tokens=WRITTEN,
        )  # fmt: skip
    return [{"tokens": row} for row in found[:, batch.shape[1] :].tolist()]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Hello."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-type", b"application/json"), (b"content-length", b"14")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b'{"hello":"you"}'[:14]})


def fastapi(task: str, port: int) -> None:
    """A plain function, which FastAPI runs in its pool of threads."""
    import uvicorn
    from fastapi import FastAPI

    model, app = network(task), FastAPI()

    @app.post("/predict")
    def predict(row: dict[str, Any]) -> dict[str, Any]:
        return answers(task, model, tensor_of(task, row))[0]

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def litserve(task: str, port: int) -> None:
    """With its dynamic batching."""
    import litserve as ls
    from serving_litserve import Api

    os.environ["SERVING_TASK"] = task
    api = Api(max_batch_size=64, batch_timeout=0.002)
    ls.LitServer(api, accelerator="cpu").run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)


def bentoml(task: str, port: int) -> None:
    """With its adaptive batching."""
    os.environ["SERVING_TASK"] = task
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # runs where pathlib's types may differ
    os.chdir(folder)
    os.execv(
        sys.executable,
        [sys.executable, "-m", "bentoml", "serve", "serving_bento:Model", "--port", str(port), "--host", "127.0.0.1"],
    )


def ray(task: str, port: int) -> None:
    """With its dynamic batching."""
    import time

    import torch
    from ray import serve

    @serve.deployment(max_ongoing_requests=128)  # its page on batching: at least as many as a batch holds
    class Model:
        def __init__(self) -> None:
            self.model = network(task)

        @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
        async def answer(self, rows: list[Any]) -> list[Any]:
            return answers(task, self.model, torch.cat([tensor_of(task, row) for row in rows]))

        async def __call__(self, request: Any) -> Any:
            return await self.answer(await request.json())

    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Model.bind(), route_prefix="/predict")
    while True:
        time.sleep(1)


def main() -> None:
    """Start the one that is named."""
    system, port, task = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if system == "bare":
        import uvicorn

        uvicorn.run(bare, host="127.0.0.1", port=port, log_level="error", access_log=False)
    else:
        {"fastapi": fastapi, "litserve": litserve, "bentoml": bentoml, "ray": ray}[system](task, port)


if __name__ == "__main__":
    main()
