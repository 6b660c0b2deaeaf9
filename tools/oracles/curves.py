"""ROC and calibration curves by scikit-learn, for packages/train/src/plots: python tools/oracles/curves.py

Writes fixtures/curves.json: scores with ties, labels, and what roc_curve and calibration_curve make of them.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve

FIXTURE = Path(__file__).parents[2] / "packages/train/src/plots/fixtures/curves.json"

random = np.random.default_rng(0)
labels = (random.random(160) < 0.3).astype(int)
logits = random.normal(0.7 * labels - 0.4, 0.9)
# Two decimals make ties; half a step more keeps them off the bins' bounds, which scikit-learn puts in the lower bin.
scores = np.round(1 / (1 + np.exp(-logits)), 2) + 0.005

false_positive_rate, true_positive_rate, _ = roc_curve(labels, scores, drop_intermediate=False)
observed, mean_score = calibration_curve(labels, scores, n_bins=10, strategy="uniform")

FIXTURE.write_text(
    json.dumps(
        {
            "scores": [round(score, 3) for score in scores.tolist()],
            "labels": labels.tolist(),
            "roc": {"falsePositiveRate": false_positive_rate.tolist(), "truePositiveRate": true_positive_rate.tolist()},
            "reliability": {"score": mean_score.tolist(), "observed": observed.tolist()},
        }
    )
    + "\n"
)
