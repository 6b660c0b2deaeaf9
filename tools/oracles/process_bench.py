"""ProcessBench's figures by plain Python, for packages/train/src/evaluate: python tools/oracles/process_bench.py

Writes packages/train/src/evaluate/fixtures/process-bench.json: scored traces of two sources with a label for each step up
to the first error, and what the evaluation of ProcessBench (github.com/QwenLM/ProcessBench, code/run_eval_prm_trl.py)
makes of them: the prediction is the first step that is judged wrong, of all steps, or -1; the accuracies are those of the
traces with and without an error, F1 is their harmonic mean, and the average that of the sources. Beside it the best F1
of all thresholds, each tried.
"""

import json
from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/evaluate/fixtures/process-bench.json"
THRESHOLDS = [0.25, 0.5, 0.65]
SOURCES = ["gsm8k", "math"]


def make_traces():
    random = np.random.default_rng(11)
    traces = []
    for index in range(120):
        source = SOURCES[index % 2]
        steps = int(random.integers(1, 9))
        label = -1 if random.random() < 0.4 else int(random.integers(steps))
        right = [label == -1 or step < label for step in range(steps)]
        scores = [float(np.clip(random.normal(0.7 if good else 0.35, 0.15), 0.01, 0.99)) for good in right]
        # Some on a grid, so that scores are equal to each other and to thresholds.
        scores = [round(score * 16) / 16 if random.random() < 0.3 else round(score, 6) for score in scores]
        traces.append({"source": source, "question": f"question {index // 3}", "label": label, "scores": scores})
    return traces


def find_first_zero(pred):
    zeros = np.flatnonzero(pred == 0)
    return int(zeros[0]) if len(zeros) else -1


def figures(traces, threshold):
    matches = [find_first_zero((np.array(t["scores"]) >= threshold).astype(int)) == t["label"] for t in traces]
    acc1 = np.mean([m for m, t in zip(matches, traces) if t["label"] != -1])
    acc2 = np.mean([m for m, t in zip(matches, traces) if t["label"] == -1])
    f1 = 2 * acc1 * acc2 / (acc1 + acc2) if acc1 + acc2 > 0 else 0.0
    return {"error_accuracy": float(acc1), "correct_accuracy": float(acc2), "f1": float(f1)}


traces = make_traces()
expected = {}
for threshold in THRESHOLDS:
    of_sources = {s: figures([t for t in traces if t["source"] == s], threshold) for s in SOURCES}
    expected[str(threshold)] = {
        **figures(traces, threshold),
        "sources": of_sources,
        "mean_f1": float(np.mean([each["f1"] for each in of_sources.values()])),
    }
points = sorted({0.0, 1.0, *(score for t in traces for score in t["scores"])})
best_f1 = max(figures(traces, (a + b) / 2)["f1"] for a, b in zip(points, points[1:]))
FIXTURE.write_text(json.dumps({"traces": traces, "expected": expected, "best_f1": best_f1}) + "\n")
