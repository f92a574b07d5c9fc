r"""The columns of an archive's files, version 1: Parquet that anyone reads, with or without this package.

**A shard** has a row for each picture, in the order of the manifest:

| column | type | meaning |
|---|---|---|
| image_id | fixed binary 32 | SHA-256 of the source's bytes |
| source | string | folder, tar file, or beginning of an address that the picture comes from |
| path | string | its place below; what is no UTF-8 is written as `\xNN` |
| path_bytes | binary | the place as it is; null where `path` says it |
| width, height | int32 | of the picture, pixels |
| sgc | binary | the whole `.sgc` file |
| num_bytes | int32 | its size |
| profile, taxonomy | string | of the file; a dictionary, so that all rows share them |
| weights_hash | uint16 | of the file |
| label_cells | uint16 | cells of the label map |
| area_NAME | uint16 | how many of them show class NAME, one column a class of the taxonomy |
| red, green, blue | uint8 | mean of the color map, sRGB |
| color_hash | uint64 | bit 8·y + x: whether cell (x, y) of 9×8 means of luma is darker than cell (x + 1, y) |
| layout | binary, 16 bytes | class id of each cell of a 4×4 vote of the label map, by rows |
| colors | binary, 48 bytes | 4×4 means of the color map, sRGB, in steps of 8 |
| regions | binary, 16 bytes | 255 times the share of each cell of `layout` that regions cover; null without |
| layers | list of (name, num_bytes, mse) | of the file, in order; `mse` as below |
| captured_at | timestamp, seconds | EXIF DateTimeOriginal, without a time zone; null where there is none |
| latitude, longitude | float | degrees north and east from EXIF; null where there are none |

`mse` is the mean square error, 0 … 65025, of the picture that the file gives without a network when it is cut behind
the layer; null where it was not measured. The share of a class is `area_NAME / label_cells`. The metadata of each shard
have `sgc.schema_version`.

**A manifest** has `image_id`, `source`, `path`, `path_bytes`, `kind` (file, member or address), `offset` (of a member,
bytes), `size` (bytes) and `modified_ns` (of the file, null for an address); each row group is a unit.
**Dead letters** have `image_id` (null if not one byte was read), `source`, `path`, `path_bytes`, `reason`, and
`is_final` (no other try would help).
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sgc_diffusion.taxonomy import load_taxonomy

SCHEMA_VERSION = 1
AREA = "area_"  # begins the name of a column of a class
COMPRESSION = {"compression": "zstd", "compression_level": 9, "write_page_checksum": True, "version": "2.6"}
PREFIXED = ("sgc", "path")  # columns whose neighbors begin alike: what is shared is stored once
HASHES = ("image_id", "color_hash")  # columns without repetition

_WHERE = [
    pa.field("source", pa.string()),
    pa.field("path", pa.string(), nullable=False),
    pa.field("path_bytes", pa.binary()),
]
MANIFEST = pa.schema(
    [
        pa.field("image_id", pa.binary(32), nullable=False),
        *_WHERE,
        pa.field("kind", pa.string(), nullable=False),
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64()),
    ]
)
DEAD_LETTERS = pa.schema(
    [
        pa.field("image_id", pa.binary(32)),
        *_WHERE,
        pa.field("reason", pa.string(), nullable=False),
        pa.field("is_final", pa.bool_(), nullable=False),
    ]
)
LAYER = pa.struct([("name", pa.string()), ("num_bytes", pa.int32()), ("mse", pa.float32())])


def shard_schema(taxonomy_name: str) -> pa.Schema:
    """Return the columns of a shard whose pictures have labels of a taxonomy."""
    areas = [pa.field(area_column(name), pa.uint16()) for name in load_taxonomy(taxonomy_name).names]
    schema = pa.schema(
        [
            pa.field("image_id", pa.binary(32), nullable=False),
            *_WHERE,
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("sgc", pa.binary(), nullable=False),
            pa.field("num_bytes", pa.int32(), nullable=False),
            pa.field("profile", pa.string()),
            pa.field("taxonomy", pa.string()),
            pa.field("weights_hash", pa.uint16()),
            pa.field("label_cells", pa.uint16()),
            *areas,
            *[pa.field(name, pa.uint8()) for name in ("red", "green", "blue")],
            pa.field("color_hash", pa.uint64()),
            pa.field("layout", pa.binary()),
            pa.field("colors", pa.binary()),
            pa.field("regions", pa.binary()),
            pa.field("layers", pa.list_(LAYER)),
            pa.field("captured_at", pa.timestamp("s")),
            pa.field("latitude", pa.float32()),
            pa.field("longitude", pa.float32()),
        ]
    )
    return schema.with_metadata({"sgc.schema_version": str(SCHEMA_VERSION)})


def area_column(class_name: str) -> str:
    """Return the column of a class: letters, digits and underscores, so that SQL takes it unquoted."""
    return AREA + re.sub(r"\W+", "_", class_name)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one row group; equal tables give equal bytes.

    Raises:
        OSError: the disk is full, or the place cannot be written.
    """
    pq.write_table(table, path, row_group_size=max(1, table.num_rows), **encodings(table.schema))


def encodings(schema: pa.Schema) -> dict:
    """Return the arguments of `pyarrow.parquet` that write a schema's columns small."""
    plain = {name: "DELTA_BYTE_ARRAY" for name in PREFIXED if name in schema.names}
    plain |= {name: "PLAIN" for name in HASHES if name in schema.names}
    coded = [name for name in schema.names if name not in plain and name != "layers"]
    nested = ["layers.list.element.name", "layers.list.element.num_bytes"] if "layers" in schema.names else []
    return {"use_dictionary": coded + nested, "column_encoding": plain, **COMPRESSION}
