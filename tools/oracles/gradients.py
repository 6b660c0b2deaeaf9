"""A function of all operators of packages/core/src/onnx/ops.ts and its gradients, by PyTorch in double precision.

    python tools/oracles/gradients.py        (torch)

Writes packages/core/src/onnx/fixtures/gradients.json; gradients.test.ts builds the same function.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

FIXTURE = Path(__file__).resolve().parents[2] / "packages/core/src/onnx/fixtures/gradients.json"

torch.manual_seed(0)
shapes = {"x": [4, 3], "w": [5, 3], "b": [5], "u": [5, 2], "s": [2, 1]}
# As float32 has them, so that both sides start from the same numbers.
inputs = {name: torch.randn(shape).double().requires_grad_() for name, shape in shapes.items()}
x, w, b, u, s = inputs.values()

hidden = F.relu(x @ w.T + b)  # [4, 5]
normed = hidden / torch.sqrt((hidden * hidden).sum(1, keepdim=True) + 1)
logits = normed @ u  # [4, 2]
picked = logits[torch.tensor([3, 0, 0])]  # [3, 2]
gated = torch.sigmoid(picked) @ s  # [3, 1]
centred = hidden - hidden.mean(0)
loss = F.softplus(gated).mean() + (centred.reshape(10, 2) @ s).sum() * gated.sum()
loss.backward()

FIXTURE.parent.mkdir(exist_ok=True)
FIXTURE.write_text(
    json.dumps(
        {
            "inputs": {name: {"shape": shapes[name], "values": t.flatten().tolist()} for name, t in inputs.items()},
            "loss": loss.item(),
            "gradients": {name: t.grad.flatten().tolist() for name, t in inputs.items()},
        }
    )
    + "\n"
)
