import csv
from importlib.resources import files

from aesexpert.bench.paper import paper_rows
from aesexpert.bench.scores import Group


def test_table_is_the_papers() -> None:
    rows = paper_rows()
    assert len(rows) == 19
    best = rows[0]
    assert best.name == "AesExpert (L-13B)"
    assert best.value(Group("perception", "dimension", "technical quality")) == 0.7083
    assert best.value(Group("empathy", "dimension", "uniqueness")) == 0.9310
    assert best.value(Group("assessment", "all", "")) == 0.5957
    assert (best.interpretation, best.overall) == (1.340, 0.8950)


def test_overall_is_the_mean_of_the_four() -> None:
    for row in paper_rows():
        parts = [row.value(Group(task, "all", "")) for task in ("perception", "empathy", "assessment")]
        mean = (sum(part for part in parts if part is not None) + (row.interpretation or 0)) / 4
        assert row.overall is not None
        assert abs(mean - row.overall) <= 0.00005 + 1e-9, row.name


def test_ranks_follow_the_overall_score() -> None:
    text = files("aesexpert.bench").joinpath("paper_table3.csv").read_text(encoding="utf-8")
    assert text.startswith("# Table 3 of AesExpert")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert [int(row["rank"]) for row in rows] == list(range(1, 20))
    overall = [float(row["overall"]) for row in rows]
    assert overall == sorted(overall, reverse=True)
