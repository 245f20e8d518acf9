"""Small .onnx files as people have them, each with what PyTorch and PEFT compute with an adapter on the network it came from.

    python test/oracle/write-onnx-files.py test/fixtures/onnx/files

`free-*` have free heights and widths; `head-*` are language models whose head is stored as [hidden, vocabulary] or shares
the table, with adapters of PEFT for it; `q4` and `int8` went through ONNX Runtime's quantisers.
"""
import logging
import sys
import warnings
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
OUT = Path(sys.argv[1])


class Pyramid(nn.Module):
    """A feature pyramid: levels of odd lengths meet after doubling."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.down1, self.down2 = nn.Conv2d(2, 3, 3, 2, 1), nn.Conv2d(3, 4, 3, 2, 1)
        self.side1, self.side2 = nn.Conv2d(3, 3, 1), nn.Conv2d(4, 3, 1)
        self.out = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(a))
        options = {} if self.mode == "nearest" else {"align_corners": False}
        if self.mode == "size":
            up = F.interpolate(self.side2(b), size=a.shape[2:], mode="bilinear", **options)
        else:
            up = F.interpolate(self.side2(b), scale_factor=2, mode=self.mode, **options)
        return self.out(self.side1(a) + up)


class Language(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.embed_tokens = nn.Embedding(12, 4)
        self.q_proj = nn.Linear(4, 4, bias=False)
        self.lm_head = nn.Linear(4, 12, bias=False)
        if tied:
            self.lm_head.weight = self.embed_tokens.weight
        self.config = {"tie_word_embeddings": tied, "model_type": "custom"}

    def get_input_embeddings(self):
        return self.embed_tokens

    def get_output_embeddings(self):
        return self.lm_head

    def forward(self, input_ids):
        return self.lm_head(torch.tanh(self.q_proj(self.embed_tokens(input_ids))))


class Wrapper(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, value):
        return self.network(value)


def seeded(make):
    torch.manual_seed(0)
    return make().eval()


def export(make, folder, value, names, axes, dynamo=False):
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "model.onnx")
    network = Wrapper(seeded(make))
    if dynamo:
        shapes = ({axis: torch.export.Dim.DYNAMIC for axis in axes},)
        torch.onnx.export(network, (value,), path, dynamo=True, external_data=False, verbose=False, input_names=names[:1], output_names=names[1:], dynamic_shapes=shapes)
    else:
        torch.onnx.export(network, (value,), path, dynamo=False, opset_version=17, input_names=names[:1], output_names=names[1:], dynamic_axes={names[0]: axes})


def write(make, folder, value, name, **config):
    model = get_peft_model(seeded(make), LoraConfig(r=2, lora_alpha=4, **config))
    torch.manual_seed(3)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_A" not in key and "lora_embedding_B" not in key:
            parameter.data = parameter.data + torch.randn_like(parameter) * 0.3
    model.eval()
    model.save_pretrained(folder / name)
    (folder / name / "README.md").unlink(missing_ok=True)
    output = model(value)
    weight = torch.randn_like(output)
    (output * weight).sum().backward()
    tensors = {"input": value, "output": output.detach(), "weight": weight}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            tensors["grad." + key.replace(".default", "").replace(".modules_to_save", "")] = parameter.grad
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / f"{name}.safetensors")


torch.manual_seed(1)
image = torch.randn(2, 2, 13, 10)
ids = torch.randint(0, 12, (2, 5))
free = {0: "batch", 2: "height", 3: "width"}
for mode, exporter in (("nearest", "torchscript"), ("bilinear", "torchscript"), ("size", "dynamo")):
    # Doubling only fits where the halves are even.
    picture = image if mode == "size" else torch.randn(2, 2, 16, 24)
    folder = OUT / f"free-{mode}-{exporter}"
    export(lambda: Pyramid(mode), folder, picture, ["x", "y"], free, exporter == "dynamo")
    write(lambda: Pyramid(mode), folder, picture, "adapter", target_modules=["down2", "side2"])
text = {0: "batch", 1: "sequence"}
for name, tied, exporter in (("head", False, "torchscript"), ("head", False, "dynamo"), ("head-tied", True, "torchscript")):
    folder = OUT / f"{name}-{exporter}"
    export(lambda: Language(tied), folder, ids, ["input_ids", "lm_logits"], text, exporter == "dynamo")
    write(lambda: Language(tied), folder, ids, "lora", target_modules=["lm_head"])
    write(lambda: Language(tied), folder, ids, "saved", target_modules=["q_proj"], modules_to_save=["lm_head"])


class Blocks(nn.Module):
    """Blocks under a wrapper, one layer of which the exporter gives no name."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 16, bias=False) for _ in range(2)])
        self.own = nn.Parameter(torch.randn(16, 16) / 4)
        self.score = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.score(x @ self.own)


value = torch.randn(2, 5, 16)
plain = OUT / "q4"
export(Blocks, plain, value, ["x", "y"], {0: "batch", 1: "length"})
write(Blocks, plain, value, "adapter", target_modules=["layers.0", "layers.1", "score"])
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

(OUT / "int8").mkdir(exist_ok=True)
quantize_dynamic(str(plain / "model.onnx"), str(OUT / "int8" / "model.onnx"), weight_type=QuantType.QInt8)
quantizer = MatMulNBitsQuantizer(onnx.load(plain / "model.onnx"), algo_config=DefaultWeightOnlyQuantConfig(block_size=16, is_symmetric=True, quant_format=QuantFormat.QOperator))
quantizer.process()
quantizer.model.save_model_to_file(str(plain / "model.onnx"))
for folder in sorted(OUT.iterdir()):
    # Where the exporter ran is nobody's business.
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        kept = [(entry.key, entry.value) for entry in node.metadata_props if entry.key.endswith(("name_scopes", "class_hierarchy"))]
        del node.metadata_props[:]
        for key, text in kept:
            node.metadata_props.add(key=key, value=text)
    onnx.save(model, folder / "model.onnx")
    print(folder.name, sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
