"""Reports of results whose numbers are known: figures, verdicts, marks, and files that are whole."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.evaluation.codecs import make_codec
from sgc_diffusion.evaluation.coding import decoded_path
from sgc_diffusion.evaluation.report import write_report
from sgc_diffusion.evaluation.scoring import WHOLE_SET

ROOT = Path(__file__).parents[2]
NUM_PICTURES = 8
NO_WEIGHTS = "no weights: hf download owner/name musiq.pth"


def make_result(name, *, title=None, metrics=None, size_bytes=100, seeds=1, num_pictures=NUM_PICTURES, **changes):
    """Return a result whose metric values are lists with one value a picture, or a list of these a picture."""
    rows = []
    for index in range(num_pictures):
        for seed in range(seeds):
            values = {
                key: np.atleast_1d(value[index])[seed % len(np.atleast_1d(value[index]))]
                for key, value in (metrics or {}).items()
            }
            row = {"image": f"p{index}", "width": 100, "height": 100, "seed": seed, "bytes": size_bytes}
            row |= {
                "bpp": 8 * size_bytes / 10_000,
                "setting": "",
                "scale": 1.0,
                "budget_bytes": None,
                "is_floor": False,
            }
            row |= {"encode_s": 1.5, "decode_s": 0.25, "encode_peak_mib": 60.0, "decode_peak_mib": 50.0}
            rows.append(row | {"metrics": {key: float(value) for key, value in values.items()}})
    result = {"schema": 1, "codec": name, "title": title or name.upper(), "family": name.split("-")[0]}
    result |= {"generative": seeds > 1, "command": "python eval/run.py --images x", "commit": "abc1234"}
    result |= {"libraries": {"torch": "2.13.0"}, "platform": "Linux x86_64", "set": "kodak", "num_images": num_pictures}
    return result | {"metrics_unavailable": {}, "rows": rows, "set_metrics": {}, "failures": []} | changes


class PageParser(HTMLParser):
    """Tables of a page by the id of their section, as rows of (text, class); all ids, images and links."""

    def __init__(self):
        super().__init__()
        self.tables, self.ids, self.images, self.links, self.tags, self.text = {}, [], [], [], set(), ""
        self._section, self._cell, self._class = "", None, ""

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "section":
            self._section = values["id"]
        if tag == "table":
            self.tables.setdefault(self._section, []).append([])
        if tag == "tr":
            self.tables[self._section][-1].append([])
        if tag in ("td", "th"):
            self._cell, self._class = "", values.get("class", "")
        if tag == "img":
            self.images.append(values["src"])
        self.links += [values[name] for name in ("href", "xlink:href", "src", "action") if name in values]

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self._section][-1][-1].append((self._cell, self._class))
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data


def report(folder, *results, pictures=None):
    """Write results and their report; return the page, the Markdown and the rows of the spreadsheet by codec."""
    for result in results:
        (folder / f"{result['codec']}.json").write_text(json.dumps(result), "utf-8")
    written = write_report(folder, pictures=pictures)
    assert [path.name for path in written] == ["summary.csv", "report.md", "report.html"]
    page = PageParser()
    page.feed((folder / "report.html").read_text("utf-8"))
    with open(folder / "summary.csv", encoding="utf-8", newline="") as file:
        summary = {row["codec"]: row for row in csv.DictReader(file)}
    return page, (folder / "report.md").read_text("utf-8"), summary


def numbers_row(page, title):
    (table,) = page.tables["numbers"]
    head = next(row for row in table if row[0][0] == "Codec")
    row = next(row for row in table if row[0][0].startswith(title))
    return dict(zip([text for text, _ in head], row, strict=True))


RISING = np.arange(NUM_PICTURES)


def test_means_intervals_and_seed_spread_are_those_of_the_rows(tmp_path):
    seeds = [[20 + i, 21 + i, 25 + i] for i in RISING]
    page, text, summary = report(tmp_path, make_result("sgc", metrics={"psnr": seeds}, seeds=3, size_bytes=125))
    row = summary["sgc"]
    assert float(row["psnr"]) == pytest.approx(np.mean(seeds))
    assert float(row["psnr_low"]) < float(row["psnr"]) < float(row["psnr_high"])
    # Eight pictures 1 dB apart: the mean's standard error is 2.29 / √8 = 0.81, its 95 % interval about ± 1.6.
    assert float(row["psnr_high"]) - float(row["psnr_low"]) == pytest.approx(3.2, abs=0.4)
    assert float(row["psnr_seed_sd"]) == pytest.approx(np.std([20, 21, 25], ddof=1))
    assert (row["num_images"], row["num_decoded"], row["bytes"], float(row["bpp"])) == ("8", "8", "125", 0.1)
    assert (float(row["encode_s"]), float(row["decode_peak_mib"])) == (1.5, 50)
    cells = numbers_row(page, "SGC")
    assert cells["PSNR (dB) ↑"][0].startswith(f"{np.mean(seeds):.2f}[") and cells["PSNR (dB) ↑"][0].endswith("±2.65")
    assert (cells["bytes"][0], cells["bpp"][0]) == ("125", "0.1000")
    assert f"| {np.mean(seeds):.2f} <sub>[" in text


def test_a_clear_winner_wins_and_is_bold(tmp_path):
    ours = make_result("sgc", metrics={"musiq": 60 + RISING, "psnr": 20 + RISING})
    theirs = make_result("vvc-budget", metrics={"musiq": 30 + RISING % 3, "psnr": 24 + RISING + RISING % 2})
    page, text, _ = report(tmp_path, ours, theirs)
    assert "SGC wins on MUSIQ" in page.text and "VVC-BUDGET wins on PSNR (dB)" in page.text
    difference = np.mean(60 + RISING - 30 - RISING % 3)
    assert re.search(rf"MUSIQ ↑: SGC is ahead of VVC-BUDGET by \+{difference:.2f} \[\d", page.text)
    assert f"SGC is ahead of VVC-BUDGET by +{difference:.2f}" in text
    assert numbers_row(page, "SGC")["MUSIQ ↑"][1] == "best" and numbers_row(page, "VVC")["MUSIQ ↑"][1] == ""
    assert numbers_row(page, "SGC")["PSNR (dB) ↑"][1] == "" and numbers_row(page, "VVC")["PSNR (dB) ↑"][1] == "best"
    (pairs,) = page.tables["verdict"]
    assert [text for text, _ in pairs[1]] == ["VVC-BUDGET", "1.00 ×", "1 better", "1 worse"]


def test_where_lower_is_better_the_lower_one_wins(tmp_path):
    ours = make_result("sgc", metrics={"label_bce": 0.4 + RISING / 100})
    theirs = make_result("vvc-budget", metrics={"label_bce": 0.9 + RISING / 50})
    page, _, _ = report(tmp_path, ours, theirs)
    assert "SGC wins on Label BCE" in page.text and "SGC is ahead of VVC-BUDGET by −0.535" in page.text
    assert numbers_row(page, "SGC")["Label BCE ↓"][1] == "best"


def test_differences_of_both_signs_are_undecided(tmp_path):
    ours = make_result("sgc", metrics={"psnr": [20.0] * NUM_PICTURES})
    theirs = make_result("vvc-budget", metrics={"psnr": [19.0, 21.5] * (NUM_PICTURES // 2)})
    page, text, _ = report(tmp_path, ours, theirs)
    assert "wins on" not in page.text and "undecided between VVC-BUDGET and SGC" in page.text
    assert "- **Distortion** (is it the same pixel for pixel?) undecided" in text
    assert "1 undecided" in page.tables["verdict"][0][1][2][0]


def test_winners_of_different_metrics_split_a_group(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 20 + RISING, "ssim": [0.5] * NUM_PICTURES})
    theirs = make_result("vvc-budget", metrics={"psnr": 25 + RISING, "ssim": [0.3] * NUM_PICTURES})
    assert "split, VVC-BUDGET wins on PSNR (dB), SGC wins on SSIM" in report(tmp_path, ours, theirs)[0].text


def test_too_few_pictures_decide_nothing(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 30 + RISING}, num_pictures=3)
    theirs = make_result("vvc-budget", metrics={"psnr": 20 + RISING}, num_pictures=3)
    page, _, _ = report(tmp_path, ours, theirs)
    assert "undecided with 3 pictures, of which it takes 6" in page.text and "wins on" not in page.text


def test_a_set_metric_has_a_best_codec_but_no_interval(tmp_path):
    ours = make_result("sgc", set_metrics={"lite1_frechet": 100.0})
    theirs = make_result("vvc-budget", set_metrics={"lite1_frechet": 250.0})
    page, _, summary = report(tmp_path, ours, theirs)
    assert "SGC is best, −150.0 to VVC-BUDGET; one number a set" in page.text
    assert (summary["sgc"]["lite1_frechet"], summary["sgc"]["lite1_frechet_low"]) == ("100", "")


def test_a_retired_metric_of_older_results_is_left_out(tmp_path):
    ours = make_result("sgc", set_metrics={"fid_vgg19d": 1.0, "lite1_frechet": 3.0})
    page, text, summary = report(tmp_path, ours)
    assert "VGG19" not in page.text and "fid_vgg19d" not in text and "fid_vgg19d" not in summary["sgc"]
    assert summary["sgc"]["lite1_frechet"] == "3"


def test_the_best_ratio_is_the_one_nearest_to_one(tmp_path):
    ours = make_result("sgc", metrics={"textured_ratio": 0.9 + 0.001 * RISING, "calm_ratio": 2.0 + 0.1 * RISING})
    theirs = make_result("vvc-budget", metrics={"textured_ratio": 0.5 + 0.01 * RISING, "calm_ratio": 0.9 + 0 * RISING})
    page, _, _ = report(tmp_path, ours, theirs)
    assert "Texture, textured areas → 1: SGC is ahead of VVC-BUDGET by −" in page.text
    assert "Texture, calm areas → 1: VVC-BUDGET is ahead of SGC by −" in page.text
    assert numbers_row(page, "SGC")["Texture, textured areas → 1"][1] == "best"
    assert numbers_row(page, "VVC-BUDGET")["Texture, textured areas → 1"][1] != "best"


def test_the_papers_protocol_is_relative_to_vvc(tmp_path):
    ours = make_result("sgc", metrics={"sender_bce": 1.0 + 0 * RISING})
    theirs = make_result("vvc-paper", size_bytes=500, metrics={"sender_bce": 4.0 + RISING}, num_pictures=5)
    page, text, _ = report(tmp_path, ours, theirs)
    rows = {row[0][0]: [cell for cell, _ in row[1:3]] for row in page.tables["published"][1]}
    assert rows["SGC"][0].startswith("1.000") and rows["SGC"][1] == "0.17"  # 1 / mean(4, 5, 6, 7, 8) on the five
    assert rows["VVC-PAPER"][1] == "1.00" and "| SGC | 0.40 | 0.43 |" in text  # the paper's own
    ours["rows"] = [row | {"metrics": {}} for row in ours["rows"]]
    theirs["rows"] = [row | {"metrics": {}} for row in theirs["rows"]]
    assert len(report(tmp_path, ours, theirs)[0].tables["published"]) == 1


def test_codecs_of_other_sizes_are_not_in_the_verdict(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 20 + RISING})
    theirs = make_result("vvc-qp30", metrics={"psnr": 40 + RISING}, size_bytes=126)
    page, text, _ = report(tmp_path, ours, theirs)
    assert "No verdict: no two codecs take about as many bytes (SGC 100 and VVC-QP30 126)" in page.text
    assert "No verdict" in text and "wins on" not in page.text
    assert page.tables["verdict"][0][1][1][0] == "1.26 ×"  # still set beside each other, with the ratio


def test_a_codec_of_fewer_bytes_is_no_rival_either(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 20 + RISING})
    theirs = make_result("vvc-qp50", metrics={"psnr": 10 + RISING}, size_bytes=79)
    assert (
        "No verdict: no two codecs take about as many bytes (VVC-QP50 79 and SGC 100)"
        in report(tmp_path, ours, theirs)[1]
    )


def test_other_ways_of_this_codec_are_no_rivals(tmp_path):
    names = ("sgc", "sgc-preset-fast", "vvc-budget")
    results = [make_result(name, metrics={"psnr": place + RISING}) for place, name in enumerate(names)]
    text = report(tmp_path, *results)[1]
    assert text.count("At about **100 bytes**") == 2
    assert "bpp), SGC and VVC-BUDGET:" in text and "bpp), SGC-PRESET-FAST and VVC-BUDGET:" in text


def test_a_failure_of_the_set_is_no_picture(tmp_path):
    failures = [{"image": WHOLE_SET, "error": "metrics of the set: no"}, {"image": "p99", "error": "damaged"}]
    page, _, summary = report(tmp_path, make_result("sgc", metrics={"psnr": 20 + RISING}, failures=failures))
    assert (summary["sgc"]["num_images"], summary["sgc"]["num_failures"]) == ("9", "2")
    assert [text for text, _ in page.tables["failures"][0][1]] == ["SGC", WHOLE_SET, "metrics of the set: no"]


def test_one_codec_alone_has_no_verdict(tmp_path):
    assert "it takes two to compare" in report(tmp_path, make_result("sgc", metrics={"psnr": 20 + RISING}))[0].text


def test_floors_are_marked_and_named_in_the_verdict(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 20 + RISING})
    near = make_result("vvc-budget", metrics={"psnr": 22 + RISING})
    floor = make_result("jpeg-budget", title=make_codec("jpeg@budget").title, metrics={"psnr": 23 + RISING})
    for index, row in enumerate(floor["rows"]):
        row |= {"is_floor": index % 2 == 0, "bytes": 400, "bpp": 0.32}
    page, text, summary = report(tmp_path, ours, near, floor)
    assert (
        numbers_row(page, "JPEG")["bytes"][0] == "400floor on 50%"
        and float(summary["jpeg-budget"]["floor_share"]) == 0.5
    )
    assert "Cannot go as low: JPEG (4.0 times the bytes)." in page.text and "Cannot go as low" in text
    assert numbers_row(page, "JPEG")["PSNR (dB) ↑"][1] == ""  # more bytes: never the best


def test_sentences_call_codecs_by_short_names_where_these_are_unique(tmp_path):
    budget, reduced = (make_codec(spec) for spec in ("vvc@budget", "vvc-down@budget"))
    metrics = {"psnr": 20 + RISING}
    results = [make_result(one.name, title=one.title, metrics=metrics) for one in (budget, reduced)]
    assert "bpp): VVC and VVC reduced" in report(tmp_path, *results)[0].text
    twin = make_result("vvc-100b", title=make_codec("vvc@100").title, metrics=metrics)
    assert f"{budget.title} and VVC reduced" in report(tmp_path, twin)[0].text


def test_unavailable_metrics_are_said_with_the_command(tmp_path):
    ours = make_result("sgc", metrics={"psnr": 20 + RISING}, metrics_unavailable={"musiq": NO_WEIGHTS})
    page, text, summary = report(tmp_path, ours)
    assert numbers_row(page, "SGC")["MUSIQ ↑"][0] == "unavailable (1)" and summary["sgc"]["musiq"] == "unavailable"
    assert f"(1) MUSIQ: {NO_WEIGHTS}" in page.text and f"(1) MUSIQ: {NO_WEIGHTS}" in text
    (published,) = page.tables["published"]
    assert published[-1][2][0] == "unavailable"
    lacks = {"musiq": NO_WEIGHTS, "lpips": NO_WEIGHTS}
    page, _, _ = report(tmp_path, *(make_result(name, metrics_unavailable=lacks) for name in ("sgc", "original")))
    assert [numbers_row(page, "SGC")[name][0] for name in ("MUSIQ ↑", "LPIPS ↓")] == [
        "unavailable (1)",
        "unavailable (2)",
    ]
    original = numbers_row(page, "ORIGINAL")  # of which LPIPS, which compares with it, says nothing
    assert [original[name][0] for name in ("MUSIQ ↑", "LPIPS ↓")] == ["unavailable (1)", "–"]


def test_the_papers_table_stands_beside_ours(tmp_path):
    ours = make_result("sgc", metrics={"dbcnn": [0.5] * NUM_PICTURES, "label_bce": [0.41] * NUM_PICTURES})
    (table,) = report(tmp_path, ours, make_result("jpeg-q5", metrics={"label_bce": [0.8] * NUM_PICTURES}))[0].tables[
        "published"
    ]
    rows = [[text for text, _ in row] for row in table]
    assert ["VVC (vvenc), QP 55", "19.8", "24.2", "0.23", "0.32", "0.93", "0.62", "0.0229"] in rows
    assert ["SGC", "49.8", "60.6", "0.54", "0.47", "0.40", "0.80", "0.0209"] in rows
    assert rows[-1] == ["SGC", "50.0", "–", "–", "–", "0.41", "–", "0.0800"]
    assert rows[-2] == ["Measured here: kodak, 100×100"] and rows[1][0].startswith("Published: ")


def test_twice_the_bytes_for_the_same_quality_is_a_bd_rate_of_100(tmp_path):
    quality = {1: 20.0, 2: 24.0, 4: 27.0, 8: 29.0}
    for family, factor in (("vvc", 1), ("jpeg", 2)):
        for step, value in quality.items():
            curve = make_result(f"{family}-q{step}", metrics={"psnr": [value] * 8}, size_bytes=100 * step * factor)
            (tmp_path / f"{family}-q{step}.json").write_text(json.dumps(curve), "utf-8")
    page, _, _ = report(tmp_path)
    (table,) = page.tables["bd-rate"]
    assert [text for text, _ in table[1]] == ["JPEG-Q1", "+100.0 %"] and "against VVC-Q1" in page.text


def test_every_metric_with_numbers_has_a_plot_in_the_colors_of_the_page(tmp_path):
    metrics = {"psnr": 20 + RISING, "ssim": RISING / 10}
    results = [make_result("sgc", metrics=metrics, seeds=2), make_result("vvc-down-budget", metrics=metrics)]
    page, _, _ = report(tmp_path, *results, make_result("original", metrics={"niqe": 3 + RISING}, size_bytes=9999))
    plots = re.findall(
        r'<div id="plot-(\w+)">(<svg.*?</svg>)', (tmp_path / "report.html").read_text("utf-8"), re.DOTALL
    )
    assert [name for name, _ in plots] == ["psnr", "ssim"]
    for _, plot in plots:
        ElementTree.fromstring(plot)
        assert "currentColor" in plot and "#010203" not in plot and "#D55E00".lower() in plot.lower()
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_needs_nothing_else(tmp_path):
    page, _, _ = report(tmp_path, make_result("sgc", metrics={"psnr": 20 + RISING}), make_result("jpeg-q1"))
    assert not page.tags & {"script", "link", "iframe", "object"} and not page.images
    assert all(link.startswith("#") for link in page.links)
    source = (tmp_path / "report.html").read_text("utf-8")
    assert "@import" not in source and not re.search(r"url\((?!#)", source) and "prefers-color-scheme: dark" in source
    assert "python eval/report.py COPY --pictures DIR" in page.text  # says how to make the grids


def test_names_are_escaped(tmp_path):
    evil = "<img src=x onerror=alert(1)> | *b* `c` [d](http://e)"
    failures = [{"image": "<b>&", "error": "| bad"}]
    page, text, summary = report(
        tmp_path, make_result("sgc", title=evil, metrics={"psnr": 20 + RISING}, failures=failures)
    )
    assert page.images == [] and evil in page.text and summary["sgc"]["title"] == evil
    assert page.tables["failures"][0][1][1:] == [("<b>&", ""), ("| bad", "")]
    row = next(line for line in text.splitlines() if "onerror" in line and line.startswith("|"))
    assert "&lt;img" in row and r"\| \*b\* \`c\` [d]\(http" in row
    assert "1 failure" not in page.text and numbers_row(page, "<img")["Codec"][0].endswith("8 of 9 pictures")


def test_how_it_was_measured_is_said_once_for_all(tmp_path):
    page, _, _ = report(tmp_path, make_result("sgc"), make_result("jpeg-q1"))
    assert page.text.count("python eval/run.py --images x") == 1 and "All codecs" in page.text
    page, text, _ = report(tmp_path, make_result("sgc", commit="def5678"))
    assert (
        "Commit abc1234; Linux x86_64; torch 2.13.0." in page.text
        and "Commit def5678" in page.text
        and "def5678" in text
    )


def test_pictures_are_shown_with_their_bytes_if_asked_for(tmp_path):
    work, results = tmp_path / "work", tmp_path / "kodak"
    results.mkdir()
    codecs = [make_result("sgc", metrics={"psnr": 20 + RISING}), make_result("vvc-budget", size_bytes=95)]
    for folder in ("original", "sgc", "vvc-budget"):
        (work / folder).mkdir(parents=True)
        Image.new("RGB", (100, 100), "teal").save(decoded_path(work / folder, "p3", 0))
    page, _, _ = report(results, *codecs, pictures=work)
    assert len(page.images) == 3 and all(source.startswith("data:image/webp;base64,") for source in page.images)
    assert "100 bytes, 0.0800 bpp" in page.text and "95 bytes, 0.0760 bpp" in page.text
    with pytest.raises(ValueError, match="`pictures` must hold"):
        write_report(results, pictures=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no results"),
        ("{", "no JSON file"),
        ('{"schema": 2}', "no result of schema 1"),
        ('{"schema": 1, "codec": "sgc"}', "lacks title, family"),
        (json.dumps(make_result("sgc", metrics={"beauty": RISING})), "does not know: beauty"),
        (json.dumps(make_result("sgc") | {"rows": [{"image": "x"}]}), r"lacks rows\[\]\.bpp"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "sgc.json").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path)
    assert not list(tmp_path.glob("report*"))


def test_a_missing_folder_and_mixed_sets_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`results_dir` must be a folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="must hold results of one set, got clic, kodak"):
        report(tmp_path, make_result("sgc"), make_result("vvc-qp55", set="clic"))


def test_a_file_is_whole_or_not_there(tmp_path):
    (tmp_path / "report.html").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match=r"report\.html"):
        report(tmp_path, make_result("sgc", metrics={"psnr": 20 + RISING}))
    assert {path.name for path in tmp_path.iterdir()} == {"sgc.json", "summary.csv", "report.md", "report.html"}


def test_the_command_makes_the_report_and_says_what_is_wrong(tmp_path):
    command = [sys.executable, str(ROOT / "eval" / "report.py"), str(tmp_path)]
    wrong = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (
        wrong.returncode == 1 and wrong.stderr.startswith("report: `results_dir`") and "Traceback" not in wrong.stderr
    )
    (tmp_path / "sgc.json").write_text(json.dumps(make_result("sgc", metrics={"psnr": 20 + RISING})), "utf-8")
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == [str(tmp_path / name) for name in ("summary.csv", "report.md", "report.html")]
