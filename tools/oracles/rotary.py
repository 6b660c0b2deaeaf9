"""Rotary frequencies of transformers for packages/hidden-states: they have to agree to the last bit, since positions
multiply whatever is wrong with them.

Usage: python tools/oracles/rotary.py                        (transformers, torch)
Writes packages/hidden-states/src/model/fixtures/rotary.json: keys of config.json, then float32 radians a position for
each pair of dimensions (`long`: for traces longer than the original length) and the factor on cosines and sines.
"""

import json
from pathlib import Path

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

OUT = Path(__file__).resolve().parents[2] / "packages/hidden-states/src/model/fixtures/rotary.json"
HEAD = 16
LLAMA3 = dict(rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0)

CASES = [
    dict(rope_type="default"),
    dict(rope_type="linear", factor=3.0),
    *(dict(LLAMA3, factor=factor, original_max_position_embeddings=length) for factor in (8.0, 32.0) for length in (24, 64, 1024)),
    dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=1024),
    dict(rope_type="yarn", factor=40.0, original_max_position_embeddings=64, mscale=0.7, mscale_all_dim=1.3, truncate=False),
    dict(rope_type="yarn", factor=1.5, original_max_position_embeddings=64, beta_fast=8.0, beta_slow=0.7, attention_factor=1.2),
    dict(rope_type="longrope", original_max_position_embeddings=1024,
         short_factor=[1 + 0.07 * i for i in range(HEAD // 2)], long_factor=[1.3 + 0.9 * i for i in range(HEAD // 2)]),
]


def case(parameters, theta):
    config = LlamaConfig(hidden_size=64, num_attention_heads=4, head_dim=HEAD, max_position_embeddings=4096,
                         rope_parameters=dict(parameters, rope_theta=theta))
    rotary = LlamaRotaryEmbedding(config)
    result = dict(rope_parameters=dict(parameters, rope_theta=theta), scaling=float(rotary.attention_scaling),
                  inverse_frequencies=rotary.inv_freq.tolist())
    if parameters["rope_type"] == "longrope":
        frequencies, _ = ROPE_INIT_FUNCTIONS["longrope"](config, None, seq_len=1025)
        result["long"] = frequencies.tolist()
    return result


OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps([case(parameters, theta) for parameters in CASES for theta in (100.0, 5e5)], indent=1) + "\n")
