"""Two small tokenizers, and how Python's library encodes texts and pairs with them: python write-tokenizers.py ../fixtures/data/tokenizers.json"""
import json
import sys

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

words = "the cat sat on a mat dog ran far away is it true that they".split()
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
letters = "abcdefghijklmnopqrstuvwxyz"
vocab = {t: i for i, t in enumerate(dict.fromkeys([*special, *words, *letters, *["##" + c for c in letters]]))}
bert = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
bert.normalizer = normalizers.BertNormalizer(lowercase=True)
bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
bert.post_processor = processors.TemplateProcessing(
    single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])]
)
bert.add_special_tokens(special)

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
bpe = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", *alphabet, "th", "Ġth", "Ġthe", "at"])}
roberta = Tokenizer(models.BPE(bpe, [("t", "h"), ("Ġ", "th"), ("Ġth", "e"), ("a", "t")], unk_token="<unk>"))
roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
roberta.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])

texts = [("the cat sat", None), ("The cat sat on a mat", "is it true?"), ("it", "the dog ran far away that they"), ("the cat sat on a mat", "the dog ran far away"), ("", "a mat")]
out = {"made_with": tokenizers.__version__, "tokenizers": {}}
for name, t in [("bert", bert), ("roberta", roberta)]:
    rows = []
    # An odd number of places between two texts longer than the limit goes by where words end, which ours does not know.
    for length in [None, 6, 9, 10, 12] if name == "bert" else [None, 6, 10, 12]:
        t.no_truncation() if length is None else t.enable_truncation(length)
        for first, second in texts:
            e = t.encode(first) if second is None else t.encode(first, second)
            rows.append({"texts": [first] if second is None else [first, second], "maxLength": length, "ids": e.ids, "types": e.type_ids})
    t.no_truncation()
    out["tokenizers"][name] = {"json": json.loads(t.to_str()), "rows": rows}
e = bert.encode(["dogs", "ran", "away"], is_pretokenized=True)
out["tokenizers"]["bert"]["words"] = {"words": ["dogs", "ran", "away"], "ids": e.ids, "owners": [-1 if w is None else w for w in e.word_ids]}
roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
e = roberta.encode(["the", "cat", "that"], is_pretokenized=True)
out["tokenizers"]["roberta"]["words"] = {"words": ["the", "cat", "that"], "ids": e.ids, "owners": [-1 if w is None else w for w in e.word_ids]}
json.dump(out, open(sys.argv[1], "w"))
