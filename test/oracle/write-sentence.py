"""Models of sentence-transformers, each way of pooling: python write-sentence.py OUT

OUT/bert and OUT/llama are tiny bases with a tokenizer. OUT/cases.json says for each case which files stand beside a base
(JSON, or base64 of a binary), and the mean of (cosine - score)^2 over OUT/pairs.jsonl that sentence-transformers' encode gives.
"""
import base64, json, shutil, sys, tempfile
from pathlib import Path

import torch
import transformers as t
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors

OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "the", "cat", "dog", "sat", "ran", "on", "mat", "far", "Cat", "The", "query", "text", ":", "it", "was", "good", "bad"]
tok = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
fast = t.PreTrainedTokenizerFast(tokenizer_object=tok, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=64)
small = dict(vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=32, pad_token_id=0)
torch.manual_seed(0)
for name, model in (("bert", t.BertForMaskedLM(t.BertConfig(**small))), ("llama", t.LlamaForCausalLM(t.LlamaConfig(**small)))):
    for p in model.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.5)
    model.tie_weights()
    model.save_pretrained(OUT / name)
    fast.save_pretrained(OUT / name)
    (OUT / name / "generation_config.json").unlink(missing_ok=True)

pairs = [
    ("the cat sat on the mat", "a dog ran", 0.3), ("The Cat", "the cat was good", 0.9), ("it was bad", "it was good it was good it was good", 0.5),
    ("a", "the dog sat far on a mat", 0.1), ("dog ran far", "cat ran far", 0.8),
]
(OUT / "pairs.jsonl").write_text("".join(json.dumps({"text": a, "text_pair": b, "score": s}) + "\n" for a, b, s in pairs))

def dense(i, o, f, residual=False, seed=0):
    torch.manual_seed(seed)
    return Dense(i, o, activation_function=f, use_residual=residual)

cases = {}
def case(name, base, modules, transformer={}, prompts=None, legacy=None, names=None, most=None):
    folder = Path(tempfile.mkdtemp()) / name
    model = SentenceTransformer(modules=[Transformer(str(OUT / base)), *modules])
    if prompts:
        model.prompts, model.default_prompt_name = prompts
    if most:
        model.max_seq_length = most
    model.save(str(folder), create_model_card=False)
    if transformer:
        (folder / "sentence_bert_config.json").write_text(json.dumps(transformer))
    if legacy:
        (folder / "1_Pooling/config.json").write_text(json.dumps(legacy))
    loaded = SentenceTransformer(str(folder), device="cpu")
    def encode(texts, side):
        kwargs = {} if names is None else {"prompt_name": names[side]} if names[side] else {"prompt": ""}
        return torch.nn.functional.normalize(torch.tensor(loaded.encode(texts, **kwargs)), dim=-1)
    a, b = encode([p[0] for p in pairs], 0), encode([p[1] for p in pairs], 1)
    loss = (((a * b).sum(-1) - torch.tensor([p[2] for p in pairs])) ** 2).mean().item()
    files = {}
    for path in sorted(folder.rglob("*")):
        rel = str(path.relative_to(folder))
        if path.is_dir() or (rel.count("/") == 0 and rel not in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", *(["tokenizer_config.json"] if most else []))):
            continue
        files[rel] = json.loads(path.read_text()) if path.suffix == ".json" else {"base64": base64.b64encode(path.read_bytes()).decode()}
    files.get("config_sentence_transformers.json", {}).pop("__version__", None)
    cases[name] = {"base": base, "files": files, "loss": loss, **({"promptName": names} if names else {})}
    print(name, loss)

for mode in Pooling.POOLING_MODES:
    case(mode, "bert", [Pooling(16, mode)])
case("two-side-by-side", "bert", [Pooling(16, ("cls", "max")), Normalize()])
case("legacy-keys", "bert", [Pooling(16, "mean")], legacy={"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False})
case("dense", "bert", [Pooling(16, "mean"), dense(16, 6, torch.nn.Tanh()), Normalize()])
case("normalize-then-dense", "bert", [Pooling(16, "cls"), Normalize(), dense(16, 16, torch.nn.GELU(), True, 1), dense(16, 4, None, True, 2)])
case("lower-case", "bert", [Pooling(16, "mean")], transformer={"max_seq_length": 32, "do_lower_case": True})
case("short", "bert", [Pooling(16, "mean")], transformer={"max_seq_length": 5, "do_lower_case": False})
prompts = {"query": "query: ", "document": "text: "}
case("short-by-the-tokenizer", "bert", [Pooling(16, "mean")], most=5)
case("default-prompt", "bert", [Pooling(16, "mean")], prompts=(prompts, "query"))
case("prompts-by-name", "bert", [Pooling(16, "weightedmean")], prompts=(prompts, None), names=["query", "document"])
for mode in ("mean", "cls", "max", "lasttoken"):
    case(f"{mode}-without-prompt", "bert", [Pooling(16, mode, include_prompt=False)], prompts=(prompts, "query"))
case("decoder-last-token", "llama", [Pooling(16, "lasttoken"), Normalize()])
(OUT / "cases.json").write_text(json.dumps(cases, indent=1))
