"""Log-probabilities and DeepConf's token confidence of the tiny models of architectures.py, for packages/hidden-states.

Usage: python tools/oracles/confidence.py                        (after architectures.py; transformers, torch, safetensors)
Writes beside each model.safetensors in packages/hidden-states/src/run/fixtures/architectures/<case>/
confidence.safetensors: for each length T of states.safetensors the tokens after the first as `logprobs.T` F32 [T - 1],
torch.log_softmax of the float32 logits, and `confidences.<k>.T` F32 [T - 1], minus the mean of the k greatest of them
(DeepConf, arXiv 2508.15260, equation 2).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/hidden-states/src/run/fixtures/architectures"
TOP_K = [20, 3]

for folder in sorted(FIXTURES.iterdir()):
    experts = dict(experts_implementation="eager") if "moe" in folder.name else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **experts).eval()
    tensors = {}
    for name, ids in load_file(folder / "states.safetensors").items():
        if not name.startswith("input_ids."):
            continue
        length = len(ids)
        with torch.inference_mode():
            logits = model(ids[None].long(), use_cache=False).logits[0, :-1]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        tensors[f"logprobs.{length}"] = logprobs.gather(1, ids[1:, None].long())[:, 0].contiguous()
        for k in TOP_K:
            tensors[f"confidences.{k}.{length}"] = -logprobs.topk(k, dim=-1).values.mean(dim=-1)
    save_file(tensors, folder / "confidence.safetensors")
