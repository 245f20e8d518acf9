"""What Python's tokenizers make of a hard corpus, for every kind of component: python write-tokenizer-cases.py ../fixtures/tokenizer/python.json

Of each text only a digest of the answer is kept; with a second argument the answers themselves are written there, to look at.
"""
import base64
import copy
import hashlib
import io
import json
import random
import sys

import sentencepiece
import tokenizers
from tokenizers import Tokenizer

def corpus():
    t=[
    "", " ", "  ", "Hello, my dog is cute.", "  leading and trailing  ", "Größe naïve café", "a\u0301 e\u0301\u0302 cafe\u0301 \u0301alone",
    "क\u094d\u200dष क्षत्रिय हिन्दी में लिखा हुआ पाठ।", "ශ්\u200dරී ලංකා සිංහල", "ภาษาไทยไม่มีช่องว่าง น้ำ", "العَرَبِيَّة مرحبا، كيف؟ ٠١٢٣", "שָׁלוֹם עִבְרִית", "中文分词很难。你好，世界！", "日本語テキスト ｶﾞﾊﾟ ガ ー々〆", "한국어 \u1112\u1161\u11ab\u1100\u1173\u11af 각", "\u1100\u1161 \u1160\u1161 \uffa1\uffc2",
    "👩\u200d👩\u200d👧\u200d👦 family 🏳️\u200d🌈 flag 🇩🇪🇫🇷🇩 👍🏽 ❤️ ☺️ ☺ 1️⃣ #️⃣", "😀😁😂 emoji😀mixed", "zero\u200bwidth\u200cnon\u200djoin\u2060word\ufeffbom",
    "tab\tnewline\nCRLF\r\nNEL\u0085LS\u2028PS\u2029NBSP\u00a0ideo\u3000ogham\u1680em\u2003thin\u2009end", "\n\n\n  \n\t\t \r\n \r\r x", "nul\x00in\x01ctl\x1b[0m\x7f\x80\x9f\x8f\x08\x0b\x0c\x0e", "private \ue000\uf8ff\U000f0000 unassigned \u0378\u0380\U000e0080\U0010ffff \ufffe \uffff \ufffd",
    "İstanbul ıIiİ ŞĞ", "ΑΣ ΟΔΥΣΣΕΥΣ σς Σ", "ß ẞ SS ſ K Å ﬁ ﬂ ﬀ ﬃ ﬆ ŉ ǰ", "Ｆｕｌｌｗｉｄｔｈ　１２３，．！？～ ½ ¼ ² ³ ¹ ① ⑳ Ⅷ ⅷ ㎏ ㍿ ™ © ® № ℃ ℡", "0123 ०१२३ ٠١٢ ๐๑๒ 〇一二 𝟎𝟏 𞥐𞥑 ߀߁ ൦ ፩፪ ᛮ Ⅻ ↂ ⁴₅", "punct: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ¡¿«»‹›“”‘’‚„…–—―‐‑·•※§¶†‡°±×÷¬€£¥¢₹₿∑∏√∞≠≤≥←→⇒", "、。〈〉《》「」『』【】〔〕〖〗・！？．，；：（）", "snake_case camelCase HTTPServer2 x1y2z3 3.14e-10 1,000,000 1_000 50% $5 #tag @user http://a.b/c?d=e&f=g",
    "it's I'm we're they've he'd she'll don't IT'S I'M 'S 'ſ 'LL 'rE x'y' 'x' ''", "def f(x):\n    return x**2  # comment\n\n\nclass A:\n\tpass\n", "a"*300, "ab"*200+" "+"-"*100+" "+"="*64, " "*70+"x"+" "*33, "\n"*20, "...!!!???...", "漢"*120, "\u0301"*40, "😀"*50, "\u200d"*5,
    "a\u0323\u0307 a\u0307\u0323 q\u0307\u0323 \u1e69 s\u0323\u0307 \u0344 \u0958 \u0f73 \u0f75\u0f71", "\u1e9b\u0323 \u212b \u2126 \u03d3 \uf900 \U0002f800 \u2f00 \u3392 \u33ff \u32ff \ufdfa \ufdfb", "ａ\u0301 Ａ\u0308 ①\u0301 ™\u0301 ㍿\u0301 ﬁ\u0301 ½\u0301 \u00a0\u0301 \u3000\u0301 \u00ad\u0301x \u0600ａ\u0301 \u06ddｂ\u0302 👩\u200d™\u0301",
    "\u0e33 \u0eb3 \u0e40\u0e33 \u0ac7\u0abe \u09c7\u09be \u0dd9\u0dcf\u0dca \U00011099\U000110ba \u1b05\u1b35 \U00011938 \U00011935\U00011930", "\u0897\u0898 \U00010780\U00010781 \ua7f2\ua7f3 \ua7cb \u1c89\u1c8a \U0001fbf0 \u0c3c \u1acf \U0001e4ec \U00016d40 \U000105c0 \u088f \ua7d2 \U00011de0", "<s>hello</s> <mask> [CLS] x [SEP]<pad><unk>▁x ▁ ▁▁ ##y ##", "a<s> b\n  héllo 😀 </s>\t x", "<|endoftext|><|im_start|>user\nHi<|im_end|>\n", "ThE qUiCk BrOwN FOX", "\u2581under\u2581score _ ▂", "Ġ Ċ ġ ĉ Ā", "<0x41> <0x0A> <0xZZ>", "e.g., U.S.A. Mr. O'Neil-Smith's co-op", "100.5.3 v1.2.3-rc4 12:34:56 2024-01-01T00:00Z", "\U0001d400\U0001d44e𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒻 𝓍", "\u0f0b བོད་སྐད། མ་ ខ្មែរ ລາວ မြန်မာ ქართული ᎠᎡᎢ ꭰꭱ አማርኛ Ελληνικά Русский ёЁ Ё", "\u02bcn \u0149 \u01c5 \u01c4 \u01c6 \u1fd3 \u0390 \u1f88 \u1fb3 \u1e96", "x\u20dd \u20e3 \u0488 \u1abe a\u034fb \u180e \u180b \ufe0f \ufe0e\U000e0100 \U000e0001\U000e0041",
    ]
    r=random.Random(7)
    pools=["abcdefgh XYZ  .,'!?-0123\n\t", "éèüßñçøåæœ ÀÉİıſK", "\u0300\u0301\u0308\u0323\u0327\u20dd\u200d\ufe0f\u094d\u0e31", "漢字かなカナ한글ｶﾞ １２Ａａ", "अआकखगघष\u094d\u093c\u093e\u200c\u200d ", "ابتثج\u064b\u0651\u0640 ٣", "😀👩🏽\u200d❤️🇩🇪☺", "\x00\x01\x1f\x7f\x85\xa0\xad\u2028\u3000\ufeff\u200b\u2581", "\ue000\u0378\U0001e4ec\U00010780\ufffd\uffff"]
    for i in range(120):
        ps=r.sample(pools,r.randint(1,4)); ps.append(pools[0])
        t.append(''.join(r.choice(r.choice(ps)) for _ in range(r.randint(3,50))))
    for i in range(25):
        t.append(''.join(chr(r.choice([r.randint(0,0x2ff),r.randint(0x300,0x1fff),r.randint(0x2000,0x33ff),r.randint(0xa000,0xd7ff),r.randint(0xf900,0xffff),r.randint(0x10000,0x1ffff)])) for _ in range(24)))
    return t


