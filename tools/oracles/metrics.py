"""Metrics by scikit-learn, for packages/train/src/metrics.ts: python tools/oracles/metrics.py

Writes fixtures/metrics.json: scores, labels and questions, random, tied and degenerate, and what scikit-learn makes of
them. Where one class is missing the AUC is not defined; the original takes 0.5. Within questions it is the mean of
scikit-learn's AUC over the questions that have both classes. The calibration error is summed up here, from the bins of
NumPy's histogram.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)


FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/fixtures/metrics.json"
random = np.random.default_rng(0)


def binary(n, share):
    return (random.random(n) < share).astype(int)


def within_questions(scores, labels, questions):
    both = [q for q in np.unique(questions) if len(set(labels[questions == q])) == 2]
    aucs = [roc_auc_score(labels[questions == q], scores[questions == q]) for q in both]
    return (float(np.mean(aucs)) if aucs else None), len(both)


def calibration_error(scores, labels):
    edges = np.arange(11) / 10
    counts, score_sums, label_sums = (
        np.histogram(scores, edges, weights=weights)[0] for weights in (None, scores.astype(float), labels)
    )
    return float(np.abs(score_sums - label_sums).sum() / counts.sum())


def case(name, scores, labels, questions=None):
    # As float32, which is what a scorer gives.
    scores, labels = np.asarray(scores, np.float32), np.asarray(labels, int)
    questions = np.arange(len(labels)) % 7 if questions is None else np.asarray(questions)
    predicted = scores >= 0.5
    within, both = within_questions(scores, labels, questions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # average precision of no right ones is 0, it says
        average_precision = average_precision_score(labels, scores)
    return {
        "name": name,
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "questions": questions.tolist(),
        "auc": roc_auc_score(labels, scores) if len(set(labels.tolist())) == 2 else 0.5,
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted, zero_division=0),
        "precision": precision_score(labels, predicted, zero_division=0),
        "recall": recall_score(labels, predicted, zero_division=0),
        "average_precision": average_precision,
        "brier": brier_score_loss(labels, scores.astype(float), pos_label=1),
        "calibration_error": calibration_error(scores, labels),
        "auc_within_question": within,
        "questions_with_both": both,
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
    case("one wrong row", [0.7], [0]),
    case("one question", random.random(40), binary(40, 0.3), np.zeros(40, int)),
    case("a question a row", random.random(40), binary(40, 0.3), np.arange(40)),
    case("questions in blocks, some of one class", np.round(random.random(120), 2), np.repeat(binary(24, 0.4), 5), np.arange(120) // 15),
    case("ties within questions", np.round(random.random(90), 1), binary(90, 0.5), random.integers(0, 12, 90)),
]
FIXTURE.parent.mkdir(exist_ok=True)
FIXTURE.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")
