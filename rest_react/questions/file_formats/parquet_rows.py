"""Reads rows from Parquet files, the format of data sets on the Hub.

    read_parquet(Path("set.parquet"), problems)   # ("set.parquet row 1", {"question": "Who wrote Emma?", ...}), ...

Not here: other formats (`json_rows`, `csv_rows`), and which format a file has (`file_formats`).
"""

from pathlib import Path

from rest_react.questions.row_values import PlacedRows


def read_parquet(path: Path, problems: list[str]) -> PlacedRows:
    """Every row of the table, numbered from 1."""
    import pyarrow
    import pyarrow.parquet

    try:
        read = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problems.append(f"{path}: not a Parquet file ({error})")
        return
    for number, row in enumerate(read, start=1):
        yield f"{path} row {number}", row
