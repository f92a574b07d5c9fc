r"""The file format of sgc_diffusion (`.sgc`), version 1: payload ↔ bytes, lossless, integers only.

This text is normative.

    SemanticPayload ──encode──▶ header │ CRC │ labels │ color │ other layers …  ──decode──▶ SemanticPayload

A file holds the true size of a picture, how it is to be drawn, a map of class ids and a map of coarse colors. The
format version is independent of the package's. The same payload MUST give the same bytes. Integers are little-endian
and unsigned; `varint` is LEB128 of at most 4 bytes in its shortest form; `sides` is varint(2·a) for two equal sides
a, else varint(2·a + 1), varint(b). ⌊x⌋ rounds down; `>>` and `<<` are shifts, those of negative integers round down.

**File**

    size   type    meaning
    3      bytes   signature 53 47 43 ("SGC")
    1      u8      bits 0–3 version, 1; bit 4 sealed; bit 5 recipe fields follow; bits 6–7 MUST be 0
    1–8    sides   width and height of the picture, 1 … 2²⁰ pixels
    1      u8      profile
    2      u16     weights hash, 0 if unknown
    0–8            if bit 5: mask u8, bits 5–7 zero, not all zero; then each field whose bit is set, in this order:
                   bit 0 scheduler u8, bit 1 steps u16 (1 … 1000), bit 2 strength u8 in 1/100
                   (1 … 100), bit 3 guidance u8 in 1/10, bit 4 seed u16. The defaults are 0, 20, 100, 30, 0, for
                   profiles 2 and 3: 1, 200, 70, 20, 0. A field that has its default MUST be left out
    2      u16     CRC-16 (polynomial 1021, start FFFF, not reflected, no final xor) of all bytes before it and of the
                   labels and color layers after it, their lengths included
    …      varint  length of the labels layer, then: taxonomy u8, sides of (rows, columns), each
                   1 … 1024, at most 16384 cells; the label stream
    …      varint  length of the color layer, then: quality u8 (below 64), sides of (rows, columns), each 1 … 64; the
                   color stream
    …              to the end, layers: type u8, varint length of the body, CRC-16 of type and body, body. The low 7 bits
                   of the type MUST rise from layer to layer, from 1 up

Profiles: custom 0, landscape-256 1, semantic-synthesis-512 2, semantic-synthesis-256 3, controlnet-seg 4. Schedulers:
dpm-solver++ 0, ddim 1, unipc 2, lcm 3. Taxonomies, their files in `sgc_diffusion/taxonomy`: landscape-24 0,
landscape-8 1, coco-stuff-182 2, ade20k-150 3, cityscapes-19 4, voc-21 5, coco-stuff-171 6, mapillary-65 7.

A reader MUST skip a layer type it does not know, unless bit 7 of the type is set: then it MUST reject the file. A
file that ends after the color layer or any later one is valid. If bit 4 is set, what follows the recipe is a nonce of
12 bytes and the AES-256-GCM ciphertext with its 16-byte tag of all layers, without the CRC; the bytes before the
nonce are the additional data; the key is 32 bytes that the reader is given.

**Range coder.** State: low = 0, span = 2³² − 1. A decision whose 1 has probability p/65536: bound = (span >> 16)·p; a
1 sets span = bound, a 0 adds bound to low and takes it from span. A symbol of weight s after weights that sum to t,
of n in all: u = ⌊span / n⌋; low += u·t; span = u·s. While span < 2²⁴: the top byte of low is written, carries go into
the bytes before, and low and span are shifted up by 8 bits. At the end low becomes the multiple of 2³² in [low, low +
span) if there is one, else the smallest multiple of 2²⁴; its four bytes are written and of the zero bytes that end the
stream as many as there are, but at most 16, are dropped. A reader reads zeros after the end. It MUST reject a stream
that differs from the one this gives, thus one that lacks more than 16 bytes.

**Probabilities.** `squash(z)` is entry min(max(z, −352), 352) + 352 of table `squash`, z a sum of table entries in
1/32 nat. The tables are those of `tables.npz`, arrays in row-major order; SHA-256 of all, in order of name, begins
3ca752ccd401ef58.

**Label stream.** Cells go row by row. Neighbors are named by (row, column) offset in the order of
`label_context.OFFSETS`: W N NE NW WW NN NEE NNE NNW NWW NNEE NNWW WWW NNN NEEE = (0,−1) (−1,0) (−1,1) (−1,−1) (0,−2)
(−2,0) (−1,2) (−2,1) (−2,−1) (−1,−2) (−2,2) (−2,−2) (0,−3) (−3,0) (−1,3), then ten distant ones: (−1,4) (−1,5) (−2,3)
(−2,−3) (−3,1) (−3,−1) (−3,2) (−3,−2) (0,−4) (−4,0). A cell outside in a row above is the nearest cell inside, rows
above row 0 being like row 0; for the cells of row 0 all cells above are like cell (0,0); left of column 0 in the cell's
own row, cells are like the first of the row above. Cell (0,0) is a class (below). Every other cell is asked: is it like
W, N, NE, NW, WW, NN, NEE (N before W if NW = W, in this list alone), each distinct label once? k is the place where the
label first stands in this list of 7, from 0, e = min(k, 4), r = min(k, 2). The first 1 ends it; after only 0s the cell
is a class. A question's z = label_mask[3m + r] + label_distant[3·(16d + (m & 15)) + r] + label_pattern[4·(5g + e) + c]
+ label_setting[10·(7·(4b + c) + q) + 2e + f], where
  m   bit i is set if near neighbor i (of the first 15) has the label asked for; d: likewise the ten distant ones
  g   the identities of W N NE NW WW NN, each the number of different labels before its first like: with i₀ = 0,
      i₁ + 2·i₂ + 6·i₃ + 24·i₄ + 120·i₅
  c   how many of 512, 2048, 8192 the number of cells reaches;  b = 0 in row 0, else 1 + ⌊6·row / rows⌋
  f   1 if W N NE NW WW NN NEE are all alike
  q   how many of 2 3 4 5 7 9 are reached by ⌊(16s + 16) / (a + 6)⌋; over the rows before, a counts the cells where
      W ≠ N, N ≠ NE or W ≠ NW, and s all cells, of those or not, but not (0,0), unlike the label asked for first there

**Class.** `named` lists the labels coded as classes so far, each once, the last coded first; candidates are those of
`named` that no one of the first seven neighbors has. G(x) is the group of a label: x itself for `landscape-24`, else
the class of `landscape-24` whose list in `maps["landscape-24"]` of the taxonomy's file names it, or 24 if the file has
no such map; g is that of N, or 24 for cell (0,0). If there are candidates and not all labels are named: "is it new?", z
= class_new[8·(2b + h) + min(n, 8) − 1], n candidates, h = 1 if those seven are alike. Without candidates it is new. An
old label: for each candidate but the last, "is it this?", z = class_rank[5·min(i, 4) + min(n − i, 6) − 2] +
class_pair[25g + G(candidate)], i its place. A new label is a symbol, labels in order of id with weight ⌊prior ·
class_follow[g][G] · class_band[⌊(b + 1) / 2⌋][G] / 256⌋ + 1, or 0 if named; prior is table `prior_NAME` of the
taxonomy, or 8 for each label.

**Color stream.** Levels l(u, v, c) of frequencies u < rows, v < columns and channels c < 3. The scale of each is S =
min(max((⌊(color_scale[min(u,15)][min(v,15)][c] + 2·⌊log2((rows·columns)²)⌋ − 32 − F − 8 − quality) / 2⌋ + 20), 0), 48),
F how many of 16 17 19 20 22 24 26 28 30 32 35 38 41 44 48 51 56 60 max(u, v) reaches. First, for each channel, the last
diagonal u + v that holds a level other than 0, or 0 (levels outside are 0 everywhere below): for t = 0, 1, … up to rows
+ columns − 3, "is it beyond t?", z = color_last[3S + c], S at u = min(⌊(t + 1) / 2⌋, rows − 1), v = min(t − min(⌊t /
2⌋, rows − 1), columns − 1). Then diagonals t = 0, 1, …, in each u rising, then channels that reach it: "≠ 0?" (j = 0);
if so its sign, 1 for negative; "> 1?" (j = 1); "> 2?" (j = 2); then n = |l| − 2 in Elias gamma: with x = ⌊log2 n⌋, for
i = 0, 1, …: "x > i?", z = color_exponent[49·min(i, 9) + S], then the lower bits of n from the top, the first with z =
color_mantissa[min(x, 9)], others with p = 32768. |l| ≤ 32767. z = color_energy[j][3·(13S + e) + c] +
color_shape[j][3·(16·(16·U + 4·L + D) + o) + c] + color_activity[j][3·(49A + S) + c] + color_ending[j][3·(13·min(T − t,
7) + e) + c], T the last diagonal of the channel; U, L, D = |l| at (u−1, v), (u, v−1), (u−1, v−1), at most 3; e counts
which of 1 2 3 4 5 6 8 10 13 17 23 33 are reached by 2(u−1, v) + 2(u, v−1) + (u−1, v−1) + (u−2, v) + (u, v−2), each |l|
at most 15; o = 0, or the size of channel 0 at this frequency, at most 3, plus 4 times that of channel 1 for c = 2; A
counts which of 6 8 10 13 15 18 21 26 34 are reached by ⌊16(x + 48) / (y + 48)⌋, over the diagonals 1 … t − 1 and all
channels, ended ones too, x the sum of 16·min(|l|, 8), y of color_expected[S]. A sign: z =
color_sign_place[0][3·(8·min(u, 7) + min(v, 7)) + c] + color_sign_other[0][3·(9k + w) + c] + color_sign_near[0][81k + 40
+ 27·s(u−1, v) + 9·s(u−2, v) + 3·s(u, v−1) + s(u, v−2)], s the sign −1 0 1, k = 2 if u = 0, plus 1 if v = 0; w = 4, plus
3s of channel 0 if c > 0, plus s of channel 1 if c = 2.

**Rejects.** Wrong signature: BadMagicError. Version, set reserved flags, profile, scheduler, taxonomy or critical
layer unknown: UnsupportedVersionError. An end inside a field or layer: TruncatedStreamError. A checksum or a MUST
above violated, a value out of range: CorruptSectionError. Sealed and no key, another key, or a changed byte:
DecryptionError. Bytes after the last layer that are none, type 0 or 128: TrailingBytesError. Sizes are checked before
anything is allocated. What the levels mean is in `sgc_diffusion.payload.color_transform`.

**Example**, `tests/golden/tiny.sgc`: a 64×48 picture, `landscape-24` labels 4×4, colors 4×4:

    53 47 43 01 81 01 30 01 00 00 07 81 05 00 08 fc
    91 fc 0a 20 08 ed 21 d7 bc 22 83 99 8f
"""

from sgc_diffusion.bitstream.encryption import Passphrase, derive_key, parse_key
from sgc_diffusion.bitstream.errors import (
    BadMagicError,
    BitstreamError,
    CorruptSectionError,
    DamagedLayerWarning,
    DecryptionError,
    TrailingBytesError,
    TruncatedStreamError,
    UnsupportedVersionError,
)
from sgc_diffusion.bitstream.file import decode, encode, layer_size_bytes, size_bytes
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.bitstream.summary import FileSummary, inspect

__all__ = [
    "BadMagicError",
    "BitstreamError",
    "CorruptSectionError",
    "DamagedLayerWarning",
    "DecodedLayers",
    "DecryptionError",
    "FileSummary",
    "LayerCoder",
    "Passphrase",
    "TrailingBytesError",
    "TruncatedStreamError",
    "UnsupportedVersionError",
    "decode",
    "derive_key",
    "encode",
    "inspect",
    "layer_size_bytes",
    "parse_key",
    "size_bytes",
]
