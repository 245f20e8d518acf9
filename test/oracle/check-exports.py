"""Runs what write-exports.ts wrote with ONNX Runtime, against transformers and PEFT on the same rows.

Run by hand where Python has torch, transformers, peft, onnx and onnxruntime:
    npx tsx test/oracle/write-exports.ts DIR
    python test/oracle/check-exports.py DIR
Prints the largest relative difference of every export. Decoders are run at once, in two steps over a cache, and padded
on the left.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
import torch
import transformers
from peft import PeftModel

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
golden = Path(__file__).parent.parent / "fixtures/golden"
out = Path(sys.argv[1])


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    return getattr(transformers, config.architectures[0]).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def difference(found, expected):
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def session(folder):
    (path,) = (folder / "onnx").glob("*.onnx")
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21)], model.opset_import
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def empty(run, batch):
    return {
        i.name: np.zeros([batch if isinstance(d, str) and d == "batch_size" else 0 if isinstance(d, str) else d for d in i.shape], np.float32)
        for i in run.get_inputs()
        if i.name.startswith("past_key_values")
    }


def decode(run, feeds, extra, steps):
    """Logits of all positions, read in pieces of the given lengths."""
    past = empty(run, len(feeds["input_ids"]))
    names = [o.name for o in run.get_outputs()]
    logits, start = [], 0
    for length in steps:
        end = start + length
        part = {
            "input_ids": feeds["input_ids"][:, start:end],
            "position_ids": feeds["position_ids"][:, start:end],
            "attention_mask": feeds["attention_mask"][:, :end],
        }
        results = dict(zip(names, run.run(None, {**part, **past, **extra})))
        past = {name.replace("present", "past_key_values"): value for name, value in results.items() if name != "logits"}
        logits.append(results["logits"])
        start = end
    return np.concatenate(logits, 1)


def check(group, name):
    source = golden / group / name
    folder = source / "model" if (source / "model").exists() else source
    exports = sorted(p for p in (out / group / name).iterdir())
    base = load(folder)
    expectations = {}
    rows = {}
    if base.main_input_name == "pixel_values":
        size = base.config.image_size
        rows["plain"] = {"pixel_values": torch.randn(3, base.config.num_channels, size, size)}
    else:
        vocabulary = base.config.get_text_config().vocab_size
        ids = torch.randint(3, vocabulary, (2, 13))
        mask = torch.ones_like(ids)
        rows["plain"] = {"input_ids": ids, "attention_mask": mask}
        padded = mask.clone()
        decoder = "CausalLM" in type(base).__name__ or "LMHead" in type(base).__name__
        padded[1, :4] = 0
        if not decoder:
            padded = padded.flip(1)
        if name.startswith("roberta"):
            ids = torch.where(padded == 1, ids, 1)
        rows["padded"] = {"input_ids": ids, "attention_mask": padded}
        if getattr(base.config, "type_vocab_size", 0) > 1:
            for row in rows.values():
                row["token_type_ids"] = torch.randint(0, 2, ids.shape)
        if decoder:
            for row in rows.values():
                row["position_ids"] = (row["attention_mask"].cumsum(1) - 1).clamp(min=0)

    def logits(model, row):
        with torch.no_grad():
            result = model(**row)
            return (result.logits if "logits" in result else result.last_hidden_state).numpy()

    expectations["base"] = {k: logits(base, row) for k, row in rows.items()}
    if (source / "adapter").exists():
        adapted = PeftModel.from_pretrained(base, source / "adapter").eval()
        expectations["merged"] = {k: logits(adapted, row) for k, row in rows.items()}
        expectations["inputs"] = expectations["merged-fp16"] = expectations["merged"]
    worst = {}
    for path in exports:
        run = session(path)
        inputs = {i.name for i in run.get_inputs()}
        small = path / "adapters/golden.safetensors"
        extra = safetensors.numpy.load_file(small) if small.exists() else {}
        differences = []
        for kind, row in rows.items():
            feeds = {k: v.numpy() for k, v in row.items()}
            expected = expectations[path.name][kind]
            seen = feeds.get("attention_mask", np.ones(1)) == 1 if expected.ndim == 3 else slice(None)
            if "past_key_values.0.key" in inputs:
                for steps in ([13], [9, 4], [6, 6, 1]):
                    differences.append(difference(decode(run, feeds, extra, steps)[seen], expected[seen]))
            else:
                assert inputs - set(extra) <= set(feeds), inputs
                told = {k: v for k, v in feeds.items() if k in inputs}
                found = run.run(None, {**told, **extra})[0]
                if extra:
                    adapter, options = onnxruntime.LoraAdapter(), onnxruntime.RunOptions()
                    adapter.Load(str(small.with_suffix(".onnx_adapter")))
                    options.add_active_adapter(adapter)
                    # Not through run(), which asks for all inputs before the runtime sees the adapter.
                    assert np.array_equal(run._sess.run([run.get_outputs()[0].name], told, options)[0], found)
                differences.append(difference(found[seen], expected[seen]))
        worst[path.name] = max(differences)
    return worst


torch.manual_seed(0)
failed = False
for group in sorted(p.name for p in out.iterdir()):
    for case in sorted(p.name for p in (out / group).iterdir()):
        worst = check(group, case)
        print(f"{group + '/' + case:32}", "  ".join(f"{k} {v:.1e}" for k, v in worst.items()))
        failed |= any(v > (5e-3 if k.endswith("fp16") else 1e-5) for k, v in worst.items())
sys.exit(failed)
