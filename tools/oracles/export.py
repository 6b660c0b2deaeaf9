"""Scorers as PyTorch saves them and their probabilities, and whether other programs read what the software exports.

Usage: python tools/oracles/export.py                 (torch, numpy, scikit-learn)
    Writes packages/train/src/export/fixtures/{original,deep,logistic}.pt and expected.json. `original.pt` is a checkpoint
    with all that the original's train_scorer.py puts into one, metrics of scikit-learn included.
       python tools/oracles/export.py check FOLDER    (torch, onnxruntime, safetensors)
    FOLDER holds <name>.pt, <name>.onnx, <name>.f16.onnx and <name>.safetensors exported of each fixture: prints the
    largest difference between their probabilities, read by PyTorch, Python's onnxruntime, Python's safetensors and
    tools/python/step_scorer.py, and those of the fixtures, as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/train/src/export/fixtures"
D = 6
HIDDEN = {"original": [5], "deep": [4, 3], "logistic": []}


class Classifier(nn.Module):
    """The original's, with hidden layers of any number and width."""

    def __init__(self, input_dim, hidden):
        super().__init__()
        widths, layers = [input_dim, *hidden, 1], []
        for i, (a, b) in enumerate(zip(widths, widths[1:])):
            layers += ([nn.ReLU()] if i else []) + [nn.Linear(a, b)]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


def write():
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

    torch.manual_seed(0)
    OUT.mkdir(parents=True, exist_ok=True)
    rows = (torch.randn(20, D) * 3).half().float()
    labels = (rows[:, 0] > 0).int().numpy()
    expected = {"rows": rows.tolist()}
    for name, hidden in HIDDEN.items():
        model = Classifier(D, hidden)
        for parameter in model.parameters():
            parameter.data *= 2
        with torch.no_grad():
            probabilities = model(rows).sigmoid()[:, 0]
        expected[name] = probabilities.tolist()
        if name != "original":
            torch.save(model.state_dict(), OUT / f"{name}.pt")
            continue
        optimizer = torch.optim.Adam(model.parameters())
        model(rows).sum().backward()
        with torch.no_grad():
            before = {key: value.clone() for key, value in model.state_dict().items()}
        optimizer.step()
        model.load_state_dict(before)
        p, y = probabilities.numpy(), labels
        metrics = dict(
            auc=roc_auc_score(y, p), acc=accuracy_score(y, p > 0.5), f1=f1_score(y, p > 0.5),
            precision=precision_score(y, p > 0.5), recall=recall_score(y, p > 0.5),
        )
        torch.save({
            "epoch": 2, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(),
            "best_score": np.float64(0.75 * metrics["auc"] + 0.25 * metrics["f1"]), "metrics": metrics,
            "config_name": "default_config", "loss_curve": [0.7, 0.6],
        }, OUT / f"{name}.pt")
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")


def check(folder):
    import onnxruntime
    from safetensors.torch import load_file

    sys.path.insert(0, str(ROOT / "tools/python"))
    from step_scorer import StepScorer

    expected = json.loads((OUT / "expected.json").read_text())
    rows = torch.tensor(expected["rows"])
    result = {}
    for name, hidden in HIDDEN.items():
        model = Classifier(D, hidden)
        scores = {}
        checkpoint = torch.load(folder / f"{name}.pt", weights_only=True)
        for kind, state in [("pt", checkpoint["model_state_dict"]), ("safetensors", load_file(folder / f"{name}.safetensors"))]:
            model.load_state_dict(state)
            with torch.no_grad():
                scores[kind] = model(rows).sigmoid()[:, 0].numpy()
        for kind, dtype in [("onnx", np.float32), ("f16.onnx", np.float16)]:
            session = onnxruntime.InferenceSession(folder / f"{name}.{kind}", providers=["CPUExecutionProvider"])
            logit, scores[kind] = session.run(["logit", "probability"], {"hidden_states": rows.numpy().astype(dtype)})
            scores[f"{kind} logit"] = 1 / (1 + np.exp(-logit))
        for kind in ["pt", "safetensors"]:
            scorer = StepScorer.load(folder / f"{name}.{kind}")
            scores[f"loader {kind} torch"] = scorer(rows.half()).numpy()
            scores[f"loader {kind} numpy"] = scorer(rows.numpy())
        result[name] = {kind: float(np.abs(s - np.array(expected[name])).max()) for kind, s in scores.items()}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "check":
        check(Path(sys.argv[2]))
    else:
        write()
