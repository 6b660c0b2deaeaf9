"""Rows/s of the same training in PyTorch: python training_reference.py WIDTH ROWS BATCH

given: float16 rows lie in host memory, a batch is gathered there and copied to the card, as ours are.
resident: all rows lie on the card from the start. Products of matrices in TF32, as in ONNX Runtime's CUDA provider.
"""

import json
import sys
import time

import torch

width, count, batch = map(int, sys.argv[1:])
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.set_float32_matmul_precision("high")
torch.manual_seed(0)
rows = torch.rand(count, width).half()
labels = (torch.arange(count) % 5 < 2).float()


def rows_per_second(rows, labels):
    network = torch.nn.Sequential(torch.nn.Linear(width, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5)
    criterion = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.5], device=device))
    order = torch.randperm(count, device=rows.device)

    def step(at):
        chosen = order[at : at + batch]
        x = rows[chosen].to(device).float()
        loss = criterion(network(x), labels[chosen].to(device).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    for at in range(0, min(count, 4 * batch), batch):
        step(at)
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    # The losses are read once in a while, not after every step.
    total = sum(step(at) for at in range(0, count - batch + 1, batch))
    total.item()
    return (count // batch) * batch / (time.perf_counter() - start)


print(json.dumps({"given": rows_per_second(rows, labels), "resident": rows_per_second(rows.to(device), labels.to(device))}))
