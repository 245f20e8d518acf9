"""Loads what write-formats.ts wrote with PyTorch, PEFT and ONNX Runtime, and notes what each says it holds.

Run by hand where Python has torch, transformers, peft and onnxruntime:
    npx tsx test/oracle/write-formats.ts DIR
    python test/oracle/check-formats.py DIR > test/fixtures/formats/checked.json
"""
import hashlib
import json
import sys
import warnings
from pathlib import Path

import onnxruntime
import peft
import safetensors.torch
import torch
import transformers

folder = Path(sys.argv[1])
sha = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
expected = safetensors.torch.load_file(folder / "peft/adapter_model.safetensors")
plain = {key.removeprefix("base_model.model."): value for key, value in expected.items()}
scale = 4.0

stored = torch.load(folder / "adapter.pt", weights_only=True)
assert {key + ".weight": value for key, value in stored.items()}.keys() == plain.keys()
assert all(torch.equal(value, plain[key + ".weight"]) for key, value in stored.items())

warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning)
config = transformers.LlamaConfig(
    vocab_size=16, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2
)
for name in ["peft", "peft-bin"]:
    base = transformers.LlamaForCausalLM(config)
    model = peft.PeftModel.from_pretrained(base, folder / name)
    loaded = peft.get_peft_model_state_dict(model)
    assert loaded.keys() == expected.keys() and all(torch.equal(loaded[key], expected[key]) for key in expected), name

adapter = onnxruntime.AdapterFormat.read_adapter(str(folder / "adapter.onnx_adapter"))
parameters = adapter.get_parameters()
assert parameters.keys() == expected.keys()
for key, value in parameters.items():
    factor = scale if "lora_B" in key else 1.0
    assert torch.equal(torch.from_numpy(value.numpy().copy()), expected[key] * factor), key
lora = onnxruntime.LoraAdapter()
lora.Load(str(folder / "adapter.onnx_adapter"))

# mlx-lm runs on Apple's machines: here only what its loader reads is checked.
mlx = safetensors.torch.load_file(folder / "mlx/adapters.safetensors")
settings = json.loads((folder / "mlx/adapter_config.json").read_text())
assert settings["lora_parameters"] == {"rank": 2, "scale": scale, "dropout": 0.0, "keys": ["self_attn.q_proj"]}
for key, value in plain.items():
    assert torch.equal(mlx[key.replace("lora_A.weight", "lora_a").replace("lora_B.weight", "lora_b")], value.t()), key

print(
    json.dumps(
        {
            "made_with": {"torch": torch.__version__, "peft": peft.__version__, "onnxruntime": onnxruntime.__version__},
            "files": {str(path.relative_to(folder)): sha(path) for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name + "/" + path.name not in ("peft/adapter_config.json", "peft-bin/adapter_config.json")},
        },
        indent=1,
    )
)
