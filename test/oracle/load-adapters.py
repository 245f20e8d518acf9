"""Loads the adapters that write-adapters.ts wrote with PEFT and notes the logits they give.

Run by hand where Python has torch, transformers and peft:
    npx tsx test/oracle/write-adapters.ts DIR
    python test/oracle/load-adapters.py DIR > test/fixtures/peft-loads/logits.json
"""
import hashlib
import json
import sys
import warnings
from pathlib import Path

import peft
import torch
import transformers

folder = Path(sys.argv[1])
manifest = json.loads((folder / "cases.json").read_text())
ids = torch.tensor(manifest["inputs"]["input_ids"])
mask = torch.tensor(manifest["inputs"]["attention_mask"])
sha = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
results = {}
for case in manifest["cases"]:
    path = folder / case["name"]
    base = transformers.AutoModelForCausalLM.from_pretrained(case["base"], attn_implementation="eager").eval()
    with torch.no_grad():
        plain = base(input_ids=ids, attention_mask=mask).logits
    with warnings.catch_warnings():
        # PEFT warns about keys that are missing or not used; here that is a failure.
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        # Said of every adapter with trained biases, whoever wrote it.
        warnings.filterwarnings("ignore", message=".*adapter layers with bias|.*save_embedding_layers")
        model = peft.PeftModel.from_pretrained(base, path).eval()
    stored = peft.get_peft_model_state_dict(model)
    written = peft.utils.load_peft_weights(str(path))
    assert set(stored) == set(written), (case["name"], set(stored) ^ set(written))
    assert all(torch.equal(stored[key], written[key]) for key in written), case["name"]
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    change = (logits - plain).abs().max().item()
    assert change > 1e-3, (case["name"], change)
    results[case["name"]] = {
        "adapter_model": sha(path / "adapter_model.safetensors"),
        "adapter_config": sha(path / "adapter_config.json"),
        "change": change,
        "logits": [round(value, 7) for value in logits.flatten().tolist()],
    }
made_with = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
print("{")
print(f' "made_with": {json.dumps(made_with)},')
print(' "cases": {')
print(",\n".join(f"  {json.dumps(name)}: {json.dumps(result)}" for name, result in results.items()))
print(" }\n}")
