"""Writes fixtures/paper/nlg/training.json with gpt2_ft.py of microsoft/LoRA: python write-paper-training.py /path/to/LoRA

The tiny GPT-2 and the rows that write-paper-nlg.py has written are trained by the script's own `train_validate` on the CPU, with
its data set, sampler, optimizer and schedules: losses and rates of every step, what it prints, the names in the files that it
saves, and the weights that came of it. Dropout is off. Nothing of the script itself is kept.
"""

import argparse
import contextlib
import io
import json
import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(sys.argv[1])
SRC = ROOT / "examples/NLG/src"
OUT = Path(__file__).parent.parent / "fixtures/paper/nlg"
sys.path[:0] = [str(SRC), str(ROOT)]
sys.argv = sys.argv[:1]

import torch  # noqa: E402

import gpt2_ft  # noqa: E402
import loralib  # noqa: E402
from model import GPT2Config, GPT2LMModel  # noqa: E402
from optimizer import create_adam_optimizer_from_args, create_optimizer_scheduler  # noqa: E402

SIZES = json.loads((OUT / "config.json").read_text())
ROWS = str(OUT / "rows.jsonl")

# Flags of the script; `checkpoint` is the file that a run begins with.
CASES = {
    "linear": "--train_batch_size 3 --seq_len 40 --lr 0.01 --weight_decay 0.01 --correct_bias --adam_beta2 0.999 --scheduler linear "
    "--warmup_step 3 --max_epoch 4 --save_interval 2 --eval_interval 5 --log_interval 4 --lora_dim 2 --lora_alpha 12 "
    "--label_smooth 0.1 --random_seed 110",
    "cosine": "--train_batch_size 2 --grad_acc 2 --seq_len 40 --lr 0.01 --scheduler cosine --warmup_step 2 --max_step 7 --clip 0.05 "
    "--lora_dim 2 --lora_alpha 12 --obj jlm --random_seed 7",
    "cycle": "--train_batch_size 4 --seq_len 48 --lr 0.5 --weight_decay 0.1 --scheduler cycle --i_steps 0,2,5 --i_lrs 0.001,0.01,0.002 "
    "--max_epoch 3 --lora_dim 2 --lora_alpha 12",
    "whole": "--train_batch_size 3 --seq_len 40 --lr 0.002 --weight_decay 0.5 --correct_bias --no_decay_bias --scheduler constant "
    "--warmup_step 2 --max_step 4 --label_smooth 0.1",
    "unscheduled": "--train_batch_size 8 --seq_len 40 --lr 0.003 --scheduler inv_sqrt --warmup_step 5 --max_epoch 3 --lora_dim 2 "
    "--lora_alpha 12",
}


class Parallel(torch.nn.Module):
    """The names that DistributedDataParallel gives, which needs a GPU here."""

    def __init__(self, model):
        super().__init__()
        self.module = model

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


def arguments(flags, folder):
    files = ["--train_data", ROWS, "--valid_data", ROWS, "--work_dir", folder]
    args = gpt2_ft.parser.parse_args([*flags.split(), *files])
    args.platform, args.rank, args.world_size, args.device, args.dist = "local", 0, 1, "cpu", torch.distributed
    return args


def opened(args):
    model = GPT2LMModel(
        GPT2Config(
            vocab_size_or_config_json_file=SIZES["vocab_size"], n_positions=SIZES["n_positions"], n_ctx=SIZES["n_positions"],
            n_embd=SIZES["n_embd"], n_layer=SIZES["n_layer"], n_head=SIZES["n_head"], lora_attn_dim=args.lora_dim,
            lora_attn_alpha=args.lora_alpha, lora_dropout=args.lora_dropout,
        )
    )  # fmt: skip
    model.load_weight(torch.load(OUT / ("model.full.pt" if args.lora_dim > 0 else "pytorch_model.bin")))
    if args.lora_dim > 0:
        loralib.mark_only_lora_as_trainable(model)
    return model


