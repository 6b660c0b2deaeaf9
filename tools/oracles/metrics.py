"""Metrics by scikit-learn, for packages/train/src/metrics.ts: python tools/oracles/metrics.py

Writes fixtures/metrics.json: scores and labels, random, tied and degenerate, and what scikit-learn makes of them. Where
one class is missing the AUC is not defined; the original takes 0.5.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/fixtures/metrics.json"
random = np.random.default_rng(0)


def binary(n, share):
    return (random.random(n) < share).astype(int)


def case(name, scores, labels):
    # As float32, which is what a scorer gives.
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels, int)
    predicted = scores >= 0.5
    return {
        "name": name,
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "auc": roc_auc_score(labels, scores) if len(set(labels.tolist())) == 2 else 0.5,
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted, zero_division=0),
        "precision": precision_score(labels, predicted, zero_division=0),
        "recall": recall_score(labels, predicted, zero_division=0),
    }


labels = binary(200, 0.4)
cases = [
    case("random scores", random.random(200), labels),
    case("scores that lean to the label", np.clip(random.normal(0.4 + 0.2 * labels, 0.2), 0, 1), labels),
    case("many ties", np.round(random.random(200), 1), labels),
    case("all scores equal", np.full(30, 0.5), binary(30, 0.5)),
    case("a perfect order", np.linspace(0, 1, 20), np.arange(20) >= 12),
    case("a reversed order", np.linspace(1, 0, 20), np.arange(20) >= 12),
    case("nothing predicted right", random.random(20) / 4, binary(20, 0.5)),
    case("scores at the ends", [0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 0, 1]),
    case("right ones only", random.random(5), np.ones(5, int)),
    case("wrong ones only", random.random(5), np.zeros(5, int)),
    case("one row", [0.7], [1]),
]
FIXTURE.parent.mkdir(exist_ok=True)
FIXTURE.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")
