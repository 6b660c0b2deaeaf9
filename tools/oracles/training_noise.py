"""How far apart 200 training steps by PyTorch end that differ in rounding alone.

    python tools/oracles/training_noise.py STATES OUT

STATES holds `hidden` F16 [S, D], `offsets` I64 [N + 1] and `is_correct` U8 [N], as the tiny reasoner's reference does.
OUT (safetensors) gets rows and labels in the order of use and the weights before (`initial.*`) and after: on one thread
(`one.*`), on two (`two.*`), and on one with the rows of each batch the other way round (`reversed.*`) or starting in the
middle (`rolled.*`). Small products are not shared out between threads, so that the first two can be equal; the sums over
a batch then still round otherwise in the others.
"""

import sys

import torch
from safetensors.torch import load_file, save_file

HIDDEN, BATCH, STEPS = 512, 128, 200
path, out = sys.argv[1:]

states = load_file(path)
steps_of = states["offsets"].diff()
labels = states["is_correct"].repeat_interleave(steps_of).float()
generator = torch.Generator().manual_seed(0)
epochs = [torch.randperm(len(labels), generator=generator) for _ in range(STEPS * BATCH // len(labels) + 1)]
order = torch.cat(epochs)[: STEPS * BATCH]
rows, labels = states["hidden"][order], labels[order]
pos_weight = (labels == 0).sum() / (labels == 1).sum()


def train(threads, arrange=lambda batch: batch):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = torch.nn.Module()
    network.net = torch.nn.Sequential(torch.nn.Linear(rows.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    initial = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5)
    criterion = torch.nn.BCEWithLogitsLoss(pos_weight=pos_weight)
    for x, y in zip(rows.split(BATCH), labels.split(BATCH)):
        optimizer.zero_grad()
        x, y = arrange(x), arrange(y)
        criterion(network.net(x.float()).flatten(), y).backward()
        optimizer.step()
    return initial, network.state_dict()


initial, one = train(1)
_, two = train(2)
_, other_way = train(1, lambda batch: batch.flip(0))
_, rolled = train(1, lambda batch: batch.roll(BATCH // 2, 0))
named = {"initial": initial, "one": one, "two": two, "reversed": other_way, "rolled": rolled}
tensors = {f"{kind}.{name}": value for kind, values in named.items() for name, value in values.items()}
save_file({"rows": rows, "labels": labels, "pos_weight": pos_weight.reshape(1), **tensors}, out)
