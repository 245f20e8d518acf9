"""Writes fixtures/paper/nlg with the scripts of microsoft/LoRA's examples/NLG: python write-paper-nlg.py /path/to/LoRA

A tiny random GPT-2 as transformers' pytorch_model.bin, and as gpt2_ft.py saves it (all weights, LoRA alone); the logits of its
model file, and the predictions of gpt2_beam.py under several settings. Nothing of the scripts themselves is kept.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(sys.argv[1])
SRC = ROOT / "examples/NLG/src"
OUT = Path(__file__).parent.parent / "fixtures/paper/nlg"
sys.path[:0] = [str(SRC), str(ROOT)]
sys.argv = sys.argv[:1]

import torch  # noqa: E402

import gpt2_beam  # noqa: E402
import loralib  # noqa: E402
from data_utils import FT_Dataset  # noqa: E402
from model import GPT2Config, GPT2LMModel  # noqa: E402

VOCABULARY, POSITIONS, WIDTH, LAYERS, HEADS = 48, 64, 16, 2, 2
RANK, ALPHA = 2, 12

# Of beams and their settings, one that is not named has gpt2_beam.py's default. Lengths of the generated texts are small, so
# that the model's positions suffice. One row at a time, as in the README: with more the script reads the logits of the first
# step from the wrong rows (it indexes the repeated queries by the number of the row in the batch).
SETTINGS = [
    {"checkpoint": "full", "beam": 10, "length_penalty": 0.8, "eos_token_id": [7, 30]},
    {"checkpoint": "full", "beam": 10, "length_penalty": 0.8, "eos_token_id": [2, 5, 7, 11, 12, 19, 30, 33, 40, 44]},
    {"checkpoint": "full", "beam": 6, "length_penalty": 1.6, "eos_token_id": [2, 5, 7, 11, 12, 19, 30, 33, 40, 44]},
    {"checkpoint": "full", "beam": 4, "length_penalty": 0.8, "eos_token_id": [7, 30]},
    {"checkpoint": "full", "beam": 3, "eos_token_id": [7, 30, 11, 19, 2], "no_repeat_ngram_size": 2},
    {"checkpoint": "full", "beam": 5, "eos_token_id": [7, 30], "no_repeat_ngram_size": 1, "length_penalty": 0.0},
    {"checkpoint": "full", "beam": 2, "eos_token_id": [7, 30], "repetition_penalty": 1.3, "length_penalty": -1.0},
    {"checkpoint": "full", "beam": 4, "only": [7, 30, 11], "min_length": 6, "length_penalty": 2.0},
    {"checkpoint": "full", "beam": 1, "eos_token_id": [7]},
    {"checkpoint": "full", "beam": 6, "no_repeat_ngram_size": 0, "eos_token_id": [7]},
    {"checkpoint": "base", "beam": 4, "length_penalty": 0.8, "eos_token_id": [7, 30]},
]


def tiny(rank):
    config = GPT2Config(
        vocab_size_or_config_json_file=VOCABULARY, n_positions=POSITIONS, n_ctx=POSITIONS, n_embd=WIDTH,
        n_layer=LAYERS, n_head=HEADS, lora_attn_dim=rank, lora_attn_alpha=ALPHA,
    )  # fmt: skip
    return GPT2LMModel(config)


def first_model():
    model = tiny(RANK)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            scale = 0.35 if parameter.dim() > 1 else 0.1
            values = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(values + (1 if ".ln_" in f".{name}" and name.endswith("weight") else 0))
    return model.eval()


def save_models(model):
    """What gpt2_ft.py saves has the names of DistributedDataParallel, which trains the model as its member `module`."""
    parallel = torch.nn.Module()
    parallel.module = model
    torch.save({"model_state_dict": parallel.state_dict()}, OUT / "model.full.pt")
    torch.save({"model_state_dict": loralib.lora_state_dict(parallel)}, OUT / "model.lora.pt")
    # What the hub has for GPT-2: the body's own names, masks among them.
    body = {k: v.contiguous() for k, v in model.transformer.state_dict().items() if "lora_" not in k}
    torch.save(body, OUT / "pytorch_model.bin")
    (OUT / "config.json").write_text(
        json.dumps(
            {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": VOCABULARY, "n_positions": POSITIONS,
             "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "eos_token_id": 50256},
            indent=1,
        )
        + "\n"
    )  # fmt: skip


def load(checkpoint):
    """As gpt2_beam.py does."""
    model = tiny(0 if checkpoint == "base" else RANK)
    file = OUT / ("pytorch_model.bin" if checkpoint == "base" else "model.full.pt")
    model.load_weight(torch.load(file, map_location=torch.device("cpu")))
    return model.eval()


def write_rows():
    rng = random.Random(3)
    rows = [
        {
            "context": [rng.randrange(VOCABULARY) for _ in range(length)],
            "completion": [rng.randrange(VOCABULARY) for _ in range(6)],
        }
        for length in [5, 1, 9, 30, 12, 44, 3]
    ]
    # The same context once more, with another reference; and one longer than seq_len - eval_len.
    rows.insert(3, {**rows[2], "completion": [1, 2, 3]})
    (OUT / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def search(model, setting, folder):
    args = argparse.Namespace(
        batch_size=1, seq_len=40, eval_len=20, min_length=0, beam=1, length_penalty=1.0, no_repeat_ngram_size=4,
        repetition_penalty=1.0, eos_token_id=[50256, *setting.get("eos_token_id", [])], output_file="predictions.jsonl",
        work_dir=folder, device="cpu", rank=0, world_size=1, dist=torch.distributed, platform="local",
    )  # fmt: skip
    for name, value in setting.items():
        if name not in ("checkpoint", "eos_token_id", "only"):
            setattr(args, name, value)
    # Without a minimum the script never looks its ends up in the vocabulary, of which 50256 is none here.
    if "only" in setting:
        args.eos_token_id = setting["only"]
    gpt2_beam.args = args
    data = FT_Dataset(str(OUT / "rows.jsonl"), args.batch_size, args.seq_len, args.eval_len)
    sampler = torch.utils.data.distributed.DistributedSampler(data)
    loader = torch.utils.data.DataLoader(data, batch_size=args.batch_size, sampler=sampler)
    gpt2_beam.print = lambda *_: None
    gpt2_beam.beam(model, loader, args)
    found = [json.loads(line) for line in (Path(folder) / "predictions.jsonl").read_text().splitlines()]
    return {one["id"]: one["predict"] for one in found}


def logits_of(model, rows):
    with torch.no_grad():
        return [[round(x, 5) for x in model(torch.tensor([row["context"]]))[0][0, -1].tolist()] for row in rows[:2]]


# Texts with what is easily read otherwise: signs, accents, marks, emoji, white space of several kinds, digits that are no digits.
E2E = (
    "name : Blue Spice | Type : coffee shop | area : city centre||A coffee shop in the city centre area called Blue Spice . \n"
    "name : Blue Spice | Type : coffee shop | area : city centre||Blue Spice is a coffee shop , it's in the city centre.\r\n"
    "name : Caf\u00e9 \u00a320-25||\u00a320-\u00a325 at the Cafe\u0301 \u2013 \u201cgood\u201d || dropped\n"
    "  name : \u6771\u4eac \U0001f35c | x_y : 3\u00bd||\u2003\u6771\u4eac\U0001f35c\u200d\U0001f468 costs 3\u00bd \u2462  don't\tI'll\x1c\n"
    "name : \u0130STANBUL \u03a3\u0391\u03a3||\u0130stanbul \u03a3\u0391\u03a3 , STRASSE Stra\u00dfe <|endoftext|> behind the end\n"
)
WEBNLG = {
    "entries": [
        {"1": {"category": "Airport", "modifiedtripleset": [
            {"subject": "Aarhus_Airport", "property": "cityServed", "object": "\"Aarhus, Denmark\""},
            {"subject": "Aarhus", "property": "country", "object": "Denmark"}],
            "lexicalisations": [{"comment": "good", "lex": "Aarhus airport serves Aarhus ."}, {"comment": "toFix", "lex": "No ."},
                                {"comment": "good", "lex": "In Denmark, Aarhus\u2019 airport: Aarhus_Airport."}]}},
        {"2": {"category": "Politician", "modifiedtripleset": [{"subject": "A", "property": "b", "object": "C"}],
               "lexicalisations": [{"comment": "good", "lex": "A is b of C ."}]}},
        {"3": {"category": "Food", "modifiedtripleset": [], "lexicalisations": [{"comment": "good", "lex": "Nothing\n\nmore"}]}},
    ]
}  # fmt: skip
DART = [
    {"tripleset": [["Mars Hill College", "JOINED", "1973"], ["Mars Hill College", "LOCATION \u0130", "Mars Hill"]],
     "annotations": [{"source": "x", "text": "A school from Mars Hill joined in 1973 ."}, {"source": "y", "text": "It joined ."}]},
    {"tripleset": [["\U0001f680", "[TITLE]", "\u00c9"]], "annotations": [{"source": "x", "text": "\u00c9 ."}]},
]  # fmt: skip
INPUTS = {"e2e": ("e2e.txt", E2E), "webnlg": ("webnlg.json", json.dumps(WEBNLG)), "dart": ("dart.json", json.dumps(DART))}
MERGES = ["t h", "th e", "\u0120 the", "\u0120 a", "\u0120 i", "\u0120i s", "e r", "o n", "\u0120 c", "\u0120c o", "a r", "\u0120 n", "m e", "a me"]


def write_vocabulary(folder):
    """GPT-2's kind of vocabulary with few merges: its characters for bytes in their order, then what is merged."""
    import encoder

    pieces = list(encoder.bytes_to_unicode().values())
    pieces += ["".join(merge.split()) for merge in MERGES]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    vocabulary["<|endoftext|>"] = 50256
    files = {"encoder.json": json.dumps(vocabulary), "vocab.bpe": "#version: 0.2\n" + "".join(f"{m}\n" for m in MERGES)}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf8")
    return files


