"""Exports tiny Hugging Face models by both of PyTorch's exporters.

    python test/oracle/write-onnx-exports.py GOLDEN_PEFT_FOLDER OUT CASE...

Writes OUT/CASE-torchscript and OUT/CASE-dynamo: model.onnx and config.json. The graphs are those of the models alone; what
an adapter gives on them is compared with what it gives on the safetensors.
"""
import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig

warnings.simplefilter("ignore")


class Plain(torch.nn.Module):
    """Tensors in, logits out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def export(folder, out, dynamo):
    config = AutoConfig.from_pretrained(folder / "model")
    model = getattr(transformers, config.architectures[0]).from_pretrained(folder / "model", attn_implementation="eager").eval()
    model.config.use_cache = False
    ids = torch.randint(1, config.vocab_size, (2, 6))
    mask = torch.ones_like(ids)
    out.mkdir(parents=True, exist_ok=True)
    names = dict(input_names=["input_ids", "attention_mask"], output_names=["logits"])
    if dynamo:
        shapes = {"input_ids": {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}, "attention_mask": {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}}
        torch.onnx.export(Plain(model), (ids, mask), str(out / "model.onnx"), dynamo=True, external_data=False, dynamic_shapes=shapes, **names)
    else:
        axes = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "sequence"}}
        torch.onnx.export(Plain(model), (ids, mask), str(out / "model.onnx"), dynamo=False, opset_version=17, dynamic_axes=axes, **names)
    shutil.copy(folder / "model" / "config.json", out / "config.json")


golden, target, *cases = sys.argv[1:]
for case in cases:
    for exporter in ("torchscript", "dynamo"):
        export(Path(golden) / case, Path(target) / f"{case}-{exporter}", exporter == "dynamo")
        print(case, exporter)
