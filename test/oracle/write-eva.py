"""EVA through PEFT and through an exact SVD, for test/train/initialize-eva.test.ts:

    python test/oracle/write-eva.py > test/fixtures/eva.json
"""
import json
import pathlib
import warnings

import peft
import torch
import transformers
from peft.tuners.lora.eva import get_eva_state_dict

warnings.simplefilter("ignore")
torch.manual_seed(4)
golden = pathlib.Path(__file__).parent.parent / "fixtures/golden/peft/llama/model"
rows = []
for _ in range(12):
    n = int(torch.randint(6, 20, (1,)))
    ids = torch.randint(3, 96, (n,)).tolist()
    masked = int(torch.randint(1, 4, (1,)))
    rows.append({"input_ids": ids, "labels": [-100] * masked + ids[masked:]})
width = max(len(r["input_ids"]) for r in rows)
pad = lambda values, fill: torch.tensor([v + [fill] * (width - len(v)) for v in values])
batch = {
    "input_ids": pad([r["input_ids"] for r in rows], 0),
    "attention_mask": pad([[1] * len(r["input_ids"]) for r in rows], 0),
    "labels": pad([r["labels"] for r in rows], -100),
}
targets = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
model = transformers.AutoModelForCausalLM.from_pretrained(golden).eval()

exact = {}
mask = batch["labels"] != -100
hooks = []
for name, module in model.named_modules():
    if name.split(".")[-1] in targets:

        def hook(module, inputs, output, name=name):
            x = inputs[0][mask].double()
            x = x - x.mean(0)
            _, s, vt = torch.linalg.svd(x, full_matrices=False)
            exact[name] = {"components": vt[:8], "ratios": (s**2 / (s**2).sum())[:8]}

        hooks.append(module.register_forward_hook(hook))
with torch.no_grad():
    model(**batch)
for h in hooks:
    h.remove()

cases = {}
for rho in [1.0, 2.0]:
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights="eva", eva_config=peft.EvaConfig(rho=rho))
    adapted = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(golden), config, low_cpu_mem_usage=True)
    peft.initialize_lora_eva_weights(adapted, [batch], show_progress_bar=False)
    state = peft.get_peft_model_state_dict(adapted)
    written = adapted.peft_config["default"]
    cases[str(rho)] = {
        "rank_pattern": written.rank_pattern,
        "alpha_pattern": written.alpha_pattern,
        "ranks": {k.replace("base_model.model.", "").replace(".lora_A.weight", ""): v.shape[0] for k, v in state.items() if "lora_A" in k},
        "A": {k: [round(v, 6) for v in t.flatten().tolist()] for k, t in state.items() if "lora_A" in k and rho == 1.0},
    }
flat = lambda t: [round(v, 7) for v in t.flatten().tolist()]
print(json.dumps({"made_with": {"torch": torch.__version__, "peft": peft.__version__}, "rows": rows, "cases": cases,
                  "exact": {k: {"components": flat(v["components"]), "ratios": flat(v["ratios"])} for k, v in exact.items()}}))
