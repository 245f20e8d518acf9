"""Writes test/fixtures/data/rows-CODEC.parquet: the same rows under every compression, as pyarrow writes them.

usage: python test/oracle/write-parquet.py
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent / "fixtures" / "data"
ROWS = [{"prompt": f"prompt {i}", "completion": f"answer {i} é" * 20, "id": i} for i in range(60)]

for codec in ("zstd", "gzip", "brotli", "lz4"):
    pq.write_table(pa.Table.from_pylist(ROWS), FOLDER / f"rows-{codec}.parquet", compression=codec, row_group_size=25)
