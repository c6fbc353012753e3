import numpy as np
from judged import findings
from sklearn import metrics as sklearn_metrics

from ferpipe.core import files, paths
from ferpipe.evaluation.calibration import RELIABILITY_HEADER
from ferpipe.evaluation.curves import PRECISION_RECALL_HEADER, ROC_HEADER
from ferpipe.evaluation.metrics import CONFUSION_HEADER
from ferpipe.report import publish


def test_the_predictions_name_each_image_with_its_probabilities():
    found = findings()
    rows = publish.prediction_rows(found)
    assert len(rows) == len(found.paths)
    for row, path, label, odds in zip(
        rows, found.paths, found.labels, found.probabilities, strict=True
    ):
        assert row[:2] == (path, found.classes[label])
        assert row[2] == found.classes[odds.argmax()]
        assert np.abs(np.array(row[3:], float) - odds).max() < 1e-6


def test_the_text_report_is_the_familiar_one_under_its_headline():
    found = findings()
    first, table = publish.text_report(found).split("\n\n", 1)
    assert first == found.headline
    assert table == sklearn_metrics.classification_report(
        found.labels,
        found.predicted,
        labels=range(3),
        target_names=found.classes,
        digits=4,
        zero_division=0,
    )


def test_tables_are_written_with_their_columns_and_say_what_chose(project):
    found = findings(selected_on_test=True, temperature=1.5)
    publish.write_tables(found)
    assert files.read_json(paths.EVALUATION) == files.rounded(found.metrics)
    shown = files.read_json(paths.METRICS)
    assert shown.items() <= files.rounded(found.metrics).items()
    assert "accuracy" in shown
    for name, header in (
        ("confusion", CONFUSION_HEADER),
        ("per_class", tuple(found.per_class[0])),
        ("reliability", RELIABILITY_HEADER),
        ("roc", ROC_HEADER),
        ("precision_recall", PRECISION_RECALL_HEADER),
    ):
        rows = files.read_csv(paths.REPORTS / f"{name}.csv", header)
        assert rows
        assert {row["selected_on"] for row in rows} == {"test"}
    assert (paths.REPORTS / "predictions.csv").is_file()
    assert (paths.REPORTS / "classification_report.txt").is_file()


def test_every_figure_is_drawn(project):
    publish.draw_figures(findings(), 50)
    assert sorted(path.stem for path in publish.FIGURES.iterdir()) == [
        *("confusion", "curves", "per_class", "precision_recall", "reliability", "roc"),
    ]
