"""Files of torch.save, good and bad, for the tests of packages/core/src/torch.

Usage: python tools/oracles/torch_files.py      (torch, numpy)
Writes packages/core/src/torch/fixtures/*.pt and expected.json: for good files what is in them, tensors as
{"dtype", "shape", "values"}.
"""

import collections
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parents[2] / "packages/core/src/torch/fixtures"
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
expected = {}


def plain(value):
    if isinstance(value, torch.Tensor):
        exact = value.detach().to(torch.float64) if value.is_floating_point() else value
        return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "values": exact.flatten().tolist()}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def good(name, value, **options):
    torch.save(value, OUT / f"{name}.pt", **options)
    expected[name] = plain(value)


# A list of traces as the original's data_hidden_state.py makes it.
good("traces", [
    {
        "select_hidden_states": torch.randn(steps, 3).half(),
        "full_input_ids": torch.arange(5),
        "full_forward_text": "é" * length,
        "original_response": "x" * length,
        "question": "q",
        "is_correct": steps > 1,
    }
    for steps, length in [(2, 10), (0, 2500), (1, 9000)]
])

# A checkpoint as its train_scorer.py makes it, optimizer state and scalars of numpy included.
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(1, 3)).sum().backward()
optimizer.step()
good("checkpoint", {
    "epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(),
    "best_score": np.float64(0.625), "metrics": {"auc": np.float64(0.75), "f1": 0.5, "count": np.int64(7)},
    "config_name": "größe", "loss_curve": [0.5, 0.25], "large": 2**60, "small": -(2**40), "none": None,
})

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
good("views", {
    "row": base[1], "column": base[:, 2], "transposed": base.t(), "corner": base[1:3, 2:5], "whole": base,
    "scalar": torch.tensor(7), "none": torch.zeros(0, 6), "parameter": torch.nn.Parameter(base[0].clone()),
    "size": base.shape,
})
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
good("dtypes", {str(d).removeprefix("torch."): torch.tensor([0, 1, 3, 100]).to(d) for d in DTYPES})


def repacked(name, **options):
    """The first file again, packed by Python's zipfile."""
    source = zipfile.ZipFile(OUT / "views.pt")
    with zipfile.ZipFile(OUT / f"{name}.pt", "w", **options) as target:
        for info in source.infolist():
            plain_info = zipfile.ZipInfo(info.filename)
            plain_info.compress_type = options.get("compression", zipfile.ZIP_STORED)
            with target.open(plain_info, "w", force_zip64=name == "zip64") as entry:
                entry.write(source.read(info))
    expected[name] = expected["views"]


repacked("deflated", compression=zipfile.ZIP_DEFLATED)
repacked("zip64")

# What must be refused.
torch.save(base, OUT / "bad_legacy.pt", _use_new_zipfile_serialization=False)
torch.save(base, OUT / "bad_protocol4.pt", pickle_protocol=4)
torch.save(model, OUT / "bad_module.pt")
torch.save(torch.zeros(3, dtype=torch.complex64), OUT / "bad_dtype.pt")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), OUT / "bad_torchscript.pt")
buffer = io.BytesIO()
np.save(buffer, np.zeros(3))
(OUT / "bad_numpy.pt").write_bytes(buffer.getvalue())


class Reduced:
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


# Loading one of these with Python's pickle would make a file named `executed`.
torch.save({"a": Reduced(os.system, ("touch executed",))}, OUT / "bad_system.pt")
torch.save([Reduced(eval, ("open('executed', 'w')",))], OUT / "bad_eval.pt")
torch.save(Reduced(getattr, (collections.OrderedDict, "__init__")), OUT / "bad_getattr.pt")

(OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
