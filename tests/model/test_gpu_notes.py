import pytest

from ferpipe.core import machine
from ferpipe.model.gpu_notes import notes


@pytest.mark.parametrize(
    ("backend", "variable"),
    [("tensorflow", "TF_CPP_MIN_LOG_LEVEL=0"), ("jax", "JAX_PLATFORMS=cuda")],
)
def test_a_card_that_is_not_used_is_one_line_with_the_remedy(monkeypatch, backend, variable):
    monkeypatch.setattr(machine, "nvidia_cards", lambda: ["Tesla T4", "Tesla T4"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (note,) = notes(backend, [], [], "float32")
    assert note.startswith("this machine has an NVIDIA card (Tesla T4), but ")
    assert "make venv GPU=1" in note
    assert variable in note
    for hidden in ("", "-1"):  # on purpose
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert notes(backend, [], [], "float32") == []


def test_without_a_card_or_with_one_that_is_used_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(machine, "nvidia_cards", lambda: [])
    assert notes("tensorflow", [], [], "mixed_bfloat16") == []
    monkeypatch.setattr(machine, "nvidia_cards", lambda: ["NVIDIA H100"])
    assert notes("tensorflow", ["NVIDIA H100"], [(9, 0)], "mixed_bfloat16") == []


@pytest.mark.parametrize(
    ("capability", "precision", "better"),
    [
        ((9, 0), "mixed_bfloat16", None),
        ((8, 0), "mixed_bfloat16", None),
        ((7, 5), "mixed_bfloat16", "mixed_float16"),
        ((6, 1), "mixed_bfloat16", "float32"),
        ((7, 0), "mixed_float16", None),
        ((6, 1), "mixed_float16", "float32"),
        ((6, 1), "float32", None),
    ],
)
def test_a_precision_that_the_card_only_emulates_is_named_with_a_faster_one(
    capability, precision, better
):
    found = notes("jax", ["A100", "old card"], [(8, 0), capability], precision)
    advice = f"old card has no hardware for {precision}; it is faster with train.precision {better}"
    assert found == ([advice] if better else [])


def test_cards_are_found_by_the_program_of_the_driver(monkeypatch, tmp_path):
    if any(machine.Path("/dev").glob("nvidia*")):
        pytest.skip("this machine has a card of its own")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia_cards() == []
    program = tmp_path / "nvidia-smi"
    for lines, names in (
        (
            "GPU 0: Tesla T4 (UUID: GPU-1)\nGPU 1: NVIDIA A10 (UUID: GPU-2)",
            ["Tesla T4", "NVIDIA A10"],
        ),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", []),
    ):
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n".replace("cat", "/bin/cat"))
        program.chmod(0o755)
        assert machine.nvidia_cards() == names
