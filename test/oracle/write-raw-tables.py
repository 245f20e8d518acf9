"""Tables without a header as Python's csv module reads them: how many rows, how wide, and a hash of every field.

Tab-separated files are read as GLUE's own scripts read them, quotes being characters like any other (csv.QUOTE_NONE).
The files themselves are not ours and stay out of the repository.

    python write-raw-tables.py ../../../shared/data ../fixtures/data/raw-tables.json
"""

import csv
import gzip
import hashlib
import json
import sys
from pathlib import Path

source, target = Path(sys.argv[1]), Path(sys.argv[2])
FILES = {
    **{f"glue/CoLA/{part}.tsv": False for part in ("train", "val", "dev")},
    "glue/CoLA/test.tsv": True,
    **{f"glue/SST-2/{part}.tsv": False for part in ("train", "dev", "test")},
    "glue/RTE/val.tsv": False,
    **{f"glue/RTE/{part}.tsv": True for part in ("train", "dev", "test")},
    "sklearn-digits/digits.csv.gz": False,
}

tables = {}
for name, header in FILES.items():
    opened = gzip.open if name.endswith(".gz") else open
    dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if ".tsv" in name else {}
    with opened(source / name, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, **dialect))[int(header) :]
    (width,) = {len(row) for row in rows}
    text = "".join("\x1f".join(row) + "\x1e" for row in rows)
    tables[name] = {
        "header": header,
        "rows": len(rows),
        "width": width,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }

target.write_text(json.dumps(tables, indent=1) + "\n")
