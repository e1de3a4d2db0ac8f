"""Other servers with a model of the same shape, each as its own first page shows it; run in the rivals' environment.

    python benchmarks/serving_peers.py SYSTEM PORT TASK

SYSTEM: bare (uvicorn alone, no model), fastapi, litserve, bentoml, ray. TASK: table (a row of eight numbers, two hidden
layers of 256) or picture (28 by 28 grey pixels as PNG in base64, a small CNN). Weights are random: none of it is judged
by its answers. Each gets the batching that its documentation recommends, where it has one.
"""

import base64
import io
import os
import sys
from typing import Any

TABLE = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]


def network(task: str) -> Any:
    """The model that all serve."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    if task == "table":
        layers = [nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)]
    else:
        layers = [
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
        ]  # fmt: skip
    return nn.Sequential(*layers).eval()


def tensor_of(task: str, row: dict[str, Any]) -> Any:
    """One row as the model takes it."""
    import torch

    if task == "table":
        return torch.tensor([[float(row[name]) for name in TABLE]])
    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(row["image"].partition(",")[2]))).convert("L")
    return torch.from_numpy(np.asarray(picture, dtype=np.float32)[None, None] / 255)


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
    import torch
    import uvicorn
    from fastapi import FastAPI

    model, app = network(task), FastAPI()

    @app.post("/predict")
    def predict(row: dict[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            return {"p": model(tensor_of(task, row)).softmax(1)[0].tolist()}

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

    @serve.deployment
    class Model:
        def __init__(self) -> None:
            self.model = network(task)

        @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
        async def answer(self, rows: list[Any]) -> list[Any]:
            with torch.inference_mode():
                found = self.model(torch.cat([tensor_of(task, row) for row in rows])).softmax(1)
            return [{"p": row.tolist()} for row in found]

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
