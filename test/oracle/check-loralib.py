"""Loads loralib checkpoints that lowrank converted with PEFT, and compares the weights' changes with loralib's formulas.

Run by hand where Python has torch, transformers and peft; MNLI is the paper's roberta_base_lora_mnli.bin:
    python test/oracle/check-loralib.py MNLI > test/fixtures/formats/loralib-checked.json
"""
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import peft
import torch
import transformers

mnli = sys.argv[1]
folder = Path(tempfile.mkdtemp())
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning)
results = {}


def convert(source, target, *flags):
    command = ["npx", "tsx", "src/cli/main.ts", "convert", "--from", str(source), "--to", str(folder / target), *flags, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# RoBERTa-base with random weights: every tensor of the file must be where loralib had it.
convert(mnli, "mnli", "--alpha", "16")
config = transformers.RobertaConfig(num_labels=3, vocab_size=100, max_position_embeddings=20, intermediate_size=64)
base = transformers.RobertaForSequenceClassification(config)
model = peft.PeftModel.from_pretrained(base, folder / "mnli").eval()
source = torch.load(mnli, map_location="cpu", weights_only=True)
state = model.state_dict()
for key, value in source.items():
    head = key.replace("classifier.", "classifier.modules_to_save.default.", 1)
    assert torch.equal(state["base_model.model." + (f"{key}.default.weight" if "lora_" in key else head)], value), key
assert sum("lora_" in key for key in state) == 48
query = model.base_model.model.roberta.encoder.layer[0].attention.self.query
results["mnli"] = {"tensors": len(source), "scaling": query.scaling["default"], "class": type(model).__name__}
convert(folder / "mnli", "back.bin")
back = torch.load(folder / "back.bin", weights_only=True)
assert back.keys() == source.keys() and all(torch.equal(back[key], source[key]) for key in source)
results["mnli"]["back"] = "bit for bit"


class Net(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def delta(name, layer):
    model = peft.PeftModel.from_pretrained(Net(layer), folder / name)
    return model.base_model.model.layer.get_delta_weight("default")


torch.manual_seed(0)
for name, enable in [("tft", [True, False, True]), ("ftt", [False, True, True]), ("ttt", [True, True, True])]:
    r, groups = 2, sum(enable)
    A, B = torch.randn(r * groups, 12), torch.randn(8 * groups, r)
    torch.save({"layer.lora_A": A, "layer.lora_B": B}, folder / f"{name}.pt")
    convert(folder / f"{name}.pt", name, "--alpha", "6", "--enable-lora", ",".join(str(on).lower() for on in enable))
    expected = torch.zeros(3, 8, 12)
    expected[torch.tensor(enable)] = torch.nn.functional.conv1d(A[None], B[:, :, None], groups=groups)[0].view(groups, 8, 12)
    change = (delta(name, torch.nn.Linear(12, 24)) - 3 * expected.view(24, 12)).abs().max().item()
    assert change < 1e-5, (name, change)
    results[f"MergedLinear {name}"] = change < 1e-5
for k in [1, 3, 5]:
    A, B = torch.randn(2 * k, 6 * k), torch.randn(10 * k, 2 * k)
    torch.save({"layer.lora_A": A, "layer.lora_B": B}, folder / f"conv{k}.pt")
    convert(folder / f"conv{k}.pt", f"conv{k}", "--alpha", "6", "--kernel-sizes", f"layer={k}")
    layer = torch.nn.Conv2d(6, 10, k, padding=1)
    change = (delta(f"conv{k}", layer) - 3 * (B @ A).view(layer.weight.shape)).abs().max().item()
    assert change < 1e-4, (k, change)
    results[f"Conv2d kernel {k}"] = change < 1e-4
versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
print(json.dumps({"made_with": versions, "results": results}, indent=1))
