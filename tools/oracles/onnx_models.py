"""Tiny decoders as .onnx files, in the layouts of the exporters in use, with their hidden states by transformers, for
packages/hidden-states.

Usage: python tools/oracles/onnx_models.py [LAYOUT…]
       (torch, onnx, transformers 4.57, optimum-onnx, onnxslim, safetensors)
GENAI_PYTHON names a Python with onnxruntime-genai, which wants a newer transformers than optimum-onnx,
OPTIMUM1_PYTHON one with optimum 1.23 and transformers 4.45, the last that merge a decoder's two graphs.
Writes packages/hidden-states/src/onnx/fixtures/<layout>/: the .onnx file as the exporter left it, config.json, and
states.safetensors with `input_ids` I32 [T] and for every layer k `hidden_states.k` F32 [T, D].
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config, Qwen2Config, Qwen3Config

OUT = Path(__file__).resolve().parents[2] / "packages/hidden-states/src/onnx/fixtures"
#: onnxruntime-genai's attention takes heads of multiples of 16 dimensions.
SIZES = dict(vocab_size=40, hidden_size=32, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=1, max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2)
CONFIGS = {
    "llama": LlamaConfig(**SIZES, attention_bias=True),
    "phi3": Phi3Config(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True),
}
LENGTH = 24


def randomize(model, generator):
    for name, p in model.named_parameters():
        if "norm" in name:
            p.data = 0.5 + torch.rand(p.shape, generator=generator)
        elif name.endswith("bias"):
            p.data = 0.3 * torch.randn(p.shape, generator=generator)
        elif "embed" in name:
            p.data = torch.randn(p.shape, generator=generator)
        else:
            p.data = 1.4 * torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5


def module(name, *arguments, python=sys.executable):
    subprocess.run([python, "-m", name, *map(str, arguments)], check=True, capture_output=True)


def optimum(source, target, task="text-generation-with-past"):
    module("optimum.exporters.onnx", "--model", source, "--task", task, target)


def optimum_merged(source, target):
    """The decoder with and without a KV cache as the branches of one If, as optimum wrote it until 2024."""
    # optimum 1.23 knows PyTorch's older exporter alone.
    code = ("import functools, sys, torch.onnx; torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False); "
            "from optimum.exporters.onnx.__main__ import main; main()")
    python = os.environ.get("OPTIMUM1_PYTHON", sys.executable)
    subprocess.run([python, "-c", code, "--model", source, "--task", "text-generation-with-past", "--legacy", target],
                   check=True, capture_output=True)
    (target / "decoder_model_merged.onnx").rename(target / "model.onnx")


def genai(source, target, precision="fp32", device="cpu", *options):
    module("onnxruntime_genai.models.builder", "-m", source, "-i", source, "-o", target, "-p", precision, "-e", device,
           "-c", target.parent / "cache", *(["--extra_options", *options] if options else []),
           python=os.environ.get("GENAI_PYTHON", sys.executable))


def slim(source, target):
    """optimum's export as onnx-community publishes it."""
    optimum(source, target)
    module("onnxslim", target / "model.onnx", target / "model.onnx")


class AllStates(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, input_ids):
        return self.model(input_ids, output_hidden_states=True, use_cache=False).hidden_states


def torch_all_states(source, target):
    target.mkdir()
    names = [f"hidden_states.{layer}" for layer in range(SIZES["num_hidden_layers"] + 1)]
    torch.onnx.export(AllStates(source), (torch.zeros(1, 6, dtype=torch.int64),), target / "model.onnx",
                      input_names=["input_ids"], output_names=names, external_data=False,
                      dynamic_shapes={"input_ids": {1: torch.export.Dim("sequence")}})
    exported = onnx.load(target / "model.onnx")
    # Stack traces and paths of the exporting machine.
    for item in [exported, exported.graph, *exported.graph.node, *exported.graph.value_info, *exported.graph.initializer,
                 *exported.graph.input, *exported.graph.output]:
        del item.metadata_props[:]
        item.doc_string = ""
    onnx.save(exported, target / "model.onnx")


#: layout: (family, exporter)
LAYOUTS = {
    "optimum": ("llama", optimum),
    "optimum-features": ("phi3", lambda source, target: optimum(source, target, "feature-extraction")),
    "onnx-community": ("qwen2", slim),
    "optimum-merged": ("llama", optimum_merged),
    "genai": ("qwen3", genai),
    "genai-float16": ("llama", lambda source, target: genai(source, target, "fp16", "cuda")),
    "genai-hidden-states": ("qwen2", lambda source, target: genai(source, target, "fp32", "cpu", "include_hidden_states=true")),
    "torch-all-states": ("qwen3", torch_all_states),
}


def make(layout, work):
    family, export = LAYOUTS[layout]
    generator = torch.Generator().manual_seed(7)
    model = AutoModelForCausalLM.from_config(CONFIGS[family]).eval()
    randomize(model, generator)
    source, target = work / family, work / layout
    model.save_pretrained(source)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(OUT.parents[4] / "apps/demo/data/model" / name, source)
    export(source, target)

    folder = OUT / layout
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in target.glob("model.onnx*"):
        shutil.copy(path, folder)
    shutil.copy(source / "config.json", folder)
    ids = torch.randint(model.config.vocab_size, (1, LENGTH), generator=generator)
    with torch.inference_mode():
        states = model(ids, output_hidden_states=True, use_cache=False).hidden_states
    tensors = {f"hidden_states.{k}": state[0].contiguous() for k, state in enumerate(states)}
    save_file({"input_ids": ids[0].to(torch.int32), **tensors}, folder / "states.safetensors")


if __name__ == "__main__":
    for layout in sys.argv[1:] or LAYOUTS:
        with tempfile.TemporaryDirectory() as work:
            make(layout, Path(work))