def loader(file, batch_size, args, **more):
    data = gpt2_ft.FT_Dataset(file, batch_size, args.seq_len, **more)
    sampler = torch.utils.data.distributed.DistributedSampler(data, seed=args.random_seed)
    return data, torch.utils.data.DataLoader(data, batch_size=batch_size, sampler=sampler)


def shortened(tensor):
    return [float(f"{x:.7g}") for x in tensor.flatten().tolist()]


def run(flags):
    steps = []
    original = gpt2_ft.optimizer_step

    def recorded(loss, optimizer, model, schedule, args, is_update=True):
        steps.append([loss.item() * args.grad_acc, optimizer.param_groups[0]["lr"]])
        original(loss, optimizer, model, schedule, args, is_update=is_update)

    gpt2_ft.optimizer_step = recorded
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        args = arguments(flags, folder)
        torch.manual_seed(args.random_seed)
        random.seed(args.random_seed)
        train, train_loader = loader(args.train_data, args.train_batch_size, args, joint_lm=args.obj == "jlm")
        _, valid_loader = loader(args.valid_data, args.valid_batch_size, args)
        model = opened(args)
        optimizer = create_adam_optimizer_from_args(model, args)
        if args.max_step is None:
            args.max_step = (args.max_epoch * train.num_batches + args.world_size - 1) // args.world_size
        scheduler = create_optimizer_scheduler(optimizer, args)
        model = Parallel(model)
        step, epoch = 0, 0
        while True:
            epoch += 1
            step = gpt2_ft.train_validate(model, optimizer, scheduler, train_loader, valid_loader, args, step, epoch)
            if step >= args.max_step or (args.max_epoch is not None and epoch >= args.max_epoch):
                break
        saved = {
            file.name: list(torch.load(file)["model_state_dict"])
            for file in sorted(Path(folder).iterdir(), key=lambda f: int(f.name.split(".")[1]))
        }
        loss, _ = gpt2_ft.evaluate(model, valid_loader, args)
        text = printed.getvalue().replace(folder, "WORK_DIR")
    gpt2_ft.optimizer_step = original
    trained = {name: p for name, p in model.module.named_parameters() if p.requires_grad}
    return {
        "flags": flags,
        "steps": [[float(f"{loss:.8g}"), lr] for loss, lr in steps],
        "evaluation": loss,
        "parameters": sum(p.numel() for p in trained.values()),
        # Of a model that is trained whole the sums tell enough.
        "trained": {name: shortened(p) for name, p in trained.items()}
        if args.lora_dim > 0
        else {name: shortened(torch.stack([p.sum(), p.square().sum()])) for name, p in trained.items()},
        "printed": [line for line in text.splitlines() if line.startswith(("| ", "saving", "start", "average"))],
        "saved": saved,
    }


def counted(layers, width):
    model = GPT2LMModel(GPT2Config(n_embd=width, n_layer=layers, n_head=16, vocab_size_or_config_json_file=8, lora_attn_dim=4))
    loralib.mark_only_lora_as_trainable(model)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def main():
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29521")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    cases = {name: run(flags) for name, flags in CASES.items()}
    order = {}
    for count, seed in [(9, 110), (42064, 111)]:
        found = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
        order[f"{count} {seed}"] = found[:12]
    drawn = random.Random(911)
    fixture = {
        "counts": {"gpt2.md": counted(24, 1024), "gpt2.lg": counted(36, 1280)},
        "randperm": order,
        "randint": [drawn.randint(0, n) for n in [7, 7, 7, 42060, 42060, 0, 1, 2**31 - 1, 8, 8]],
        "cases": cases,
    }
    (OUT / "training.json").write_text(json.dumps(fixture, separators=(",", ":")).replace('"flags"', '\n"flags"') + "\n")
    for name, case in cases.items():
        print(name, case["steps"][:3], len(case["steps"]), case["evaluation"])
        print("\n".join(case["printed"]))
    print(fixture["counts"])


if __name__ == "__main__":
    main()
