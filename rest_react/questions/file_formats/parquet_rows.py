"""Reads rows from Parquet files, the format of data sets on the Hub.

    read_parquet(Path("set.parquet"), problems)   # ("set.parquet row 1", {"question": "Who wrote Emma?", ...}), ...

Not here: other formats (`json_rows`, `csv_rows`), and which format a file has (`file_formats`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rest_react.questions.row_values import PlacedRows, Row

if TYPE_CHECKING:
    from pyarrow import RecordBatch


def read_parquet(path: Path, problems: list[str]) -> PlacedRows:
    """Every row of the table, numbered from 1."""
    import pyarrow
    import pyarrow.parquet

    try:
        batches = pyarrow.parquet.read_table(path).to_batches()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problems.append(f"{path}: not a Parquet file ({error})")
        return
    number = 0
    for batch in batches:
        for row in _rows_of(batch):
            number += 1
            if isinstance(row, dict):
                yield f"{path} row {number}", row
            else:
                problems.append(f"{path} row {number}: a value cannot be read ({row}); correct it")


def _rows_of(batch: "RecordBatch") -> Iterator[Row | Exception]:
    """The rows, each an error instead if Python has no value for something in it: text that is not UTF-8, a date in the
    year 2,900,000, two equal keys in a map. One by one, which is slow, only if there is such a row."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError, KeyError) as error:
        if len(batch) == 1:
            yield error
            return
        for place in range(len(batch)):
            yield from _rows_of(batch.slice(place, 1))
