"""How far bfloat16 is from float32 with the roundings of ONNX Runtime's CUDA kernels, and with transformers' own, on the CPU.

    python bench/gpu/rounding.py [MODEL_FOLDER]      a Qwen3 folder; without one a random model of 12 layers

The kernels' roundings, read off their machine code: RMS norms and the rotation are rounded once, at their end; SiLU is
rounded after each of its steps. Products of matrices and attention are PyTorch's in both. Prints 1 − cosine for layers.
"""

import copy
import sys

import torch
import torch.nn.functional as F
from transformers import AutoModel, Qwen3Config, Qwen3ForCausalLM

TOKENS = 512
torch.manual_seed(0)


def models():
    """The same weights in bfloat16 and in float32."""
    if len(sys.argv) > 1:
        load = lambda dtype: AutoModel.from_pretrained(sys.argv[1], dtype=dtype, attn_implementation="sdpa").eval()
        return load(torch.bfloat16), load(torch.float32)
    config = Qwen3Config(
        vocab_size=8000, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, head_dim=64, tie_word_embeddings=True)
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 1.0, 0.1)
    return model.model.eval(), copy.deepcopy(model.model).float().eval()


def silu(x):
    return x * torch.where(x >= 0, 1 / (1 + torch.exp(-x)), 1 - 1 / (1 + torch.exp(x)))


def rms_norm(x, norm):
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return (wide * scale * norm.weight.float()).to(x.dtype)


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return (x.float() * cos.float() + turned.float() * sin.float()).to(x.dtype)


def kernels(model, ids):
    """The residual stream after each layer, the last after the final norm."""
    config = model.config
    heads = lambda x: x.view(1, TOKENS, -1, config.head_dim)
    x = model.embed_tokens(ids)
    cos, sin = (table[:, None] for table in model.rotary_emb(x, torch.arange(TOKENS)[None]))
    norms = [layer.input_layernorm for layer in model.layers[1:]] + [model.norm]
    normed = rms_norm(x, model.layers[0].input_layernorm)
    states = []
    for layer, next_norm in zip(model.layers, norms):
        attention, mlp = layer.self_attn, layer.mlp
        query = rotate(rms_norm(heads(attention.q_proj(normed)), attention.q_norm).transpose(1, 2), cos, sin)
        key = rotate(rms_norm(heads(attention.k_proj(normed)), attention.k_norm).transpose(1, 2), cos, sin)
        value = heads(attention.v_proj(normed)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        x = x + attention.o_proj(attended.transpose(1, 2).reshape(1, TOKENS, -1))
        normed = rms_norm(x, layer.post_attention_layernorm)
        x = x + mlp.down_proj(silu(mlp.gate_proj(normed)) * mlp.up_proj(normed))
        normed = rms_norm(x, next_norm)
        states.append(x)
    return [*states[:-1], normed]


bf16, fp32 = models()
ids = torch.randint(0, bf16.config.vocab_size, (1, TOKENS))
with torch.inference_mode():
    run = lambda model: model(ids, output_hidden_states=True, use_cache=False).hidden_states[1:]
    exact, theirs, ours = run(fp32), run(bf16), kernels(bf16, ids)
for layer, states in enumerate(zip(ours, theirs, exact), 1):
    a, b, c = (x[0].double() for x in states)
    off = lambda x: (1 - F.cosine_similarity(x, c, dim=-1).mean()).item()
    print(f"layer {layer}: kernels {off(a):.2e}, transformers {off(b):.2e}")
