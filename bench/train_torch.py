"""The rows/s of PyTorch on the CPU for bench/train.mjs: python bench/train_torch.py FILE BATCH EPOCHS

FILE holds `rows` F16 [R, D] and `labels` F32 [R]. The clock runs from opening the file to the end of the last epoch.
"""

import sys
import time

import torch
from safetensors.torch import load_file

path, batch, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

start = time.perf_counter()
data = load_file(path)
rows, labels = data["rows"], data["labels"]
count, width = rows.shape
network = torch.nn.Sequential(torch.nn.Linear(width, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5)
criterion = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.5]))
for _ in range(epochs):
    order = torch.randperm(count)
    for at in range(0, count, batch):
        chosen = order[at : at + batch]
        # Faster than a DataLoader, which puts batches together row by row.
        logits = network(rows[chosen].float())
        loss = criterion(logits, labels[chosen].unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
print(count * epochs / (time.perf_counter() - start))
