"""200 training steps by PyTorch, for packages/train/src/engine: python tools/oracles/training_step.py

Writes fixtures/training_step.safetensors: float16 rows of one epoch with their labels, soft labels and groups, and for
each case below the weights before (`<case>.initial.*`) and after (`<case>.final.*`), Adam's `exp_avg.*` and
`exp_avg_sq.*`, the loss of each step, and the logits of the rows in the end. The rows are taken in order, in batches of
32 with a short one at the end of each epoch.
"""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/engine/fixtures/training_step.safetensors"
ROWS, INPUT, BATCH, STEPS = 300, 24, 32, 200
POS_WEIGHT = 1.75
DROPOUT, SEED = 0.3, 7
COMPONENTS = 6
WARMUP = 15

torch.manual_seed(0)
rows = (torch.randn(ROWS, INPUT) * torch.linspace(0.5, 2, INPUT) + torch.linspace(-1, 1, INPUT)).half()
labels = (rows[:, :3].float().sum(1) + torch.randn(ROWS) > -2.5).float()
soft_labels = (0.8 * labels + 0.2 * torch.rand(ROWS)).float()
groups = torch.randint(0, 9, (ROWS,), dtype=torch.int32)

wide = rows.float()
mean, scale = wide.mean(0), wide.std(0, correction=0)
standardised = (wide - mean) / scale
components = torch.from_numpy(PCA(COMPONENTS).fit(standardised).components_).float()


def bce(logits, labels, groups):
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=torch.tensor(POS_WEIGHT))


def pairwise(logits, labels, groups):
    right, wrong = torch.nonzero((groups[:, None] == groups) & (labels[:, None] > labels), as_tuple=True)
    return F.softplus(-(logits[right] - logits[wrong])).mean() if len(right) else 0 * logits.sum()


class Xoshiro:
    """xoshiro128**, seeded as packages/core/src/random does."""

    def __init__(self, seed, name):
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        self.state = [int.from_bytes(digest[i : i + 4], "little") for i in (0, 4, 8, 12)]

    def next(self):
        a, b, c, d = self.state
        rotl = lambda x, k: ((x << k) | (x >> (32 - k))) & 0xFFFFFFFF
        result = rotl(b * 5 & 0xFFFFFFFF, 7) * 9 & 0xFFFFFFFF
        c, d = c ^ a, d ^ b
        self.state = [a ^ d, b ^ c, c ^ (b << 9 & 0xFFFFFFFF), rotl(d, 11)]
        return result

    def uniform(self):
        return ((self.next() >> 5) * 2**26 + (self.next() >> 6)) / 2**53


def dropped(x, step, layer):
    random = Xoshiro(SEED, f"dropout step {step} layer {layer}")
    mask = torch.tensor([random.uniform() >= DROPOUT for _ in range(x.numel())]).reshape(x.shape[::-1]).T
    return x * mask / (1 - DROPOUT)


def cosine_after_warmup(optimizer):
    rise = LinearLR(optimizer, start_factor=1 / (WARMUP + 1), total_iters=WARMUP)
    return SequentialLR(optimizer, [rise, CosineAnnealingLR(optimizer, T_max=STEPS - WARMUP)], milestones=[WARMUP])


def train(hidden=(16,), loss_of=bce, labels=labels, inputs=wide, dropout=False, schedule=None):
    torch.manual_seed(1)
    widths = [inputs.shape[1], *hidden, 1]
    linears = [torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
    named = {f"net.{2 * i}.{name}": p for i, linear in enumerate(linears) for name, p in linear.named_parameters()}
    result = {f"initial.{name}": p.detach().clone() for name, p in named.items()}
    optimizer = torch.optim.Adam(named.values(), lr=1e-2, weight_decay=1e-3)
    scheduler = schedule and schedule(optimizer)

    def forward(x, step=None):
        for layer, linear in enumerate(linears[:-1]):
            x = F.relu(linear(x))
            if dropout and step is not None:
                x = dropped(x, step, layer)
        return linears[-1](x).flatten()

    losses = []
    while len(losses) < STEPS:
        for start in range(0, ROWS, BATCH):
            batch = slice(start, start + BATCH)
            optimizer.zero_grad()
            loss = loss_of(forward(inputs[batch], len(losses) + 1), labels[batch], groups[batch])
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            losses.append(loss.item())
    assert len(losses) == STEPS
    for name, p in named.items():
        result[f"final.{name}"] = p.detach()
        result[f"exp_avg.{name}"] = optimizer.state[p]["exp_avg"]
        result[f"exp_avg_sq.{name}"] = optimizer.state[p]["exp_avg_sq"]
    return {**result, "losses": torch.tensor(losses), "logits": forward(inputs).detach()}


cases = {
    "bce": train(),
    "soft labels": train(labels=soft_labels),
    "two hidden layers": train(hidden=(16, 8)),
    "logistic regression": train(hidden=()),
    "pairwise": train(loss_of=pairwise),
    "dropout": train(hidden=(16, 8), dropout=True),
    "standardised": train(inputs=standardised),
    "principal components": train(inputs=standardised @ components.T),
    "cosine schedule": train(schedule=cosine_after_warmup),
}
data = {"rows": rows, "labels": labels, "soft_labels": soft_labels, "groups": groups}
transform = {"mean": mean, "scale": scale, "components": components}
tensors = {f"{case}.{name}": value for case, result in cases.items() for name, value in result.items()}
FIXTURE.parent.mkdir(exist_ok=True)
save_file({name: value.contiguous() for name, value in {**data, **transform, **tensors}.items()}, FIXTURE)
