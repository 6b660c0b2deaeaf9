"""Mean and scale by scikit-learn, for packages/train/src/data/standardise.ts: python tools/oracles/standardise.py

Writes fixtures/standardise.json: float16 rows whose columns differ in mean and spread, one of them constant, one all zero,
and StandardScaler's mean_ and scale_ of them.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/data/fixtures/standardise.json"
random = np.random.default_rng(0)

rows = random.normal([0, 3, 500, -2000, 0.01, 1], [1, 0.2, 2, 400, 0.001, 0], (50, 6))
rows = np.concatenate([rows, np.zeros((50, 1))], axis=1).astype(np.float16)
scaler = StandardScaler().fit(rows.astype(np.float64))

FIXTURE.parent.mkdir(exist_ok=True)
FIXTURE.write_text(
    json.dumps({"rows": rows.tolist(), "mean": scaler.mean_.tolist(), "scale": scaler.scale_.tolist()}) + "\n"
)
