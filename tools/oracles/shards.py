"""Writes packages/core/src/shards/fixtures/example.json: what Python safetensors reads in example.safetensors, the
shard of `exampleTrace` 0 to 3 (fixtures/traces.ts), which `openShardWriter` made.

    python tools/oracles/shards.py        (safetensors, numpy)
"""

import json
from pathlib import Path

from safetensors import safe_open

FIXTURES = Path(__file__).resolve().parents[2] / "packages/core/src/shards/fixtures"

with safe_open(FIXTURES / "example.safetensors", "np") as file:
    tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    result = {
        "metadata": dict(sorted(file.metadata().items())),
        "tensors": {name: {"dtype": str(x.dtype), "shape": x.shape, "values": x.flatten().tolist()} for name, x in tensors.items()},
    }
(FIXTURES / "example.json").write_text(json.dumps(result, indent=None) + "\n")
