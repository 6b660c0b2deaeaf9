"""Writes packages/core/src/safetensors/fixtures: files as Python safetensors writes them, what it was given, floats as
PyTorch rounds them to half precision, numbers as numpy converts them to float32, and a model that huggingface_hub cut
into several files.

    python tools/oracles/safetensors_files.py        (safetensors, torch, numpy, huggingface_hub)
"""

import ctypes
import json
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import save_torch_state_dict
from safetensors import TensorSpec, serialize_file
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parents[2] / "packages/core/src/safetensors/fixtures"

# Python's name, the format's name, shape. Python orders tensors by dtype and then by name, we by element size and then
# by name: with the numbers in front of the names both are the same order.
EVERY_DTYPE = [
    ("uint64", "U64", [2, 3]),
    ("int64", "I64", [3]),
    ("float64", "F64", [1, 2, 2]),
    ("complex64", "C64", [2]),
    ("float32", "F32", [2, 2]),
    ("uint32", "U32", []),
    ("int32", "I32", [5]),
    ("bfloat16", "BF16", [3]),
    ("float16", "F16", [3, 1]),
    ("uint16", "U16", [0, 4]),
    ("int16", "I16", [3]),
    ("float8_e5m2fnuz", "F8_E5M2FNUZ", [3]),
    ("float8_e4m3fnuz", "F8_E4M3FNUZ", [3]),
    ("float8_e8m0fnu", "F8_E8M0", [3]),
    ("float8_e4m3fn", "F8_E4M3", [3]),
    ("float8_e5m2", "F8_E5M2", [3]),
    ("int8", "I8", [3]),
    ("uint8", "U8", [7]),
    ("bool", "BOOL", [2]),
]
# Two elements a byte: Python is told bytes and writes elements.
PACKED = [("uint8", "U8", [2]), ("float4_e2m1fn_x2", "F4", [3, 2])]


def write(name: str, tensors: list, metadata: dict | None) -> None:
    random = np.random.default_rng(0)
    specs, buffers, expected = {}, [], []
    for i, (python_dtype, dtype, shape) in enumerate(tensors):
        size = 1 if dtype[:2] in ("F4", "F8", "BO") else int(dtype.lstrip("BFIUC")) // 8
        data = random.integers(0, 2 if dtype == "BOOL" else 256, int(np.prod(shape)) * size, dtype=np.uint8).tobytes()
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        buffers.append(buffer)
        key = f"{i:02} {dtype} √\"\\"
        specs[key] = TensorSpec(dtype=python_dtype, shape=shape, data_ptr=ctypes.addressof(buffer), data_len=len(data))
        expected.append({"name": key, "dtype": dtype, "shape": list(specs[key].shape), "hex": data.hex()})
    serialize_file(specs, str(FIXTURES / f"{name}.safetensors"), metadata)
    text = json.dumps({"metadata": metadata or {}, "tensors": expected}, ensure_ascii=False, indent=1)
    (FIXTURES / f"{name}.json").write_text(text + "\n")


def write_rounding() -> None:
    """float32 bits around every kind of edge of the two 16-bit formats."""
    random = np.random.default_rng(0)
    halves = np.arange(0x10000, dtype=np.uint16).view(np.float16)
    finite = np.sort(halves[np.isfinite(halves)].astype(np.float32))
    midpoints = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    edges = random.choice(midpoints, 500)
    limits = np.array([0x477FEFFF, 0x477FF000, 0x477FF001, 0x33000000, 0x33000001, 0x387FC000, 0x387FE000], np.uint32)
    bits = np.concatenate(
        [
            edges.view(np.uint32),
            edges.view(np.uint32) + 1,
            edges.view(np.uint32) - 1,
            limits,
            limits | 0x80000000,
            np.array([0, 0x80000000, 1, 0x7F7FFFFF, 0x7F800000, 0xFF800000], np.uint32),
            random.integers(0, 2**32, 1500, dtype=np.uint64).astype(np.uint32) & 0xFF7FFFFF,
            # ties of bfloat16
            (random.integers(0, 2**15, 300, dtype=np.uint64).astype(np.uint32) << 16 | 0x8000) & 0xFF7FFFFF,
        ]
    ).astype(np.uint32)
    f32 = torch.from_numpy(bits.view(np.float32).copy())
    tensors = {"f32": f32, "f16": f32.to(torch.float16), "bf16": f32.to(torch.bfloat16)}
    save_file(tensors, FIXTURES / "rounding.safetensors")


def write_numbers() -> None:
    """Tensor `<dtype>` and beside it `<dtype>.f32`, the same numbers in float32."""
    random = np.random.default_rng(0)
    tensors = {}
    for dtype in [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]:
        limits = np.iinfo(dtype)
        # Up to 2^53, from where on the two ways of rounding differ.
        low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
        tensors[np.dtype(dtype).name] = np.concatenate([[low, high], random.integers(low, high, 61, np.int64)]).astype(dtype)
    tensors["bool"] = random.integers(0, 2, 63).astype(bool)
    tensors["float64"] = np.concatenate([[np.inf, -np.inf, -0.0, 1e300, 1e-46, 2**-149 * 0.75, 0.1], random.normal(size=56)])
    tensors["float32"] = random.normal(size=63).astype(np.float32)
    tensors["float16"] = random.normal(size=63).astype(np.float16)
    with np.errstate(over="ignore"):
        save_numpy(tensors | {f"{name}.f32": x.astype(np.float32) for name, x in tensors.items()}, FIXTURES / "numbers.safetensors")


def write_sharded_model() -> None:
    generator = torch.Generator().manual_seed(0)
    state = {
        "model.embed.weight": torch.randn(4, 3, generator=generator),
        "model.layers.0.weight": torch.randn(3, 3, generator=generator).to(torch.bfloat16),
        "model.layers.1.weight": torch.randn(3, 3, generator=generator).to(torch.bfloat16),
        "model.norm.weight": torch.ones(3, dtype=torch.float16),
    }
    folder = FIXTURES / "sharded"
    folder.mkdir(exist_ok=True)
    save_torch_state_dict(state, folder, max_shard_size=48)
    expected = {name: {"dtype": str(x.dtype), "shape": list(x.shape), "values": x.flatten().tolist()} for name, x in state.items()}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


FIXTURES.mkdir(parents=True, exist_ok=True)
write("every-dtype", EVERY_DTYPE, {"made by": "Python safetensors"})
write("packed", PACKED, None)
write_rounding()
write_numbers()
write_sharded_model()
for file in FIXTURES.rglob("*.*"):
    file.chmod(0o644)