def predictions_of(rows, rng):
    """Of each row the tokens of another one's text, ended in one of several ways and filled up with zeros, in any order."""
    made = []
    for i in range(len(rows)):
        ids = [t for t in rows[(i * 2 + 1) % len(rows)]["completion"] if t != 50256][:40]
        ids += rng.choice([[50256], [198, 198], []])
        made.append({"id": i, "predict": ids + [0] * (44 - len(ids) if ids[-1] in (50256, 198) else 0)})
    rng.shuffle(made)
    return "".join(json.dumps(row) + "\n" for row in made)


def run(script, *args, cwd):
    stub = cwd / "stub/progress"
    stub.mkdir(parents=True, exist_ok=True)
    (stub / "__init__.py").touch()
    (stub / "bar.py").write_text("class Bar: pass\n")
    subprocess.run(
        [sys.executable, SRC / script, *args], cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(cwd / "stub")},
    )  # fmt: skip


def text_of(path):
    return path.read_bytes().decode("utf8")


def write_texts():
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_vocabulary(folder)
        stages, decoded = {}, []
        for data_set, (file, text) in INPUTS.items():
            (folder / file).write_bytes(text.encode("utf8"))
            files[file] = text
            formatted, encoded = f"{data_set}_formatted.jsonl", f"{data_set}.jsonl"
            run(f"format_converting_{data_set}.py", file, formatted, cwd=folder)
            run("gpt2_encode.py", "--vocab", ".", "--input", formatted, "--output", encoded, "--add_bos", "--add_eos", cwd=folder)
            run("gpt2_encode.py", "--vocab", ".", "--input", formatted, "--output", "bare.jsonl", cwd=folder)
            stages[data_set] = {
                "formatted": text_of(folder / formatted), "encoded": text_of(folder / encoded), "bare": text_of(folder / "bare.jsonl"),
            }  # fmt: skip
            rows = [json.loads(line) for line in stages[data_set]["encoded"].splitlines()]
            samples = f"{data_set}_predictions.jsonl"
            files[samples] = predictions_of(rows, rng)
            (folder / samples).write_text(files[samples])
            settings = [[], ["--tokenize"], ["--lower", "--tokenize", "--ref_num", "2"]]
            if data_set == "webnlg":
                settings += [["--filter", "seen"], ["--filter", "unseen", "--ref_num", "1"]]
            if data_set == "e2e":
                files["unique.txt"] = "".join(f"{i % 3}\n" for i in range(len(rows)))
                (folder / "unique.txt").write_text(files["unique.txt"])
                settings = [[], ["--lower"], ["--lower", "--tokenize", "--ref_unique_file", "unique.txt"]]
            for flags in settings:
                shutil.rmtree(folder / "out", ignore_errors=True)
                (folder / "out").mkdir()
                run(
                    "gpt2_decode.py", "--vocab", ".", "--sample_file", samples, "--input_file", formatted, "--ref_type", data_set,
                    "--output_ref_file", "out/refs", "--output_pred_file", "out/hyps", *flags, cwd=folder,
                )  # fmt: skip
                found = {str(path.relative_to(folder)): text_of(path) for path in sorted(folder.glob("out/**/*")) if path.is_file()}
                decoded.append({"dataSet": data_set, "flags": flags, "files": found})
    (OUT / "texts.json").write_text(json.dumps({"files": files, "stages": stages, "decoded": decoded}, indent=1) + "\n")


def main():
    write_texts()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29519")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    OUT.mkdir(parents=True, exist_ok=True)
    save_models(first_model())
    rows = write_rows()
    logits = {name: logits_of(load(name), rows) for name in ("base", "full")}
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for setting in SETTINGS:
            found = search(load(setting["checkpoint"]), setting, folder)
            predict = [found[i] for i in range(len(rows))]
            print(setting, [len([t for t in p if t]) for p in predict])
            cases.append({**setting, "seq_len": 40, "eval_len": 20, "predict": predict})
    lines = ",\n".join(f" {json.dumps(case)}" for case in cases)
    (OUT / "beams.json").write_text(
        f'{{"rank": {RANK}, "alpha": {ALPHA}, "logits": {json.dumps(logits)},\n"cases": [\n{lines}\n]}}\n'
    )


if __name__ == "__main__":
    main()
