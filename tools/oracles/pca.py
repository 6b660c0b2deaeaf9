"""scikit-learn's PCA of the rows of training_step.safetensors, for packages/train/src/engine: python tools/oracles/pca.py

Writes fixtures/pca.safetensors: float32 rows, the mean and scale that they are standardised with, and the components,
all of them, in order of variance. The rows are mixed so that the variances are far apart and the means large.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.decomposition import PCA

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/engine/fixtures/pca.safetensors"
ROWS, WIDTH, COMPONENTS = 400, 40, 8

torch.manual_seed(0)
rows = torch.randn(ROWS, WIDTH) * 0.8 ** torch.arange(WIDTH) @ torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0]
rows = rows * torch.linspace(1, 3, WIDTH) + torch.linspace(-20, 20, WIDTH)
mean, scale = rows.mean(0), rows.std(0, correction=0)
fit = PCA(COMPONENTS, svd_solver="full").fit(((rows - mean) / scale).double())
save_file(
    {"rows": rows, "mean": mean, "scale": scale, "components": torch.from_numpy(fit.components_).float().contiguous()},
    FIXTURE,
)
