"""Writes a Hugging Face folder with random bf16 weights in the shape of a real model.

    python make_model.py full|tiny NAME FOLDER      NAME of models.json
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

scale, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
shape = json.loads((Path(__file__).parent / "models.json").read_text())[scale][name]
config = AutoConfig.for_model(shape.pop("model_type"), **shape)
torch.manual_seed(0)
with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
# Norm weights of 1 would hide a norm that is left out or has the weights of another.
for parameter_name, parameter in model.named_parameters():
    if "norm" in parameter_name:
        torch.nn.init.normal_(parameter, 1.0, 0.1)
model.save_pretrained(folder, max_shard_size="100GB")
print(json.dumps({"model": name, "parameters": sum(p.numel() for p in model.parameters())}))