TEXTS = corpus()


def seq(kind, key, *parts):
    return {"type": "Sequence", key: list(parts)}


def regex(source):
    return {"Regex": source}


def string(content):
    return {"String": content}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def nmt_nfkc():
    """SentencePiece's own character map, out of a model trained on a few words."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["the cat sat on a mat"] * 50), model_writer=out, vocab_size=14, model_type="unigram", normalization_rule_name="nmt_nfkc", minloglevel=2)
    from sentencepiece import sentencepiece_model_pb2 as pb

    proto = pb.ModelProto()
    proto.ParseFromString(out.getvalue())
    return base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


CHARSMAP = nmt_nfkc()
PRECOMPILED = {"type": "Precompiled", "precompiled_charsmap": CHARSMAP}
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]

NORMALIZERS = {
    **{f"bert {a}{b}{c}{d}": {"type": "BertNormalizer", "clean_text": a, "handle_chinese_chars": b, "strip_accents": c, "lowercase": d} for a in (True, False) for b in (True, False) for c in (True, False, None) for d in (True, False)},
    **{f"strip {a}{b}": {"type": "Strip", "strip_left": a, "strip_right": b} for a in (True, False) for b in (True, False)},
    **{k: {"type": k} for k in ["StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "ByteLevel"]},
    "precompiled": PRECOMPILED,
    "replace string": {"type": "Replace", "pattern": string("a"), "content": "▁"},
    "replace string dots": {"type": "Replace", "pattern": string(".."), "content": "$&"},
    "replace regex": {"type": "Replace", "pattern": regex(r"\s{2,}|[\n\r\t]"), "content": " "},
    "replace spaces": {"type": "Replace", "pattern": regex(" {2,}"), "content": "▁"},
    "replace empty matches": {"type": "Replace", "pattern": regex("x*"), "content": "-"},
    "prepend": {"type": "Prepend", "prepend": "▁"},
    "llama": seq("n", "normalizers", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": string(" "), "content": "▁"}),
    "xlm-r": seq("n", "normalizers", PRECOMPILED, {"type": "Replace", "pattern": regex(" {2,}"), "content": " "}),
    "albert": seq("n", "normalizers", {"type": "Replace", "pattern": string("``"), "content": '"'}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, PRECOMPILED),
    "clip": seq("n", "normalizers", {"type": "NFC"}, {"type": "Replace", "pattern": regex(r"\s+"), "content": " "}, {"type": "Lowercase"}),
}

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
KIMI = "|".join([r"[\p{Han}]+", r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"]
DEEPSEEK3 = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
PATTERNS = {
    "gpt-2": GPT2, "llama 3": LLAMA3, "qwen2": QWEN2, "qwen3.5": QWEN35, "cl100k": CL100K, "o200k": O200K, "kimi": KIMI, "bloom": BLOOM,
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "falcon": r"[0-9][0-9][0-9]", "digits": r"\d{1,3}(?=(?:\d{3})*\b)", "right groups": r"(?:(?<=\d)(?=(?:\d{3})+(?!\d)))", "olmo": r"(?=(\d{3})+(?!\d))",
    "deepseek v3": DEEPSEEK3[2], "deepseek numbers": DEEPSEEK3[0], "deepseek han": DEEPSEEK3[1], "deepseek coder han": DEEPSEEK_CODER[3],
    "word": r"\w+", "no word": r"\W+", "word class": r"[\w]+", "border": r"\b", "no border": r"\B.", "lines": r"^.*$", "line start": r"^", "line end": r"$", "all lines": r"(?m:.+)", "start": r"\A\s*", "end": r"\s*\Z", "very end": r"\s*\z",
    "hex": r"\h+", "not hex": r"\H+", "posix": r"[[:alpha:]]+|[[:digit:]]+", "posix not": r"[^[:space:]]+", "posix inside": r"[[:^alnum:]&&[^\s]]+", "posix punct": r"[[:punct:]]", "posix print": r"[[:print:]]+", "posix graph": r"[[:graph:]]+", "posix others": r"[[:upper:]][[:lower:]]*|[[:cntrl:]]|[[:blank:]]+|[[:xdigit:]]{2}|[[:word:]]",
    "atomic": r"(?>a+)b|(?>\s+)\S", "possessive": r"\p{L}++\d?|\s*+", "lazy": r"\w+?\s|\S{2,4}?", "counts": r"a{,3}|b{2}|\w{3,}", "counts twice": r"\p{L}{2}+", "count optional": r"x\w{2}?", "nested": r"(?:[a-c]+|(?:x|y)*z?)+",
    "lookbehind": r"(?<=\s)\p{L}", "not behind": r"(?<!\p{L})\p{L}+", "variable behind": r"(?<=a|bc|\n)\S+", "lookahead": r"\p{L}+(?=\s|$)",
    "ignore case": r"(?i)hello|THE|[x-z]+|é|k|ſ", "ignore case in the middle": r"a(?i)b|C", "case group": r"(?i:it's)|(?i-:x)", "case off": r"(?i)a(?-i)b", "case negated": r"(?i)[^a-rt-z]{2}", "free": "(?x) \\p{L}+  # letters\n | \\d", "comment": r"a(?#b)c",
    "reference": r"(.)\1+", "named": r"(?<q>['\"]).*?\k<q>", "unicode escapes": r"\u4e00|\x{1F600}|\x41|\t|\n|\101", "brackets": r"[]a]+|[\]\[]|[^]]{2}|[a\-z]|[-a]|[a-]|[+--]", "union": r"[a-c[x-z]]+|[\p{L}&&\p{Latin}&&[^a-z]]", "negated property": r"\P{L}+|\p{^N}", "scripts": r"\p{Han}+|\p{Hiragana}+|\p{Katakana}+|\p{Thai}+|\p{Cyrillic}+|\p{Greek}|\p{Common}", "long names": r"\p{Letter}+|\p{Uppercase_Letter}|\p{decimal number}|\p{White_Space}+|\p{Emoji}|\p{Extended_Pictographic}",
    "other": r"\p{C}+|\p{Cn}|\p{Co}|\p{Zs}+|\p{Sk}|\p{Assigned}", "dot": r".", "any": r"\O", "not newline": r"\N+", "empty": r"", "nothing": r"(?!)", "alternatives": r"|a|", "quote": r"\.|\-|\ |\/|\@|\é",
}

PRE_TOKENIZERS = {
    "bert": {"type": "BertPreTokenizer"},
    **{f"byte level {a}{b}": {"type": "ByteLevel", "add_prefix_space": a, "trim_offsets": True, "use_regex": b} for a in (True, False) for b in (True, False)},
    "delimiter": {"type": "CharDelimiterSplit", "delimiter": "e"},
    "delimiter emoji": {"type": "CharDelimiterSplit", "delimiter": "😀"},
    **{f"metaspace {s} {p}": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": s, "split": p} for s in ("always", "first", "never") for p in (True, False)},
    "whitespace": {"type": "Whitespace"}, "whitespace split": {"type": "WhitespaceSplit"}, "scripts": {"type": "UnicodeScripts"},
    **{f"punctuation {b}": {"type": "Punctuation", "behavior": b} for b in BEHAVIORS},
    **{f"digits {b}": {"type": "Digits", "individual_digits": b} for b in (True, False)},
    **{f"fixed {n}": {"type": "FixedLength", "length": n} for n in (1, 3, 5)},
    **{f"split {b} {i}": split(string("e"), b, i) for b in BEHAVIORS for i in (True, False)},
    **{f"split regex {b} {i}": split(regex(r"\s+|\p{P}"), b, i) for b in BEHAVIORS for i in (True, False)},
    **{f"pattern {k}": split(regex(v), "Isolated") for k, v in PATTERNS.items()},
    **{f"pattern removed {k}": split(regex(v), "Removed", True) for k, v in PATTERNS.items() if k in ("gpt-2", "word", "border", "right groups", "empty", "clip")},
    "llama 3": seq("p", "pretokenizers", split(regex(LLAMA3)), {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}),
    "deepseek": seq("p", "pretokenizers", *[split(regex(p)) for p in DEEPSEEK3], {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}),
    "deepseek coder": seq("p", "pretokenizers", *[split(regex(p)) for p in DEEPSEEK_CODER], {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}),
    "falcon": seq("p", "pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, {"type": "Digits", "individual_digits": False}, split(regex("[0-9][0-9][0-9]"))),
    "xlm-r": seq("p", "pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}),
    "first after split": seq("p", "pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}),
    "punctuation then first": seq("p", "pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}),
    "starcoder": seq("p", "pretokenizers", {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}),
}

DECODERS = {
    "none": None, "byte level": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "word piece": {"type": "WordPiece", "prefix": "##", "cleanup": True}, "word piece as is": {"type": "WordPiece", "prefix": "##", "cleanup": False},
    **{f"metaspace {s}": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": s, "split": True} for s in ("always", "first", "never")},
    "bpe": {"type": "BPEDecoder", "suffix": "</w>"}, "ctc": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, "ctc as is": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": False},
    "bytes": {"type": "ByteFallback"}, "fuse": {"type": "Fuse"},
    "replace": {"type": "Replace", "pattern": string("▁"), "content": " "}, "replace regex": {"type": "Replace", "pattern": regex("[▁ ]+"), "content": "_"}, "strip": {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    "llama": seq("d", "decoders", {"type": "Replace", "pattern": string("▁"), "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
}

TOKEN_LISTS = [[], ["a"], ["▁Hello", "▁world", "▁", "▁!"], ["hel", "##lo", ".", "do", "not", "##", "'", "s", "n't", "I", "'m"], ["hel", "lo</w>", "wor", "ld</w>"], ["<pad>", "h", "h", "<pad>", "h", "|", "e", "e", "|", "|", "<pad>"],
    ["<0xE4>", "<0xBD>", "<0xA0>", "▁x", "<0xFF>", "<0xE4>", "y", "<0x41>", "<0xzz>", "<0x4>", "<0xe4>", "<0xbd>"], ["Ġhel", "lo", "ĠðŁ", "ĺ", "Ģ", "é", "中", "Ã", "©", "Ċ"], [" ", "  x", "▁▁y▁", "z  "], ["\ufeff", "<0xEF>", "<0xBB>", "<0xBF>", "ï", "»", "¿"], ["▁"], ["", "a", ""], ["👩", "\u200d", "👧", "क", "्"], ["x", ".", "?", "!", ",", "'re", "'ve", "do", "not"]]

ALPHABET = "".join(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))
LETTERS = "".join(sorted({c for t in TEXTS[:60] for c in t if c.isprintable()}))[:900]


def vocabulary(*tokens):
    return {t: i for i, t in enumerate(dict.fromkeys(tokens))}


def trained(pre_tokenizer, normalizer, trainer, model):
    t = Tokenizer(model)
    base = json.loads(t.to_str())
    base.update(pre_tokenizer=pre_tokenizer, normalizer=normalizer)
    if base["model"]["type"] == "Unigram":
        base["model"].update(vocab=[["<unk>", 0.0]], unk_id=0)
    t = Tokenizer.from_str(json.dumps(base))
    t.train_from_iterator([x for x in TEXTS[1:60] for _ in range(3)], trainer)
    return json.loads(t.to_str())


def token(id, content, special=False, normalized=None, single_word=False, lstrip=False, rstrip=False):
    return {"id": id, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip, "normalized": (not special) if normalized is None else normalized, "special": special}


def models():
    from tokenizers import models as m, trainers

    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    bpe = trained(byte_level, None, trainers.BpeTrainer(vocab_size=600, show_progress=False, initial_alphabet=list(ALPHABET), special_tokens=["<s>", "</s>", "<|endoftext|>"]), m.BPE())
    bpe["decoder"] = byte_level
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    llama = trained({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, None, trainers.BpeTrainer(vocab_size=500, limit_alphabet=120, show_progress=False, special_tokens=["<unk>", "<s>", "</s>", *[f"<0x{i:02X}>" for i in range(256)]]), m.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    llama["pre_tokenizer"] = meta
    llama["decoder"] = DECODERS["llama"]
    out = {"gpt-2": bpe, "llama": llama}

    def variant(name, base, model={}, **fields):
        new = copy.deepcopy(base)
        new["model"].update(model)
        new.update(fields)
        out[name] = new

    variant("llama legacy", llama, pre_tokenizer=None, normalizer=NORMALIZERS["llama"])
    variant("ignore merges", bpe, {"ignore_merges": True})
    variant("first after replace", llama, normalizer={"type": "Replace", "pattern": regex(" {2,}"), "content": " "})
    variant("first after strip", llama, normalizer={"type": "Strip", "strip_left": True, "strip_right": False})
    variant("first after strip and split", llama, normalizer=PRECOMPILED, pre_tokenizer=seq("p", "pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, meta))
    few = [t for t in llama["model"]["vocab"] if not t.startswith("<0x")]
    plain = {t: i for i, t in enumerate(few)}
    merges = [p for p in llama["model"]["merges"] if all(x in plain for x in [*p, "".join(p)])]
    for fuse in (True, False):
        variant(f"unknown, fused {fuse}", llama, {"vocab": plain, "merges": merges, "byte_fallback": False, "fuse_unk": fuse})
        some = {t: i for i, t in enumerate([*few, *[f"<0x{i:02X}>" for i in range(0, 256, 1) if i != 0x9F]])}
        variant(f"some bytes, fused {fuse}", llama, {"vocab": some, "merges": merges, "byte_fallback": True, "fuse_unk": fuse})
    variant("no unknown token", llama, {"vocab": plain, "merges": merges, "byte_fallback": False, "unk_token": None})
    chars = [*"abcdefghijklmnopqrstuvwxyz"]
    pre = vocabulary("<unk>", *chars, *["##" + c for c in chars], "ab", "##he", "th", "the", "##er", "##ing", "##in")
    variant("prefix", llama, {"vocab": pre, "merges": [["t", "##h"], ["th", "##e"], ["##h", "##e"], ["##e", "##r"], ["##i", "##n"], ["##in", "##g"], ["a", "##b"]], "continuing_subword_prefix": "##", "byte_fallback": False}, pre_tokenizer={"type": "Whitespace"})
    suf = vocabulary("<unk>", *chars, *[c + "</w>" for c in chars], "th", "the</w>", "he</w>", "in", "ing</w>", "g</w>")
    variant("suffix", llama, {"vocab": suf, "merges": [["t", "h"], ["th", "e</w>"], ["h", "e</w>"], ["i", "n"], ["in", "g</w>"]], "end_of_word_suffix": "</w>", "byte_fallback": False}, pre_tokenizer={"type": "Whitespace"}, normalizer=NORMALIZERS["clip"], decoder=DECODERS["bpe"])
    variant("two ways to a token", llama, {"vocab": vocabulary("<unk>", "▁", "a", "b", "c", "ab", "bc", "abc", "abca"), "merges": [["b", "c"], ["a", "bc"], ["a", "b"], ["ab", "c"], ["abc", "a"]], "byte_fallback": False})
    wp = trained({"type": "BertPreTokenizer"}, NORMALIZERS["bert TrueTrueNoneTrue"], trainers.WordPieceTrainer(vocab_size=500, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), m.WordPiece(unk_token="[UNK]"))
    wp["decoder"] = DECODERS["word piece"]
    out["bert"] = wp
    variant("bert cased", wp, normalizer=NORMALIZERS["bert TrueTrueNoneFalse"], decoder=DECODERS["word piece as is"])
    variant("short words", wp, {"max_input_chars_per_word": 4})
    variant("long words", wp, {"max_input_chars_per_word": 100000}, pre_tokenizer=None)
    words = vocabulary("[UNK]", *sorted({w for t in TEXTS[:40] for w in t.split()}))
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None}
    out["word level"] = {**base, "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}}
    uni = trained(PRE_TOKENIZERS["metaspace always True"], NORMALIZERS["xlm-r"], trainers.UnigramTrainer(vocab_size=600, show_progress=False, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>"], shrinking_factor=0.75), m.Unigram())
    uni["decoder"] = DECODERS["metaspace always"]
    out["xlm-r"] = uni
    variant("unigram whole", uni, pre_tokenizer=None, normalizer=None)
    bytes_too = [*uni["model"]["vocab"], *[[f"<0x{i:02X}>", -20.0] for i in range(256)]]
    variant("unigram bytes", uni, {"vocab": bytes_too, "byte_fallback": True}, normalizer=None, decoder=DECODERS["llama"])
    variant("unigram twice", uni, {"vocab": [*uni["model"]["vocab"], ["▁the", -1.0], ["a", -2.0]]}, normalizer=None)
    cls, sep = ["[CLS]", 2], ["[SEP]", 3]
    out["bert"]["post_processor"] = {"type": "BertProcessing", "sep": sep, "cls": cls}
    out["gpt-2"]["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}
    out["ignore merges"]["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2, 2], "tokens": ["</s>", "</s>"]}}
    a, b, s, e = [lambda t, i=i: {"Sequence": {"id": i, "type_id": t}} for i in "AB"] + [lambda t, i=i: {"SpecialToken": {"id": i, "type_id": t}} for i in ("<s>", "</s>")]
    template = {"type": "TemplateProcessing", "single": [s(0), s(0), a(0), e(1)], "pair": [s(0), b(2), e(0), e(1), a(1), e(3), s(3)], "special_tokens": special}
    out["llama"]["post_processor"] = template
    out["xlm-r"]["post_processor"] = seq("p", "processors", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, template)
    n = len(bpe["model"]["vocab"])
    variant("added", bpe, added_tokens=[token(0, "<s>", True), token(1, "</s>", True, lstrip=True), token(n, "<mask>", True, lstrip=True, rstrip=True), token(n + 5, "hello", single_word=True), token(n + 9, "he"), token(n + 10, "hello world"), token(n + 11, "é"), token(n + 12, " x", rstrip=True), token(n + 13, "user", True, single_word=True), token(n + 14, "😀", True), token(n + 15, "x", single_word=True, lstrip=True, rstrip=True)])
    v = len(uni["model"]["vocab"])
    variant("added, normalised", wp, added_tokens=[token(2, "[CLS]", True), token(3, "[SEP]", True, normalized=True), token(4, "[MASK]", True, lstrip=True), token(900, "Größe"), token(901, "CAFÉ", special=True, normalized=True), token(902, "DOG", single_word=True), token(903, "ＡＢ"), token(904, "cat", normalized=False)])
    variant("added to unigram", uni, added_tokens=[token(0, "<s>", True), token(v, "▁the"), token(v + 1, "<mask>", True, lstrip=True), token(v + 2, "①"), token(v + 3, "lo", normalized=False), token(v + 4, "  ", normalized=False)])
    variant("added to llama", llama, added_tokens=[token(0, "<unk>", True), token(1, "<s>", True), token(2, "</s>", True), token(9999, "<|im_end|>", True, rstrip=True), token(9999, "user", normalized=False)])
    variant("added to legacy llama", out["llama legacy"], added_tokens=[token(1, "<s>", True), token(2, "</s>", True, normalized=True), token(9, " b"), token(9, "hé")])
    return out


def digest(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()[:8]


def answer(make):
    try:
        return make()
    except BaseException as error:
        return {"error": str(error)[:80]}


def main():
    shell = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    load = lambda **fields: Tokenizer.from_str(json.dumps({**shell, **fields}))
    answers = {"normalizers": {}, "pre_tokenizers": {}, "decoders": {}, "tokenizers": {}}
    for name, component in NORMALIZERS.items():
        n = load(normalizer=component).normalizer
        answers["normalizers"][name] = [n.normalize_str(t) for t in TEXTS]
    for name, component in PRE_TOKENIZERS.items():
        try:
            p = load(pre_tokenizer=component).pre_tokenizer
        except BaseException as error:
            print("Python refuses", name, error)
            continue
        answers["pre_tokenizers"][name] = [[piece for piece, _ in p.pre_tokenize_str(t)] for t in TEXTS]
    for name, component in DECODERS.items():
        vocab = vocabulary(*[t for l in TOKEN_LISTS for t in l])
        t = load(decoder=component, model={"type": "WordLevel", "vocab": vocab, "unk_token": "a"})
        answers["decoders"][name] = [answer(lambda: t.decode([vocab[x] for x in l], skip_special_tokens=False)) for l in TOKEN_LISTS]
    tokenizer_files = copy.deepcopy(models())
    for name, file in tokenizer_files.items():
        t = Tokenizer.from_str(json.dumps(file))
        rows = []
        for i, text in enumerate(TEXTS):
            other = TEXTS[i - 1]
            def one():
                e = t.encode(text, add_special_tokens=False)
                return e.ids
            ids = answer(one)
            if isinstance(ids, dict):
                rows.append(["error"])
                continue
            pair = answer(lambda: t.encode(other, text))
            rows.append([ids, t.encode(text).ids, "error" if isinstance(pair, dict) else [pair.ids, pair.type_ids], answer(lambda: t.decode(ids, skip_special_tokens=False)), answer(lambda: t.decode(ids[::-1], skip_special_tokens=True))])
        answers["tokenizers"][name] = rows
    seen = {}
    for name, file in tokenizer_files.items():
        for key in ("vocab", "merges"):
            value = json.dumps(file["model"].get(key))
            if len(value) > 2000 and value in seen:
                file["model"][key] = {"$as in": seen[value]}
            seen.setdefault(value, name)
    text = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace(CHARSMAP, "$CHARSMAP")
    out = {
        "made_with": tokenizers.__version__, "charsmap": CHARSMAP, "texts": TEXTS, "tokenLists": TOKEN_LISTS,
        "normalizers": json.loads(text(NORMALIZERS)), "preTokenizers": {k: v for k, v in PRE_TOKENIZERS.items() if k in answers["pre_tokenizers"]}, "decoders": DECODERS, "tokenizers": json.loads(text(tokenizer_files)),
        "answers": {kind: {name: " ".join(digest(v) for v in values) for name, values in named.items()} for kind, named in answers.items()},
    }
    with open(sys.argv[1], "w") as f:
        f.write(json.dumps(out, ensure_ascii=True, separators=(",", ":")))
    if len(sys.argv) > 2:
        json.dump(answers, open(sys.argv[2], "w"))


main()
