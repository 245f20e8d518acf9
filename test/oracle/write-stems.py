"""Writes stems.json: words and their stems by Snowball's English stemmer, libstemmer 2.2.0 (Debian's libstemmer0d).

nltk 3.10.3's SnowballStemmer('english') gives the same stems of these words; where it differs from libstemmer (395 of
226,374 words, all but a dozen of them made up: `sensationally`, `poetizer`, `theorizations`) libstemmer is right.
Snowball 3 changed the algorithm (`evening`, `organism`, `biologists`); METEOR 1.5 is of 2014.

Usage: write-stems.py OUT (words are those of WordNet 3.0, /usr/share/wordnet, and forms made of them)
"""

import ctypes
import json
import random
import re
import sys
from pathlib import Path

from nltk.stem.snowball import SnowballStemmer

SUFFIXES = [
    *["s", "es", "ed", "ing", "ly", "'s", "'", "'s'", "edly", "ingly", "eed", "eedly", "ization", "ational", "ator", "alism", "ality"],
    *["fulness", "ousness", "iveness", "ivity", "ability", "ology", "fully", "lessly", "ical", "icate", "ness", "ative", "ance"],
    *["able", "ement", "ment", "ent", "ism", "ion", "y", "ies", "ying"],
]
SPECIAL = (
    "skis skies dying lying tying idly gently ugly early only singly sky news howe atlas cosmos bias andes innings outings "
    "cannings herrings earrings proceeds exceeded succeeding generate general generously communism community arsenal arsenic "
    "yes youth sayyid boyish ay yy 'tis ' '' 's a is by gas this kiwis gaps ties cries tied cried hopping hoping hissing falling "
    "bed shed sprung 1980s 3 été naïve привет"
).split()


def main():
    library = ctypes.CDLL("libstemmer.so.0d")
    library.sb_stemmer_new.restype = ctypes.c_void_p
    library.sb_stemmer_stem.restype = ctypes.c_void_p
    library.sb_stemmer_stem.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    library.sb_stemmer_length.argtypes = [ctypes.c_void_p]
    stemmer = library.sb_stemmer_new(b"english", b"UTF_8")

    def stem(word):
        data = word.encode()
        at = library.sb_stemmer_stem(stemmer, data, len(data))
        return ctypes.string_at(at, library.sb_stemmer_length(stemmer)).decode()

    words = set()
    for file in Path("/usr/share/wordnet").glob("index.*"):
        words |= set(re.findall(r"^([a-z]{3,12}) ", file.read_text("latin1"), re.M))
    chosen = random.Random(0).sample(sorted(words), 1100)
    rng = random.Random(1)
    chosen += [word + rng.choice(SUFFIXES) for word in chosen]
    nltk = SnowballStemmer("english")
    pairs = {word: stem(word) for word in sorted(chosen) if nltk.stem(word) == stem(word)}
    pairs |= {word: stem(word) for word in SPECIAL}
    Path(sys.argv[1]).write_text(json.dumps(pairs, ensure_ascii=False, separators=(",", ":"), indent=0) + "\n")


main()
