"""Writes small torch files of every kind, hostile ones among them, and what they hold.

Run by hand where Python has torch:
    python test/oracle/write-torch-files.py test/fixtures/torch
"""
import io
import json
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
names = ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


def make(dtype):
    kind = getattr(torch, dtype)
    return torch.randn(2, 3).to(kind) if kind.is_floating_point else torch.randint(-100, 100, (2, 3)).to(kind)


dtypes = OrderedDict((name, make(name)) for name in names)
base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
views = OrderedDict(
    whole=base,
    transposed=base.permute(2, 0, 1),
    sliced=base[:, 1:, ::2],
    row=base[1],
    expanded=base[0, 0, :1].expand(5),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 4),
    parameter=torch.nn.Parameter(torch.ones(2, 2).t()),
)
module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
wrapped = {"epoch": 3, "best": 0.5, "big": 2**70, "args": {"lr": 1e-3, "names": ["a", ("b", None, True)]}, "state_dict": module.state_dict()}

expected = {}


def note(name, tensors):
    expected[name] = {
        key: {
            "dtype": str(t.dtype).removeprefix("torch."),
            "shape": list(t.shape),
            "values": t.detach().to(torch.float64).flatten().tolist(),
        }
        for key, t in tensors.items()
    }


for name, value, tensors in [
    ("dtypes", dtypes, dtypes),
    ("views", views, views),
    ("wrapped", wrapped, wrapped["state_dict"]),
]:
    for suffix, new in [("zip.pt", True), ("legacy.th", False)]:
        torch.save(value, folder / f"{name}.{suffix}", _use_new_zipfile_serialization=new)
        note(f"{name}.{suffix}", tensors)
torch.save(dtypes, folder / "protocol4.pt", pickle_protocol=4)
note("protocol4.pt", dtypes)
untyped = OrderedDict(u16=torch.tensor([1, 65535], dtype=torch.uint16), u32=torch.tensor([7, 2**32 - 1], dtype=torch.uint32))
torch.save(untyped, folder / "untyped.pt")
note("untyped.pt", untyped)
with zipfile.ZipFile(folder / "dtypes.zip.pt") as source, zipfile.ZipFile(folder / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as target:
    for item in source.namelist():
        target.writestr(item, source.read(item))
note("deflated.pt", dtypes)


class Evil:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


hostile = {
    "system": Evil(os.system, "touch /tmp/owned"),
    "eval": Evil(eval, "1 + 1"),
    "getattr": Evil(getattr, "text", "upper"),
    "module": torch.nn.Linear(1, 1),
}
for name, value in hostile.items():
    torch.save({"weight": torch.ones(1), "evil": value}, folder / f"hostile-{name}.pt")
torch.save({"evil": hostile["system"]}, folder / "hostile-legacy.th", _use_new_zipfile_serialization=False)

(folder / "expected.json").write_text(json.dumps({"made_with": {"torch": torch.__version__}, "files": expected}, indent=1) + "\n")
