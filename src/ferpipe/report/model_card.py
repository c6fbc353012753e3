"""The model card: what the model is, its results, its limits and what it must not be used for.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993).
"""

from __future__ import annotations

import re

from ferpipe.report.findings import Findings
from ferpipe.report.page import environment, note, rows


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


def _markdown(text: str) -> str:
    """Escape the marks of Markdown, such as in the name of a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text.replace("\n", " "))
