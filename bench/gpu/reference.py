"""transformers on the same card, asked by JSON lines on stdin, one answer a line on stdout.

    {"do": "load", "model": FOLDER, "dtype": "bfloat16" | "float32", "attention": "sdpa"}
    {"do": "time", "ids": [...], "positions": [...]}              → {"seconds"}: the forward pass, rows in host memory
    {"do": "states", "ids": ..., "positions": ..., "file": PATH}  float32 [layers + 1, S, D] in the order of the layers
    {"do": "memory"}                                              → {"peak_bytes"}: since the last time this was asked
"""

import json
import sys
import time

import torch
from transformers import AutoModel

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
# As PyTorch is by default; said here because it decides what float32 means.
torch.backends.cuda.matmul.allow_tf32 = False
model = None


def load(request):
    global model
    model = None
    if CUDA:
        torch.cuda.empty_cache()
    dtype = getattr(torch, request["dtype"])
    start = time.perf_counter()
    model = AutoModel.from_pretrained(request["model"], dtype=dtype, attn_implementation=request["attention"])
    model = model.to(DEVICE).eval()
    return {"seconds": time.perf_counter() - start}


def tensors(request):
    ids = torch.tensor([request["ids"]], device=DEVICE)
    return ids, torch.tensor(request["positions"], device=DEVICE)


def timed(request):
    ids, positions = tensors(request)
    if CUDA:
        torch.cuda.synchronize()
    start = time.perf_counter()
    model(input_ids=ids, use_cache=False).last_hidden_state[0, positions].half().cpu()
    return {"seconds": time.perf_counter() - start}


def states(request):
    """Of all layers, as `output_hidden_states` numbers them, without keeping those of all tokens."""
    ids, positions = tensors(request)
    count = len(model.layers)
    kept = {}

    def keep(layer):
        def hook(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            kept[layer] = hidden[0, positions].float().cpu()
        return hook

    hooks = [model.embed_tokens.register_forward_hook(keep(0))]
    hooks += [model.layers[k - 1].register_forward_hook(keep(k)) for k in range(1, count)]
    final = model(input_ids=ids, use_cache=False).last_hidden_state
    kept[count] = final[0, positions].float().cpu()
    for hook in hooks:
        hook.remove()
    torch.stack([kept[k] for k in range(count + 1)]).numpy().tofile(request["file"])
    return {"layers": count + 1}


def memory(_request):
    if not CUDA:
        return {"peak_bytes": None}
    peak = torch.cuda.max_memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    return {"peak_bytes": peak}


ACTIONS = {"load": load, "time": timed, "states": states, "memory": memory}
with torch.inference_mode():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = ACTIONS[request["do"]](request)
        except Exception as error:  # out of memory, mostly: the asker decides what that means
            answer = {"error": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps(answer), flush=True)
