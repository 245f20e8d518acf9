"""Writes test/fixtures/combine: adapters, and what PEFT's add_weighted_adapter makes of them.

Usage: python test/oracle/write-combinations.py (torch, transformers, peft, safetensors)
"""
import json, os, shutil, sys
import torch, peft, transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

root = os.path.join(os.path.dirname(__file__), "..", "fixtures")
LLAMA = dict(
    folder="golden/peft/llama/model",
    adapters=dict(
        a=dict(r=3, lora_alpha=6, target_modules=["q_proj", "embed_tokens"], alpha_pattern={"layers.1.self_attn.q_proj": 12}),
        b=dict(r=3, lora_alpha=2, target_modules=["q_proj", "down_proj"]),
        c=dict(r=2, lora_alpha=5, target_modules=["q_proj", "down_proj"], rank_pattern={"layers.0.mlp.down_proj": 4}),
    ),
)
GPT2 = dict(
    folder="golden/peft/gpt2/model",
    adapters=dict(a=dict(r=2, lora_alpha=4, target_modules=["c_attn", "wte"]), b=dict(r=2, lora_alpha=6, target_modules=["c_attn", "wte"])),
)
CASES = [
    ("linear", "ab", [0.7, 0.3], {}),
    ("linear", "ab", [1.5, -0.4], {}),
    ("cat", "abc", [0.7, -0.3, 1.1], {}),
    ("svd", "abc", [0.7, 0.3, 1.1], {}),
    ("svd", "abc", [0.7, -0.3, 1.1], dict(svd_rank=2, svd_clamp=0.9)),
    ("ties", "ab", [0.7, 0.3], dict(density=0.4)),
    ("ties", "ab", [0.7, 0.3], dict(density=0.6, majority_sign_method="frequency")),
    ("ties_svd", "abc", [0.7, 0.3, 0.5], dict(density=0.3)),
    ("ties_svd", "abc", [0.7, 0.3, 0.5], dict(density=0.5, svd_rank=5, majority_sign_method="frequency")),
    ("magnitude_prune", "ab", [0.7, 0.3], dict(density=0.5)),
    ("magnitude_prune_svd", "abc", [0.7, 0.3, 0.5], dict(density=0.5, svd_rank=4)),
    ("dare_linear", "ab", [0.7, 0.3], dict(density=1.0)),
    ("dare_ties_svd", "abc", [0.7, 0.3, 0.5], dict(density=1.0, svd_rank=4)),
]


def write(name, spec):
    out = os.path.join(root, "combine", name)
    shutil.rmtree(out, ignore_errors=True)
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_pretrained(os.path.join(root, spec["folder"]), dtype=torch.float32)
    wrapped = None
    for key, options in spec["adapters"].items():
        config = LoraConfig(init_lora_weights=False, **options)
        wrapped = get_peft_model(model, config, adapter_name=key) if wrapped is None else (wrapped.add_adapter(key, config), wrapped)[1]
    for key, value in wrapped.named_parameters():
        if "lora_" in key:
            value.data = torch.randn_like(value) * 0.3
    wrapped.save_pretrained(out, save_embedding_layers=False)
    for extra in ["README.md"]:
        for folder in [out] + [os.path.join(out, k) for k in spec["adapters"]]:
            if os.path.exists(os.path.join(folder, extra)):
                os.remove(os.path.join(folder, extra))
    tensors, cases = {}, []
    for i, (kind, names, weights, options) in enumerate(CASES):
        if any(n not in spec["adapters"] for n in names):
            names, weights = "ab", weights[:2]
        wrapped.base_model.add_weighted_adapter(list(names), weights, f"new{i}", combination_type=kind, **options)
        for path, module in wrapped.base_model.model.named_modules():
            if f"new{i}" in getattr(module, "lora_A", {}):
                A, B = module.lora_A[f"new{i}"].weight, module.lora_B[f"new{i}"].weight
            elif f"new{i}" in getattr(module, "lora_embedding_A", {}):
                A, B = module.lora_embedding_A[f"new{i}"], module.lora_embedding_B[f"new{i}"]
            else:
                continue
            tensors[f"{i}.{path}"] = (module.scaling[f"new{i}"] * B @ A).contiguous().detach()
        wrapped.delete_adapter(f"new{i}")
        cases.append(dict(type=kind, adapters=list(names), weights=weights, options=options))
    save_file(tensors, os.path.join(out, "expected.safetensors"))
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    with open(os.path.join(out, "cases.json"), "w") as file:
        json.dump(dict(versions=versions, cases=cases), file, indent=1)


write("llama", LLAMA)
write("gpt2", GPT2)
