"""200 training steps by PyTorch, for packages/train/src/engine: python tools/oracles/training_step.py

Writes fixtures/training_step.safetensors: float16 rows and labels of one epoch, the weights before (`initial.*`) and
after (`final.*`), Adam's `exp_avg.*` and `exp_avg_sq.*`, the loss of each step, and the logits of the rows in the end.
The rows are taken in order, in batches of 32 with a short one at the end of each epoch.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/engine/fixtures/training_step.safetensors"
ROWS, INPUT, HIDDEN, BATCH, STEPS = 300, 24, 16, 32, 200
POS_WEIGHT = 1.75

torch.manual_seed(0)
rows = torch.randn(ROWS, INPUT).half()
labels = (rows[:, :3].float().sum(1) + torch.randn(ROWS) > 0.8).float()

network = torch.nn.Module()
network.net = torch.nn.Sequential(torch.nn.Linear(INPUT, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
initial = {f"initial.{name}": value.clone() for name, value in network.state_dict().items()}
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=1e-3)
criterion = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([POS_WEIGHT]))

losses = []
while len(losses) < STEPS:
    for start in range(0, ROWS, BATCH):
        optimizer.zero_grad()
        logits = network.net(rows[start : start + BATCH].float())
        loss = criterion(logits, labels[start : start + BATCH].unsqueeze(1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
assert len(losses) == STEPS

tensors = {"rows": rows, "labels": labels, "losses": torch.tensor(losses), **initial}
for name, parameter in network.named_parameters():
    tensors[f"final.{name}"] = parameter.detach()
    tensors[f"exp_avg.{name}"] = optimizer.state[parameter]["exp_avg"]
    tensors[f"exp_avg_sq.{name}"] = optimizer.state[parameter]["exp_avg_sq"]
tensors["logits"] = network.net(rows.float()).detach().flatten()
FIXTURE.parent.mkdir(exist_ok=True)
save_file(tensors, FIXTURE)
