"""What the scripts of examples/NLU of microsoft/LoRA say, for test/paper/nlu-presets.test.ts: python write-nlu-scripts.py PATH_OF_THE_REPOSITORY > ../fixtures/paper/nlu-scripts.json"""
import json
import re
import sys
from pathlib import Path

scripts = {}
for path in sorted((Path(sys.argv[1]) / "examples/NLU").glob("*.sh")):
    text = path.read_text()
    flags = dict(re.findall(r"^\s*--(\w+)(?: ([^\s\\]+))?", text, re.MULTILINE))
    if "lora_r" in flags or "task_name" in flags:
        gpus = re.search(r"num_gpus=(\d+)", text).group(1)
        kept = ["task_name", "max_seq_length", "per_device_train_batch_size", "learning_rate", "num_train_epochs", "warmup_ratio", "warmup_steps", "weight_decay", "lora_r", "lora_alpha", "cls_dropout", "eval_steps", "reg_loss_wgt", "masking_prob", "seed"]
        scripts[path.stem] = {"gpus": int(gpus), "lora_path": "lora_path" in flags, **{key: flags[key] if key == "task_name" else float(flags[key]) for key in kept if key in flags}}
json.dump(scripts, sys.stdout, indent=1)
