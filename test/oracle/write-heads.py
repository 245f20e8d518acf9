"""PEFT's adapters with a head of their own on plain tiny bases: python write-heads.py OUT

For each case OUT/<name>/model (the base as its own class saves it), OUT/<name>/adapter (PEFT, modules_to_save) and
OUT/<name>/expected.json: token ids and the logits that PEFT gives for them.
"""
import json, sys, shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, PeftModel
import transformers as t

OUT = Path(sys.argv[1])
V = 24
small = dict(vocab_size=V, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=32)
configs = {
    "bert": t.BertConfig(**small),
    "roberta": t.RobertaConfig(**{**small, "max_position_embeddings": 34}, pad_token_id=1),
    "distilbert": t.DistilBertConfig(vocab_size=V, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=32),
    "deberta-v2": t.DebertaV2Config(**small, relative_attention=True, pos_att_type="p2c|c2p", position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True, type_vocab_size=0, position_biased_input=False),
    "llama": t.LlamaConfig(**small, num_key_value_heads=1),
    "qwen2": t.Qwen2Config(**small, num_key_value_heads=1, tie_word_embeddings=True),
    "gpt2": t.GPT2Config(vocab_size=V, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0),
}
seq, tok, qa, lm, mlm, bare = "SequenceClassification", "TokenClassification", "QuestionAnswering", "CausalLM", "MaskedLM", None
# name, family, class of the base, task of the adapter, labels
cases = [
    ("bert-seq", "bert", bare, seq, 3),
    ("bert-tok-of-mlm", "bert", mlm, tok, 4),
    ("roberta-seq-of-mlm", "roberta", mlm, seq, 3),
    ("roberta-qa-of-mlm", "roberta", mlm, qa, 2),
    ("distilbert-seq-of-mlm", "distilbert", mlm, seq, 1),
    ("distilbert-qa", "distilbert", bare, qa, 2),
    ("deberta-tok-of-mlm", "deberta-v2", mlm, tok, 5),
    ("llama-seq", "llama", lm, seq, 2),
    ("llama-tok", "llama", lm, tok, 3),
    ("llama-qa", "llama", lm, qa, 2),
    ("llama-embeddings", "llama", lm, "Features", 0),
    ("qwen2-seq", "qwen2", lm, seq, 3),
    ("gpt2-seq", "gpt2", lm, seq, 2),
    ("gpt2-tok-of-body", "gpt2", bare, tok, 3),
]
types = {seq: "SEQ_CLS", tok: "TOKEN_CLS", qa: "QUESTION_ANS", "Features": "FEATURE_EXTRACTION"}

for name, family, source, task, labels in cases:
    torch.manual_seed(len(name))
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    config = configs[family]
    auto = t.AutoModel if source is None else getattr(t, f"AutoModelFor{source}")
    base = auto.from_config(config).eval()
    for p in base.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.3)
    base.tie_weights()
    base.save_pretrained(folder / "model")
    kwargs = {"num_labels": labels} if task in (seq, tok) else {}
    auto = t.AutoModel if task == "Features" else getattr(t, f"AutoModelFor{task}")
    if family in ("llama", "qwen2") and task == qa:
        # transformers does not find `model.` under the class's `transformer.`: the weights are copied by hand
        model = auto.from_config(base.config)
        model.transformer.load_state_dict(base.model.state_dict())
    else:
        model = auto.from_pretrained(folder / "model", **kwargs)
    targets = {"gpt2": ["c_attn"], "distilbert": ["q_lin", "v_lin"], "deberta-v2": ["query_proj", "value_proj"], "llama": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"]}.get(family, ["query", "value"])
    peft = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, task_type=types[task], target_modules=targets, fan_in_fan_out=family == "gpt2")).eval()
    for key, p in peft.named_parameters():
        if p.requires_grad:
            torch.nn.init.normal_(p, std=0.3)
    peft.save_pretrained(folder / "adapter")
    ids = torch.randint(3, V, (1, 7))
    with torch.no_grad():
        out = peft(input_ids=ids)
    y = torch.stack([out.start_logits, out.end_logits], -1) if task == qa else out.last_hidden_state if task == "Features" else out.logits
    (folder / "expected.json").write_text(json.dumps({"ids": ids.tolist(), "shape": list(y.shape), "y": [round(v, 6) for v in y.flatten().tolist()]}))
    for extra in ("README.md",):
        (folder / "adapter" / extra).unlink(missing_ok=True)
    print(name, [k for k in __import__("safetensors").safe_open(folder / "adapter/adapter_model.safetensors", "pt").keys()][-3:])
