"""Questions to an archive, answered by DuckDB from the columns of its shards: nothing is drawn, no network is loaded.

    "tree > 0.3 and sea > 0 and width > 1000" ──WHERE──▶ `pictures`, a view of all shards ──▶ matches

The view has a column for each class, the share of the picture's area that shows it, 0 … 1, beside those of `schema`; a
class that is called as one of these is `path_share`.
DuckDB may read the archive's folder and nothing else, and only questions are asked, so that an expression that a
stranger wrote does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sgc_diffusion.archive.contents import is_whole
from sgc_diffusion.archive.layout import Archive, ArchiveError
from sgc_diffusion.archive.schema import AREA, shard_schema
from sgc_diffusion.taxonomy import NUMBERS

logger = logging.getLogger(__name__)
SHOWN = ("image_id", "source", "path", "width", "height", "num_bytes", "captured_at", "latitude", "longitude")
PLAIN = frozenset(field.name for field in shard_schema("landscape-24") if not field.name.startswith(AREA))
ALL = "true"  # the expression that every picture matches


@contextmanager
def opened(archive: Archive, *, num_threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection to DuckDB with the view `pictures`.

    A shard that DuckDB cannot read is left out with a warning that names it.

    Args:
        archive: to be asked.
        num_threads: of DuckDB; None takes all processors.

    Raises:
        ArchiveError: nothing is packed yet.
    """
    paths = [str(archive.shard(unit)) for unit in archive.committed()]
    connection = duckdb.connect()
    try:
        if num_threads is not None:
            connection.execute(f"SET threads={int(num_threads)}")
        try:
            _create_view(connection, paths)
        except (duckdb.Error, OSError, ValueError):
            _create_view(connection, _whole_paths(archive))
        folder = str(archive.folder).replace("'", "''")
        connection.execute(f"SET allowed_directories=['{folder}/']; SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        yield connection
    finally:
        connection.close()


def ask(archive: Archive, query: str, parameters: Sequence[Any] = (), *, num_threads: int | None = None) -> pa.Table:
    """Return what DuckDB answers to a question about `pictures`.

    Args:
        archive: to be asked.
        query: one SELECT statement.
        parameters: values of its `?`.
        num_threads: of DuckDB; None takes all processors.

    Raises:
        ArchiveError: it is no such statement, or DuckDB does not understand it.

    Example:
        >>> ask(archive, "SELECT taxonomy, count(*) FROM pictures GROUP BY taxonomy").num_columns
        2
    """
    _check_is_question(query)
    with opened(archive, num_threads=num_threads) as connection:
        try:
            return connection.sql(query, params=list(parameters) or None).to_arrow_table()
        except duckdb.Error as error:
            if not _is_of_data(error):
                raise ArchiveError(first_line(error)) from error
        _create_view(connection, _whole_paths(archive))
        return connection.sql(query, params=list(parameters) or None).to_arrow_table()


def search(
    archive: Archive, where: str = ALL, *, limit: int = 20, num_threads: int | None = None
) -> list[dict[str, Any]]:
    """Return the pictures that an expression is true of, in the order of the archive.

    Args:
        archive: to be asked.
        where: of class names, columns, numbers, texts in single quotes, comparisons, `and`, `or`, `not`.
        limit: how many at most.
        num_threads: of DuckDB; None takes all processors.

    Raises:
        ArchiveError: an expression that DuckDB does not understand.

    Example:
        >>> search(archive, "tree > 0.3 and sea > 0", limit=1)[0]["path"]
        'a.png'
    """
    query = f"SELECT {', '.join(SHOWN)} FROM pictures WHERE ({where}) LIMIT {int(limit)}"
    rows = ask(archive, query, num_threads=num_threads).to_pylist()
    return [row | {"image_id": row["image_id"].hex()} for row in rows]


def count_matches(archive: Archive, where: str = ALL, *, num_threads: int | None = None) -> int:
    """Return how many pictures an expression is true of; see `search`."""
    answer = ask(archive, f"SELECT count(*) AS n FROM pictures WHERE ({where})", num_threads=num_threads)
    return answer.column("n")[0].as_py()


def _create_view(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Make the view `pictures` of shards; those of several taxonomies lack each other's classes.

    Raises:
        ArchiveError: no shard is there.
        duckdb.Error, OSError: one cannot be read.
    """
    if not paths:
        raise ArchiveError("nothing is packed yet, or no shard can be read; `sgc archive verify` says more")
    names = [field.name for field in pq.read_schema(paths[0])]
    taxonomies = {_areas(taxonomy): taxonomy for taxonomy in NUMBERS}
    is_uniform = _areas_of(names) in taxonomies and all(pq.read_schema(path).names == names for path in _sample(paths))
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    source = f"read_parquet([{quoted}], union_by_name={'false' if is_uniform else 'true'})"
    if not is_uniform:
        names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    columns = [
        f'coalesce("{name}", 0) / label_cells AS "{_share_name(name)}"' if name.startswith(AREA) else f'"{name}"'
        for name in names
    ]
    columns += [] if "regions" in names else ["NULL::BLOB AS regions"]  # archives from before there were any
    connection.execute(f"CREATE OR REPLACE TEMP VIEW pictures AS SELECT {', '.join(columns)} FROM {source}")


def _share_name(column: str) -> str:
    """Return the name of a class in the view: that of its column, told apart where another column has it."""
    name = column.removeprefix(AREA)
    return f"{name}_share" if name in PLAIN else name


def _sample(paths: Sequence[str]) -> Sequence[str]:
    """Return the first shard of each manifest: all of a manifest were written with one schema."""
    return list({path.rpartition("/")[2].partition("-")[0]: path for path in reversed(paths)}.values())


def _areas(taxonomy: str) -> tuple[str, ...]:
    return _areas_of(shard_schema(taxonomy).names)


def _areas_of(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith(AREA))


def _whole_paths(archive: Archive) -> list[str]:
    """Return the shards that have the bytes that their commit records say; warn of the others."""
    paths = []
    for unit in archive.committed():
        if is_whole(archive, unit):
            paths.append(str(archive.shard(unit)))
        else:
            logger.warning("%s is damaged and left out; `sgc archive verify` says more", archive.shard(unit))
    return paths


def _check_is_question(query: str) -> None:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise ArchiveError(first_line(error)) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ArchiveError("an archive only answers questions: give one SELECT statement about `pictures`")


def _is_of_data(error: duckdb.Error) -> bool:
    """Return whether an error is of a file and not of the question."""
    kinds = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException)
    return not isinstance(error, (*kinds, duckdb.PermissionException))


def first_line(error: Exception) -> str:
    """Return what DuckDB says, without the lines that point into the query."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines[:2]) if lines else type(error).__name__
