"""The model card: what the model is, its results, its limits and what it must not be used for.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993).
"""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np

from ferpipe.core import files
from ferpipe.evaluation.card import Card
from ferpipe.evaluation.feature_distance import FeatureDistance
from ferpipe.report.findings import Findings
from ferpipe.report.page import environment, note, rows
from ferpipe.report.text import protocol


def card(findings: Findings) -> str:
    """Write the model card as GitHub-flavoured Markdown; the same findings give the same text."""
    template = environment(html=False, mask=_markdown).get_template("model_card.md")
    return template.render(
        f=findings,
        result=findings.result,
        metrics=findings.metrics,
        provenance=findings.provenance,
        baselines=rows(findings.baselines)[1:],
        side=findings.images.shape[1],
        channels=findings.images.shape[3],
        note=note,
    )


def for_file(
    findings: Findings, framing: np.ndarray | None, distance: FeatureDistance | None = None
) -> Card:
    """The card in the model file; `framing` and `distance` are as their modules measure them."""
    params = json.dumps(findings.provenance.params, sort_keys=True)
    return Card(
        classes=findings.result.classes,
        image_size=findings.images.shape[1],
        channels=findings.images.shape[3],
        framing=None if framing is None else framing.tolist(),
        temperature=files.rounded(findings.training["temperature"]),
        headline=findings.headline,
        data=findings.provenance.data.name,
        limits=list(findings.provenance.data.limits),
        protocol=" ".join(protocol(findings)),
        params_sha256=hashlib.sha256(params.encode()).hexdigest(),
        feature_distance=distance,
    )


def _markdown(text: str) -> str:
    """Escape the marks of Markdown, such as in the name of a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text.replace("\n", " "))
