"""The encoder benchmarks as somebody starts them, on the CPU and with networks made small; figures are not judged
here."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import ecg_encoder, echo_encoder, network_speed
from echo2ecg_core.models.echo_encoder import PhantomVideoNet

FIELDS = {"benchmark", "device", "torch", "threads", "batch", "times_plain", "times_plain_by_processor_time",
"peak_memory_mb",
          "float32_max_difference", "bfloat16_min_cosine"}  # fmt: skip


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_block(monkeypatch):
    monkeypatch.setattr(ecg_encoder, "SPEC", replace(ecg_encoder.SPEC, depth=1))


def printed(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_the_ecg_benchmark_prints_one_json_line_with_throughput_and_peak_memory(one_block, capsys):
    ecg_encoder.main(["--device", "cpu", "--threads", "1", "--batch", "2", "--repeats", "1"])
    result = printed(capsys)
    assert set(result) >= FIELDS and result["device"] == "cpu" and result["batch"] == 2
    assert (
        set(result["ecgs_per_s"]) == {"plain", "plain_sdpa", "float32", "bfloat16"}
        and min(result["ecgs_per_s"].values()) > 0
    )
    assert result["float32_max_difference"] < 1e-4 and result["bfloat16_min_cosine"] > 0.999
    assert result["peak_memory_mb"]["process"] > 100 and "notes" not in result


@pytest.mark.slow
def test_the_compiled_network_is_one_more_version_that_agrees(monkeypatch):
    """Traced, but not turned into C++, which takes minutes on a busy CPU."""
    compile_fully = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_fully(function, backend="eager", **how))
    monkeypatch.setattr(network_speed.shutil, "which", lambda name: name)
    layer = torch.nn.Linear(8, 8).eval()
    chosen = network_speed.options("", batch=4, repeats=1, given=["--device", "cpu", "--threads", "1", "--compile"])
    functions = {"plain": layer, "float32": layer, "bfloat16": lambda x: torch.nn.functional.gelu(layer(x))}
    functions, notes = network_speed.with_compiled(functions | {"plain": functions["bfloat16"]}, "bfloat16", chosen)
    assert notes == []
    with torch.inference_mode():
        result = network_speed.compare("layer", "rows", functions, torch.randn(4, 8), chosen)
    assert result["rows_per_s"]["bfloat16_compiled"] > 0 and result["bfloat16_compiled_min_cosine"] > 0.999


def test_without_a_compiler_the_benchmark_says_in_a_sentence_what_it_left_out(one_block, capsys, monkeypatch):
    monkeypatch.setattr(network_speed.shutil, "which", lambda name: None)
    ecg_encoder.main(["--device", "cpu", "--threads", "1", "--batch", "1", "--repeats", "1", "--compile"])
    assert printed(capsys)["notes"] == [network_speed.NO_COMPILER]


def test_a_gpu_is_taken_and_compiled_for_when_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    chosen = network_speed.options("", batch=3, repeats=2, given=["--threads", "1"])
    assert (chosen.device, chosen.compile, chosen.batch, chosen.repeats) == ("cuda", True, 3, 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = network_speed.options("", batch=3, repeats=2, given=["--threads", "1"])
    assert (chosen.device, chosen.compile) == ("cpu", False)


def test_the_clip_benchmark_runs_the_same_path(capsys, monkeypatch):
    """With the demo's small network in MViT's place: the published one takes a minute."""

    class Small(PhantomVideoNet):
        """Takes clips of any precision, as MViT does."""

        def forward(self, clips):
            return super().forward(clips.to(next(self.parameters()).dtype))

    monkeypatch.setattr(echo_encoder, "MViT", Small)
    monkeypatch.setattr(echo_encoder, "random_network", lambda: Small().eval())
    monkeypatch.setattr(echo_encoder, "plain_mvit", lambda network, clips: network(clips))
    echo_encoder.main(["--device", "cpu", "--threads", "1", "--batch", "1", "--repeats", "1"])
    result = printed(capsys)
    assert set(result) >= FIELDS and set(result["clips_per_s"]) == {"plain", "float32", "bfloat16"}
    assert result["phantom_clips_per_s_one_thread"] > 0 and result["float32_max_difference"] == 0
