"""What transformers' AutoTokenizer makes of folders: python write-auto-tokenizers.py ../fixtures/tokenizer/python.json ../fixtures/tokenizer/auto.json

The tokenizers are those of write-tokenizer-cases.py; only a digest of each answer is kept.
"""
import hashlib
import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from transformers import AutoTokenizer

raw = open(sys.argv[1]).read()
fixture = json.loads(raw.replace("$CHARSMAP", json.loads(raw)["charsmap"]))
tokenizers = fixture["tokenizers"]
for file in tokenizers.values():
    for key in ("vocab", "merges"):
        if isinstance(file["model"].get(key), dict) and "$as in" in file["model"][key]:
            file["model"][key] = tokenizers[file["model"][key]["$as in"]]["model"][key]
texts = fixture["texts"][:100]
part = lambda kind, id, type_id: {kind: {"id": id, "type_id": type_id}}
a, b, start, end = part("Sequence", "A", 0), part("Sequence", "B", 1), part("SpecialToken", "<s>", 0), part("SpecialToken", "</s>", 1)
for name in ("llama", "llama legacy", "added to legacy llama", "xlm-r", "added to unigram"):
    ids = (0, 2) if "<pad>" in json.dumps(tokenizers[name]["model"]["vocab"][:3] if isinstance(tokenizers[name]["model"]["vocab"], list) else []) else (1, 2)
    tokenizers[name]["post_processor"] = {"type": "TemplateProcessing", "single": [start, a], "pair": [start, a, end, b, end], "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in zip(("<s>", "</s>"), ids)}}

gpt2, llama, bert, unigram = "gpt-2", "llama", "bert", "xlm-r"
digits = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]}}
limits = {"truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, "padding": {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<s>"}}
deberta = [["[PAD]", 0.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["[UNK]", 0.0], *[v for v in tokenizers[unigram]["model"]["vocab"] if v[0] not in ("<s>", "<pad>", "</s>", "<unk>")], ["[MASK]", 0.0]]
albert = {"type": "Unigram", "vocab": [["<pad>", 0.0], ["<unk>", 0.0], *[[t, 0.0] for t in ("[CLS]", "[SEP]", "[MASK]")], *[v for v in tokenizers[unigram]["model"]["vocab"] if v[0] not in ("<s>", "<pad>", "</s>", "<unk>")]], "unk_id": 1, "byte_fallback": False}
added = lambda content, special=True, **flags: {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": special, **flags}
# name: tokenizer, its changes, tokenizer_config.json, config.json, other files
FOLDERS = {
    "no class": [gpt2, {}, {}, None, {}],
    "plain class": [gpt2, digits, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "pad_token": "<new>", "add_bos_token": True, "add_eos_token": True}, {"model_type": "llama"}, {}],
    "truncated": [gpt2, limits, {"tokenizer_class": "PreTrainedTokenizerFast"}, None, {}],
    "gpt-2": [gpt2, digits, {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>", "eos_token": "</s>"}, {"model_type": "gpt2"}, {}],
    "gpt-2, space": [gpt2, {}, {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True}, None, {}],
    "roberta": [gpt2, {}, {"tokenizer_class": "RobertaTokenizerFast"}, {"model_type": "roberta"}, {}],
    "roberta, model type alone": [gpt2, {}, {}, {"model_type": "roberta"}, {}],
    "neox": [gpt2, {}, {"tokenizer_class": "GPTNeoXTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}, {"model_type": "gpt_neox"}, {}],
    "qwen2": [gpt2, {}, {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "</s>", "pad_token": "<|endoftext|>", "additional_special_tokens": ["<s>", "<|im_end|>"]}, {"model_type": "qwen2"}, {}],
    "qwen3.5": [gpt2, {}, {"tokenizer_class": "Qwen2Tokenizer"}, {"model_type": "qwen3_5"}, {}],
    **{f"llama {name}": [llama, {}, {"tokenizer_class": "LlamaTokenizerFast", **config}, {"model_type": "llama"}, {}] for name, config in {"": {}, "legacy": {"legacy": True}, "not legacy": {"legacy": False}, "without space": {"add_prefix_space": False}, "with both": {"add_bos_token": True, "add_eos_token": True}}.items()},
    "llama, legacy file": ["llama legacy", {}, {"tokenizer_class": "LlamaTokenizer", "legacy": False}, {"model_type": "llama"}, {}],
    "phi-3": ["added to legacy llama", {}, {"tokenizer_class": "LlamaTokenizer", "legacy": False}, {"model_type": "phi3"}, {}],
    "gemma": [llama, {}, {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}, {"model_type": "gemma2"}, {}],
    "bert": [bert, {}, {"tokenizer_class": "BertTokenizerFast"}, {"model_type": "bert"}, {}],
    "bert, cased": ["bert cased", {}, {"tokenizer_class": "BertTokenizer", "do_lower_case": False}, {"model_type": "bert"}, {}],
    "bert, accents kept": [bert, {}, {"tokenizer_class": "BertTokenizer", "strip_accents": False, "tokenize_chinese_chars": False, "clean_up_tokenization_spaces": True}, {"model_type": "bert"}, {}],
    "distilbert": [bert, {}, {"tokenizer_class": "DistilBertTokenizer"}, {"model_type": "distilbert"}, {}],
    "xlm-r": [unigram, {}, {"tokenizer_class": "XLMRobertaTokenizerFast"}, {"model_type": "xlm-roberta"}, {}],
    "xlm-r, added": ["added to unigram", {}, {"tokenizer_class": "XLMRobertaTokenizer", "mask_token": {"__type": "AddedToken", **added("<mask>", lstrip=True)}}, None, {}],
    "deberta": [unigram, {"model": {"type": "Unigram", "vocab": deberta, "unk_id": 3, "byte_fallback": False}}, {"tokenizer_class": "DebertaV2TokenizerFast", "do_lower_case": True, "split_by_punct": True}, {"model_type": "deberta-v2"}, {}],
    "deberta, first": [unigram, {"model": {"type": "Unigram", "vocab": deberta, "unk_id": 3, "byte_fallback": False}}, {"tokenizer_class": "DebertaV2Tokenizer", "add_prefix_space": False}, None, {}],
    "code llama": ["llama legacy", {}, {"tokenizer_class": "CodeLlamaTokenizer"}, {"model_type": "llama"}, {}],
    "code llama, without space": [llama, {}, {"tokenizer_class": "CodeLlamaTokenizerFast", "add_prefix_space": False}, None, {}],
    "cohere": [gpt2, {}, {"tokenizer_class": "CohereTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}, {"model_type": "cohere"}, {}],
    "mpnet": [bert, {}, {"tokenizer_class": "MPNetTokenizer", "bos_token": "[CLS]", "eos_token": "[SEP]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}, {"model_type": "mpnet"}, {}],
    "mpnet, accents kept": [bert, {}, {"tokenizer_class": "MPNetTokenizerFast", "strip_accents": False, "do_lower_case": False, "tokenize_chinese_chars": False}, None, {}],
    "electra": [bert, {}, {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False}, {"model_type": "electra"}, {}],
    "bart": [gpt2, {}, {"tokenizer_class": "BartTokenizer", "add_prefix_space": True}, {"model_type": "bart"}, {}],
    "camembert": [unigram, {}, {"tokenizer_class": "CamembertTokenizer", "additional_special_tokens": ["<s>"]}, {"model_type": "camembert"}, {}],
    "albert": [unigram, {"model": albert}, {"tokenizer_class": "AlbertTokenizer"}, {"model_type": "albert"}, {}],
    "albert, cased": [unigram, {"model": albert}, {"tokenizer_class": "AlbertTokenizerFast", "do_lower_case": False, "keep_accents": True, "add_prefix_space": False}, None, {}],
    "names in the map": [gpt2, {}, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}, None, {"special_tokens_map.json": {"eos_token": "<s>", "pad_token": {"content": "hello", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}}}],
    "tokens of the configuration": [gpt2, {}, {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {"601": added("dog", False), "600": added("my", lstrip=True), "1": added("</s>", rstrip=True)}, "extra_special_tokens": ["cute", "<extra>"], "image_token": "Hello"}, None, {}],
    "extra tokens by name": [gpt2, {}, {"tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": {"image_token": "Hello", "boi": "dog"}}, None, {}],
    "specials split": ["added", {}, {"tokenizer_class": "PreTrainedTokenizerFast", "split_special_tokens": True}, None, {}],
    "added_tokens.json": [gpt2, {}, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "dog"}, None, {"added_tokens.json": {"dog": 600, "cute": 601}}],
    "cleaned": [unigram, {}, {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": True}, None, {}],
}
# The same without tokenizer.json: the vocabulary and the merges, of which transformers makes the rest.
VOCABULARIES = {
    "vocabulary, gpt-2": [gpt2, {}, {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>", "eos_token": "</s>"}, {"model_type": "gpt2"}, {}],
    "vocabulary, model type alone": [gpt2, {}, {}, {"model_type": "gpt2"}, {}],
    "vocabulary, space": [gpt2, {}, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "pad_token": "<pad>"}, None, {"added_tokens.json": {"dog": 600}}],
    "vocabulary, roberta": [gpt2, {}, {"tokenizer_class": "RobertaTokenizer"}, {"model_type": "roberta"}, {}],
    "vocabulary, qwen2": [gpt2, {}, {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "</s>"}, {"model_type": "qwen2"}, {}],
}


def digest(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()[:8]


out, answers = {}, {}
for name, (base, changes, config, model, others) in {**FOLDERS, **VOCABULARIES}.items():
    with tempfile.TemporaryDirectory() as folder:
        whole = {**tokenizers[base], **changes}
        files = {"tokenizer.json": whole, "tokenizer_config.json": config, **others, **({"config.json": model} if model else {})}
        if name in VOCABULARIES:
            del files["tokenizer.json"]
            json.dump(whole["model"]["vocab"], open(os.path.join(folder, "vocab.json"), "w"))
            merges = [m if isinstance(m, str) else " ".join(m) for m in whole["model"]["merges"]]
            open(os.path.join(folder, "merges.txt"), "w").write("\n".join(["#version: 0.2", *merges, ""]))
        for file, content in files.items():
            json.dump(content, open(os.path.join(folder, file), "w"))
        t = AutoTokenizer.from_pretrained(folder)
        # A call without truncation and padding takes both out of the tokenizer.
        rows = []
        for i, text in enumerate(texts):
            ids = t(text, add_special_tokens=False)["input_ids"]
            # Without a second text there is no pair, an empty one counts as none.
            other = text or "x"
            pair = t(texts[i - 1], other)["input_ids"]
            cut = t(texts[i - 1], other, truncation="longest_first", max_length=15)["input_ids"]
            rows.append([ids, t(text)["input_ids"], pair, cut, t.decode(ids), t.decode(ids[::-1], skip_special_tokens=True)])
        answers[name] = rows
        special = [t.bos_token_id, t.eos_token_id, t.pad_token_id, t.unk_token_id]
        out[name] = {"base": base, "changes": {"post_processor": tokenizers[base]["post_processor"], **changes}, "files": {k: v for k, v in files.items() if k != "tokenizer.json"}, "special": special, "answers": " ".join(digest(r) for r in rows)}
        if name in VOCABULARIES:
            out[name] = {"vocabulary": True, **out[name], "changes": {}}
json.dump({"made_with": transformers.__version__, "folders": out}, open(sys.argv[2], "w"), separators=(",", ":"))
if len(sys.argv) > 3:
    json.dump(answers, open(sys.argv[3], "w"))
