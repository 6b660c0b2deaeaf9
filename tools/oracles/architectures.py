"""Tiny random decoders of every supported family with their hidden states by transformers, for packages/hidden-states.

Usage: python tools/oracles/architectures.py                        (transformers, torch, safetensors)
Writes packages/hidden-states/src/run/fixtures/architectures/<case>/: config.json, model.safetensors, and
states.safetensors with, for each length T: `input_ids.T` I32 [T], `positions.T` I32 [S] and for every layer k
`hidden_states.k.T` F32 [S, D], numbered as in transformers' hidden_states.

       python tools/oracles/architectures.py --random 40 --seed 1 --out FOLDER
Writes as many models with random settings of the same families, states at all positions; the same test reads them with
SCORER_ARCHITECTURES=FOLDER. `--family qwen3_moe` (more than once for several) takes those alone.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/hidden-states/src/run/fixtures/architectures"
CONFIGS = {"llama": LlamaConfig, "mistral": MistralConfig, "phi3": Phi3Config, "qwen2": Qwen2Config, "qwen3": Qwen3Config,
           "qwen3_moe": Qwen3MoeConfig}
SIZES = dict(vocab_size=40, hidden_size=32, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, pad_token_id=None, bos_token_id=None, eos_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=48)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)


def longrope(pairs, **more):
    return dict(rope_type="longrope", short_factor=[1 + 0.05 * i for i in range(pairs)],
                long_factor=[1.5 + 0.7 * i for i in range(pairs)], **more)


# name: (family, settings, keys to write into config.json in the older form, weights, lengths)
CASES = {
    "qwen2-sliding-upper-layers": ("qwen2", dict(use_sliding_window=True, sliding_window=16, max_window_layers=1,
                                                 tie_word_embeddings=True), {}, torch.bfloat16, [80]),
    "qwen2-yarn-older-form": ("qwen2", dict(rms_norm_eps=1e-3), dict(rope_theta=1e6, rope_scaling=dict(
        type="yarn", factor=4.0, original_max_position_embeddings=32)), torch.float32, [80]),
    "qwen3-yarn-layer-types": ("qwen3", dict(head_dim=16, attention_bias=True, use_sliding_window=True,
                                             sliding_window=9,
                                             layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                             rope_parameters=dict(rope_theta=1e6, **YARN)), {}, torch.bfloat16, [80]),
    "llama-linear-older-form": ("llama", dict(num_key_value_heads=None, head_dim=None), dict(
        rope_theta=500.0, rope_scaling=dict(type="linear", factor=2.5)), torch.float16, [60]),
    "llama3-biases": ("llama", dict(head_dim=12, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
                                    rope_parameters=LLAMA3), {}, torch.bfloat16, [100]),
    "llama-yarn-mscale": ("llama", dict(rope_parameters=dict(rope_theta=100.0, mscale=0.7, mscale_all_dim=1.3,
                                                             truncate=False, beta_fast=4.0, beta_slow=0.5, **YARN)),
                          {}, torch.bfloat16, [80]),
    "mistral-sliding": ("mistral", dict(head_dim=16, sliding_window=12), {}, torch.bfloat16, [80]),
    "phi3-longrope-partial": ("phi3", dict(num_attention_heads=2, num_key_value_heads=1, original_max_position_embeddings=32, rope_parameters=longrope(
        6, rope_theta=1e4, partial_rotary_factor=0.75)), {}, torch.bfloat16, [32, 33, 90]),
    "phi3-su-older-form": ("phi3", dict(sliding_window=20, original_max_position_embeddings=40), dict(
        rope_theta=250000.0, rope_scaling={**{k: v for k, v in longrope(4).items() if k != "rope_type"},
                                           "type": "su", "original_max_position_embeddings": 40}), torch.bfloat16, [40, 70]),
    "phi3-default": ("phi3", dict(sliding_window=None), {}, torch.bfloat16, [50]),
    "qwen3-moe-dense-between": ("qwen3_moe", dict(
        head_dim=16, attention_bias=True, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=12, norm_topk_prob=True,
        mlp_only_layers=[1]), dict(num_experts=6, max_window_layers=3, rope_theta=1e6, rope_scaling=None),
        torch.bfloat16, [80]),
    "qwen3-moe-stacked": ("qwen3_moe", dict(
        head_dim=8, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=9, decoder_sparse_step=2, num_hidden_layers=4,
        use_sliding_window=True, sliding_window=12, tie_word_embeddings=True, rope_parameters=dict(rope_theta=1e4, **YARN)),
        {}, torch.bfloat16, [80]),
}
#: Cases whose files have the experts of a layer in two tensors, as transformers 5 has them in memory.
STACKED = {"qwen3-moe-stacked"}


def randomize(model, generator):
    """Weights that make every term count: norms away from 1, biases away from 0, attention that is not uniform."""
    for name, p in model.named_parameters():
        if "norm" in name:
            p.data = 0.5 + torch.rand(p.shape, generator=generator)
        elif name.endswith("bias"):
            p.data = 0.3 * torch.randn(p.shape, generator=generator)
        elif "embed" in name:
            p.data = torch.randn(p.shape, generator=generator)
        else:
            p.data = 1.4 * torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5


#: Where a window, a half of a head's rotation or a chunk of the MLP begins or ends.
POSITIONS = {0, 1, 7, 8, 9, 15, 16, 31, 32, 33, 511, 512, 513, 514, 515, 1023, 1024, 1025, 1030}
#: Tokens of a trace longer than two chunks of the MLP, and than one of a model with experts.
LONG = 1030
LONG_WITH_EXPERTS = 2060
#: Between the logits of a token's last expert and of the first one that it does not take: nearer ones are a toss-up in
#: float32, where two right implementations may give it to different experts. Such tokens are drawn again.
TIE = 5e-5


def is_tie(outputs, k):
    logits = [layer.topk(k + 1).values for layer in outputs.router_logits if layer.shape[-1] > k]
    return any((best[:, k - 1] - best[:, k]).min() < TIE for best in logits)


def run(model, length, generator):
    """Random tokens and what the model makes of them."""
    experts = getattr(model.config, "num_experts", 0)
    options = dict(output_router_logits=True) if experts else {}
    while True:
        ids = torch.randint(model.config.vocab_size, (1, length), generator=generator)
        with torch.inference_mode():
            outputs = model.model(ids, output_hidden_states=True, use_cache=False, **options)
        if not experts or not is_tie(outputs, model.config.num_experts_per_tok):
            return ids, outputs.hidden_states


def make(folder, family, settings, older, dtype, lengths, seed, stacked=False, all_positions=False):
    generator = torch.Generator().manual_seed(seed)
    sizes = SIZES if "vocab_size" not in settings else {}
    model = AutoModelForCausalLM.from_config(CONFIGS[family](**{**sizes, **settings}))
    randomize(model, generator)
    model.to(dtype).save_pretrained(folder, save_original_format=not stacked)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if older:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        for key in ("rope_parameters", "num_local_experts"):
            config.pop(key, None)
        path.write_text(json.dumps({**config, **older}, indent=2) + "\n")

    plain = dict(attn_implementation="eager", **(dict(experts_implementation="eager") if "moe" in family else {}))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **plain).eval()
    tensors = {}
    for length in lengths:
        ids, states = run(model, length, generator)
        positions = list(range(length)) if all_positions else sorted((POSITIONS | {length - 2, length - 1}) & set(range(length)))
        tensors[f"input_ids.{length}"] = ids[0].to(torch.int32)
        tensors[f"positions.{length}"] = torch.tensor(positions, dtype=torch.int32)
        for k, state in enumerate(states):
            tensors[f"hidden_states.{k}.{length}"] = state[0, positions].contiguous()
    save_file(tensors, folder / "states.safetensors")


def random_case(rng, families):
    family = rng.choice(families)
    kv = rng.choice([1, 2, 3])
    heads = kv * rng.choice([1, 2, 4])
    head = rng.choice([8, 10, 16, 20, 24, 32, 40])
    free_head = family != "qwen2" and family != "phi3" and rng.random() < 0.6
    hidden = heads * rng.choice([8, 12, 16, 20]) if free_head else heads * head
    layers = rng.randint(2, 5)
    original = rng.choice([24, 40, 64])
    s = dict(vocab_size=rng.choice([64, 301]), hidden_size=hidden, intermediate_size=rng.choice([33, 64, 100]),
             num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv,
             max_position_embeddings=original * rng.choice([1, 4]), rms_norm_eps=rng.choice([1e-6, 1e-5, 1e-2]),
             tie_word_embeddings=rng.random() < 0.5, pad_token_id=None, bos_token_id=None, eos_token_id=None)
    if free_head or family in ("qwen3", "qwen3_moe"):
        s["head_dim"] = head
    if family in ("qwen3", "qwen3_moe", "llama"):
        s["attention_bias"] = rng.random() < 0.5
    if family == "llama":
        s["mlp_bias"] = rng.random() < 0.5
    if family in ("mistral", "phi3"):
        s["sliding_window"] = rng.choice([None, 1, 2, 7, 16, 50])
    if family in ("qwen2", "qwen3") and rng.random() < 0.6:
        s.update(use_sliding_window=True, sliding_window=rng.choice([1, 5, 16, 33]), max_window_layers=rng.randint(0, layers))
        if rng.random() < 0.5:
            s["layer_types"] = [rng.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
    if family == "qwen3_moe":
        experts = rng.choice([1, 3, 8, 17, 40])
        s.update(num_experts=experts, num_experts_per_tok=rng.randint(1, min(experts, 8)), norm_topk_prob=rng.random() < 0.5,
                 moe_intermediate_size=rng.choice([7, 16, 30]), decoder_sparse_step=rng.choice([1, 1, 2]),
                 mlp_only_layers=rng.choice([None, [], [0], [layers - 1], [1, 2]]))
        if rng.random() < 0.4:
            s.update(use_sliding_window=True, sliding_window=rng.choice([1, 5, 16, 33]))

    theta = rng.choice([100.0, 1e4, 5e5, 1e6])
    kinds = ["default", "longrope"] if family == "phi3" else ["default", "linear", "llama3", "yarn", "longrope"]
    kind = rng.choice(kinds)
    size = s.get("head_dim", hidden // heads)
    partial = rng.choice([1.0, 0.5, 0.75]) if family == "phi3" else 1.0
    pairs = (int(size * partial) + 1) // 2
    if family == "phi3" and int(size * partial) % 2:
        partial, pairs = 1.0, size // 2
    rope = dict(rope_type=kind)
    if kind != "default" and kind != "longrope":
        rope["factor"] = rng.choice([1.5, 4.0, 8.0])
    if kind == "llama3":
        rope.update(low_freq_factor=1.0, high_freq_factor=4.0)
    if kind in ("llama3", "yarn", "longrope") and family != "phi3":
        rope["original_max_position_embeddings"] = original
    if kind == "yarn" and rng.random() < 0.6:
        rope.update(rng.choice([dict(mscale=0.8, mscale_all_dim=1.2), dict(attention_factor=1.3), dict(truncate=False),
                                dict(beta_fast=8.0, beta_slow=0.7)]))
    if kind == "longrope":
        rope.update(short_factor=[rng.uniform(1, 2) for _ in range(pairs)], long_factor=[rng.uniform(1, 8) for _ in range(pairs)])
        if rng.random() < 0.3:
            rope["attention_factor"] = 1.2
        elif rng.random() < 0.3:
            rope["factor"] = 4.0
    if family == "phi3":
        s["original_max_position_embeddings"] = original
    older = {}
    if rng.random() < 0.5:
        older = dict(rope_theta=theta, rope_scaling=None if kind == "default" else rope)
        if family == "qwen3_moe":
            older.update(num_experts=s["num_experts"], max_window_layers=layers)
        if partial != 1.0:
            older["partial_rotary_factor"] = partial
            rope = {**rope, "partial_rotary_factor": partial}
    elif partial != 1.0:
        rope["partial_rotary_factor"] = partial
    s["rope_parameters"] = dict(rope, rope_theta=theta)
    dtype = rng.choice([torch.bfloat16, torch.float16, torch.float32])
    return family, s, older, dtype, [original, original + 1, 3 * original + 7]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", choices=list(CONFIGS), action="append")
    parser.add_argument("--out", type=Path, default=FIXTURES)
    arguments = parser.parse_args()
    if arguments.random is None:
        for index, (name, case) in enumerate(CASES.items()):
            *settings, lengths = case
            long = LONG_WITH_EXPERTS if "moe" in name else LONG
            make(arguments.out / name, *settings, [*lengths, long], seed=index, stacked=name in STACKED)
    else:
        rng = random.Random(arguments.seed)
        for index in range(arguments.random):
            case = random_case(rng, arguments.family or list(CONFIGS))
            stacked = case[0] == "qwen3_moe" and rng.random() < 0.5
            make(arguments.out / f"{index:03d}-{case[0]}", *case, seed=index, stacked=stacked, all_positions=True)
