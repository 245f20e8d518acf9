"""What transformers' GPT2Tokenizer makes of texts with OpenAI's own files: python write-gpt2-tokens.py FOLDER ../fixtures/tokenizer/gpt2.json

FOLDER holds encoder.json and vocab.bpe of GPT-2 (124M; MIT), which are not in the repository; transformers (5.18.0) reads them by
names of its own.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import transformers
from transformers import GPT2Tokenizer

TEXTS = [
    "",
    " ",
    "name : Blue Spice | Type : coffee shop | area : city centre",
    "The Vaults pub near Café Adriatic has a 5 star rating.  Prices start at £30.\n",
    "It's o'clock; they'll've DON'T we're\tI'd\r\n\r\n  end   ",
    "naïve façade — “quotes” … 漢字とかな 한국어 Привет мир 🙂👩‍👩‍👧",
    "x = [i**2 for i in range(10_000)]  # 3.14159, 1e-5",
    "<|endoftext|>between<|endoftext|> and after",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "a" * 40 + "!" * 17 + "\u00a0\u2003\u0000\u200b",
]

with tempfile.TemporaryDirectory() as folder:
    for name, other in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
        shutil.copy(Path(sys.argv[1]) / name, Path(folder) / other)
    tokenizer = GPT2Tokenizer.from_pretrained(folder)
rows = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in TEXTS]
special = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "unk": tokenizer.unk_token_id}
out = {"made_with": transformers.__version__, "special": special, "rows": rows}
Path(sys.argv[2]).write_text(json.dumps(out, separators=(",", ":")) + "\n")
