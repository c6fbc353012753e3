import numpy as np
import pandas as pd
from example_findings import findings
from sklearn import metrics as sklearn_metrics

from ferpipe.core import files, paths
from ferpipe.report import publish


def test_the_predictions_list_each_image_with_its_probabilities():
    result = findings().result
    table = publish.predictions(findings())
    assert table["path"].tolist() == result.paths
    assert table["actual"].tolist() == [result.classes[label] for label in result.labels]
    assert table["predicted"].tolist() == [result.classes[label] for label in result.predicted]
    written = table[[f"p_{name}" for name in result.classes]].astype(float)
    assert np.abs(written.to_numpy() - result.probabilities).max() < 1e-6


def test_the_text_report_is_scikit_learns_under_the_headline():
    shown = findings()
    first, table = publish.text_report(shown).split("\n\n", 1)
    assert first == shown.headline
    assert table == sklearn_metrics.classification_report(
        shown.result.labels,
        shown.result.predicted,
        labels=range(3),
        target_names=shown.result.classes,
        digits=4,
        zero_division=0,
    )


def test_the_text_report_tells_a_given_split():
    shown = findings(audit={"origin": "test: assigned by folds.csv (9 images)"})
    assert publish.text_report(shown).splitlines()[:3] == [
        *(shown.headline, "test: assigned by folds.csv (9 images)", "")
    ]


def test_tables_are_written_with_what_selected_the_epoch(project):
    shown = findings(selected_on_test=True, temperature=1.5)
    publish.write_tables(shown)
    assert files.read_json(paths.EVALUATION) == files.rounded(shown.metrics)
    metrics = files.read_json(paths.METRICS)
    assert metrics.items() <= files.rounded(shown.metrics).items()
    assert "accuracy" in metrics
    for name in ("confusion", "per_class", "reliability", "roc", "precision_recall", "robustness"):
        table = pd.read_csv(paths.REPORTS / f"{name}.csv")
        assert set(table["selected_on"]) == {"test"}
    for name in ("predictions.csv", "baselines.csv", "classification_report.txt"):
        assert (paths.REPORTS / name).stat().st_size > 100
