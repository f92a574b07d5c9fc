"""Archives: very many pictures in one folder, packed, searched, thinned and never lost (the extra `scale`).

    sources ──scan──▶ manifest ──cut──▶ units ──encode (in this process, or by Ray Data)──▶ shard, then commit record

    ARCHIVE/archive.json            how its pictures are encoded; fixed when the archive is begun
            manifests/000000.parquet        what a run was given: image_id, source, path, size; a row group is a unit
            shards/000000-00000.parquet     the pictures of a unit, see `schema`
            dead/000000-00000.parquet       what could not be read of a unit, and why
            commits/000000-00000.json       written last: the shard's SHA-256 and counts; a unit without it is not done

A unit is cut from the manifest and encoding is deterministic, so a unit that is done twice gives the same bytes, and
every file appears under its name in one step. Hence there is no state to lose: what has no commit record is done again.
The engines are others': Ray Data spreads the work, Parquet keeps it, DuckDB searches it.
"""
