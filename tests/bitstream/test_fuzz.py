"""A short run of the fuzzer in `eval/fuzz_bitstream.py`: only the BitstreamError family may come out."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "eval"))  # where it finds the script beside it
_spec = importlib.util.spec_from_file_location("fuzz_bitstream", ROOT / "eval" / "fuzz_bitstream.py")
fuzz_bitstream = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz_bitstream)


def test_mutated_files_raise_only_bitstream_errors():
    seeds = [path for path in sorted((ROOT / "tests/golden").glob("*.sgc")) if path.stat().st_size < 300]
    result = fuzz_bitstream.run([path.read_bytes() for path in seeds], num_inputs=400, seed=0)
    assert result["failures"] == []
    assert result["outcomes"]["decoded"] > 0
    assert result["outcomes"]["CorruptSectionError"] > 0
    assert result["outcomes"]["TruncatedStreamError"] > 0


def test_mutated_detail_levels_raise_only_bitstream_errors():
    result = fuzz_bitstream.run(fuzz_bitstream.make_files(), num_inputs=1000, seed=1)
    assert result["failures"] == []
    assert result["outcomes"]["damaged"] > 10
