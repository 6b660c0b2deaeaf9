"""Learning rates by torch.optim.lr_scheduler, for packages/train/src/engine: python tools/oracles/lr_schedule.py

Writes fixtures/lr_schedule.json: for each schedule, the numbers of steps in all and of warm-up, and the learning rate
of each step of a run whose own is 1.
"""

import json
import warnings
from pathlib import Path

import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/engine/fixtures/lr_schedule.json"

# SequentialLR steps its schedulers with an argument of theirs that is going out of use.
warnings.filterwarnings("ignore", category=UserWarning)


def rates(kind, total, warmup):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    after = {
        "constant": lambda: ConstantLR(optimizer, factor=1),
        "cosine": lambda: CosineAnnealingLR(optimizer, T_max=total - warmup),
        "linear": lambda: LinearLR(optimizer, start_factor=1, end_factor=0, total_iters=total - warmup),
    }[kind]
    if warmup:
        rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
        scheduler = SequentialLR(optimizer, [rise, after()], milestones=[warmup])
    else:
        scheduler = after()
    result = []
    for _ in range(total):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


cases = [
    {"schedule": kind, "totalSteps": total, "warmupSteps": warmup, "rates": rates(kind, total, warmup)}
    for kind in ("constant", "cosine", "linear")
    for total, warmup in ((12, 0), (12, 1), (40, 7), (12, 11))
]
FIXTURE.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
