// The machine: card, driver, libraries, Python; what our own doctor says; and what the card reaches at best.
import { spawnSync } from 'node:child_process';
import { command, emit, PYTHON } from '../kit.mjs';

const VERSIONS = `
import importlib.metadata as m, json, platform
found = {}
for name in ("torch", "transformers", "flash-attn", "onnxruntime", "safetensors"):
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        found[name] = None
print(json.dumps({"python": platform.python_version(), **found}))`;

/** A large product of matrices and a copy, with PyTorch: the figures that ours stand beside. */
const CEILING = `
import json, torch
assert torch.cuda.is_available()
def milliseconds(work, repeats=10):
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record(); work(); b.record(); torch.cuda.synchronize()
        times.append(a.elapsed_time(b))
    return sorted(times)[repeats // 2]
n = 8192
x, y = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
bf16 = 2 * n**3 / milliseconds(lambda: x @ y) / 1e9
big = torch.empty(2**31, dtype=torch.uint8, device="cuda")
other = torch.empty_like(big)
copy = 2 * big.numel() / milliseconds(lambda: other.copy_(big)) / 1e6
host = torch.empty(2**28, dtype=torch.uint8)
up = host.numel() / milliseconds(lambda: big[: 2**28].copy_(host)) / 1e6
print(json.dumps({"bf16_matmul_tflops": round(bf16, 1), "device_copy_gb_s": round(copy), "pageable_host_to_device_gb_s": round(up, 1)}))`;

const CARD = 'name,memory.total,driver_version,compute_cap,clocks.max.sm,power.limit';
emit({ card: output('nvidia-smi', [`--query-gpu=${CARD}`, '--format=csv,noheader']) });
emit({ doctor: command('hidden-states', ['doctor']) });
const { LD_LIBRARY_PATH: libraryPath = '' } = process.env;
emit({ library_path: libraryPath });

const versions = output(PYTHON, ['-c', VERSIONS]);
if (versions) emit(JSON.parse(versions));
const ceiling = output(PYTHON, ['-c', CEILING]);
if (ceiling) emit(JSON.parse(ceiling));

function output(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
