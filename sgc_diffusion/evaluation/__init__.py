"""How well this codec does beside the ones that a user would pick instead. Needs the extras `eval` and `vvc`.

pictures ──codecs──▶ files ──another process──▶ decoded pictures ──metrics──▶ rows ──statistics──▶ report
                                                                                    intervals, BD-rate

codecs/         SGC and the anchors: VVC, HEVC, AV1, JPEG 2000, JPEG, WebP, JPEG XL
pictures.py     which pictures, and as which pixels
worker.py       a process that codes and decodes, and says what it took; processes.py: the other end of it
coding.py       one codec over pictures → rows; resumes where it stopped
scoring.py      metrics → rows
measurement.py  all of it for several codecs: one JSON a codec, a row a picture and seed
metrics/        realism, semantics, distortion, perception
statistics.py   intervals, differences, rate–distortion
report/         tables, plots and picture grids from the results
"""
