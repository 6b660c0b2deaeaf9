"""Score hidden states with a trained step scorer, in any Python process that has PyTorch (vLLM's, for one) or numpy alone.

    from step_scorer import StepScorer
    scorer = StepScorer.load("checkpoints/my_scorer")      # or scorer.safetensors, or a .pt
    probabilities = scorer(hidden_states)                  # [N, D] torch tensor or numpy array -> [N]

A row is the hidden state at the end of a reasoning step: of the last layer after the model's final norm, unless
`scorer.config` names others (`feature`, `feature_layers`, numbered as in transformers). The result says for each row how
likely its trace is to end right; a trace's score is the mean over its steps so far.

Torch tensors are scored where they are, on their device; numpy arrays by numpy. Reading needs no safetensors package.

    python step_scorer.py checkpoints/my_scorer states.npy       # prints one probability a line
"""

import json
import sys
from pathlib import Path

import numpy as np


class StepScorer:
    """Linear layers with ReLU between them, and a sigmoid behind the last."""

    def __init__(self, layers, config=None):
        self.layers = layers
        """[(weight [outputs, inputs], bias [outputs])], float32 numpy arrays"""
        self.config = config
        """config.json of the checkpoint folder; None for a bare file"""
        self._on_device = {}

    @classmethod
    def load(cls, path):
        """A checkpoint folder, a .safetensors file or a .pt file (which needs PyTorch)."""
        path, config = Path(path), None
        if path.is_dir():
            config = json.loads((path / "config.json").read_text())
            path = path / "scorer.safetensors"
        tensors = _read_torch(path) if path.suffix == ".pt" else _read_safetensors(path)
        layers = []
        while (name := f"net.{2 * len(layers)}") + ".weight" in tensors:
            layers.append((tensors[name + ".weight"], tensors[name + ".bias"]))
        if not layers or layers[-1][0].shape[0] != 1:
            raise ValueError(f"{path} holds no step scorer: net.0.weight, net.0.bias, ... down to one output")
        return cls(layers, config)

    @property
    def input_size(self):
        return self.layers[0][0].shape[1]

    def logits(self, rows):
        """[N, D] or [D] -> [N] or a scalar, of the kind of array that was given, float32."""
        if rows.shape[-1] != self.input_size:
            raise ValueError(f"rows of {rows.shape[-1]} values, the scorer reads {self.input_size}")
        return self._torch_logits(rows) if hasattr(rows, "device") and hasattr(rows, "detach") else self._numpy_logits(rows)

    def __call__(self, rows):
        """Probabilities; see `logits`."""
        logits = self.logits(rows)
        if isinstance(logits, (np.ndarray, np.generic)):
            with np.errstate(over="ignore"):
                return 1 / (1 + np.exp(-logits))
        return logits.sigmoid()

    def _numpy_logits(self, rows):
        x = np.asarray(rows, dtype=np.float32)
        for i, (weight, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if i else x) @ weight.T + bias
        return x[..., 0]

    def _torch_logits(self, rows):
        import torch

        device = rows.device
        if device not in self._on_device:
            self._on_device[device] = [(torch.tensor(w, device=device), torch.tensor(b, device=device)) for w, b in self.layers]
        with torch.no_grad():
            x = rows.float()
            for i, (weight, bias) in enumerate(self._on_device[device]):
                x = torch.nn.functional.linear(x.relu() if i else x, weight, bias)
            return x[..., 0]


def _read_safetensors(path):
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, info in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if info["dtype"] != "F32":
            raise ValueError(f"tensor {name} of {path} is {info['dtype']}, not F32")
        begin, end = info["data_offsets"]
        tensors[name] = np.frombuffer(data, np.dtype("<f4"), (end - begin) // 4, start + begin).reshape(info["shape"])
    return tensors


def _read_torch(path):
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float().numpy() for name, tensor in checkpoint.get("model_state_dict", checkpoint).items()}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for probability in StepScorer.load(sys.argv[1])(np.load(sys.argv[2])):
        print(f"{probability:.9g}")
