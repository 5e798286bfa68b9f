"""Ready heads: published models of others that answer without readouts fitted here. One row of `READY` each.

The next model is one file of network (models/), one function of input (ecg/ or echo/) and one row below.
docs/pages/models.md names the ones to come and what stands in their way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from echo2ecg_core.ecg.preprocess import echonext_tabular, prepare_ecgfounder, prepare_echonext
from echo2ecg_core.echo.preprocess import prepare_panecho
from echo2ecg_core.models.ecgfounder import EcgFounder
from echo2ecg_core.models.echonext import EchoNext
from echo2ecg_core.models.panecho import POSITION_TABLE, TASKS, PanEcho, published_outputs
from echo2ecg_core.models.published import ecgfounder_from, echonext_from, panecho_from

ECG, CLIP = "ECG", "clip"


@dataclass(frozen=True)
class Output:
    """One number a model gives.

    Attributes:
        name: As published; for an item of several classes "item: class".
        kind: "score" (between 0 and 1, no chance until recalibrated) or "value".
        unit: Of a value.
    """

    name: str
    kind: str = "score"
    unit: str = ""


@dataclass(frozen=True)
class ReadyHead:
    """A published model: how it is recognised, fed and read, and what a person has to know of it.

    Attributes:
        kind: Its id; name: as people call it.
        reads: `ECG` or `CLIP`.
        telling: Keys that only this model's weights have together.
        network: Builds it with fresh weights. from_state: builds it from published weights, checked.
        optional: Keys of the file that are not needed.
        lets_extra_pass: True where the authors' own loader is not strict: other keys are reported, not refused.
        prepare: Input arrays for the network: of an ECG (signal_mv, sampling_rate_hz, numbers), of a clip (frames).
        raw: (network, *inputs with a batch axis) -> (b, n) before sigmoid or softmax; averaged over the clips of a
            video. told: raw (b, n) -> published outputs (b, n), in the order of `outputs`.
        embed: (network, windows) -> (b, d), None where it is no encoder.
        wanted_hz: Sampling rate of its ECGs.
        needs_numbers: True where age, sex and measurements are part of the input.
        can: What it can do, in words.
        licence, source, size: Of the weights, in words. source_sha256: where third parties have told it.
        trained_on, left_out: In words; whom the authors left out.
    """

    kind: str
    name: str
    reads: str
    telling: tuple[str, ...]
    network: Callable[[], nn.Module]
    from_state: Callable[[Mapping[str, Tensor]], nn.Module]
    prepare: Callable[..., tuple[np.ndarray, ...]]
    raw: Callable[..., Tensor]
    told: Callable[[Tensor], Tensor]
    outputs: tuple[Output, ...]
    can: str
    licence: str
    source: str
    size: str
    trained_on: str
    left_out: str
    embed: Callable[..., Tensor] | None = None
    wanted_hz: float = 0.0
    needs_numbers: bool = False
    optional: tuple[str, ...] = ()
    lets_extra_pass: bool = False
    source_sha256: str = ""


def answers(head: ReadyHead, network: nn.Module, *inputs: np.ndarray) -> np.ndarray:
    """Published outputs of prepared inputs with a batch axis each, (b, outputs) float32."""
    return head.told(raw_answers(head, network, *inputs)).numpy()


def raw_answers(head: ReadyHead, network: nn.Module, *inputs: np.ndarray) -> Tensor:
    """What the network gives before sigmoid or softmax, (b, outputs) on the CPU; it computes where its weights lie."""
    import torch

    device = next(network.parameters()).device
    with torch.inference_mode():
        return head.raw(network, *(torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in inputs)).cpu()


def kind_of(state: Mapping) -> str | None:
    """The ready model whose keys these are, None for any other weights."""
    return next((kind for kind, head in READY.items() if all(key in state for key in head.telling)), None)


def _panecho_raw(network: PanEcho, clips: Tensor) -> Tensor:
    import torch

    return torch.cat(list(network.raw(network.embed(clips)).values()), dim=1)  # (b, 58)


def _panecho_told(raw: Tensor) -> Tensor:
    import torch

    parts = raw.split([task.n_outputs for task in TASKS], dim=1)
    found = published_outputs({task.name: part for task, part in zip(TASKS, parts, strict=True)})
    return torch.cat(list(found.values()), dim=1)


def _panecho_outputs() -> tuple[Output, ...]:
    found = []
    for task in TASKS:
        if task.kind == "number":
            found.append(Output(task.name, "value", {"cm3": "mL", "1": ""}.get(task.unit, task.unit)))
        else:
            found += [
                Output(f"{task.name}: {name}") for name in (task.classes if task.kind == "classes" else [task.told])
            ]
    return tuple(found)


READY: dict[str, ReadyHead] = {
    head.kind: head
    for head in (
        ReadyHead(
            kind="echonext",
            name="EchoNext-Mini",
            reads=ECG,
            telling=("conv1.weight", "layer4.2.bn2.running_var", "output.weight"),
            network=EchoNext,
            from_state=echonext_from,
            prepare=lambda signal_mv, hz, numbers: (prepare_echonext(signal_mv, hz), echonext_tabular(**numbers)),
            raw=lambda network, windows, numbers: network(windows, numbers),
            told=lambda raw: raw.sigmoid(),
            outputs=tuple(Output(name) for name in EchoNext.labels),
            can="Second reader: 12 structural findings from an ECG and seven numbers",
            licence="No licence is stated, neither for the code nor for the weights: ask the authors before you use it "
            "for anything but a look.",
            source="Columbia University, GitHub PierreElias/IntroECG, folder 7-EchoNext Minimodel, file weights.pt",
            size="4.2 MB of tensors",
            trained_on="ECGs of adults at Columbia University with an echo, 12-lead, GE MUSE",
            left_out="under 18 or age unknown, sex unknown, poor data quality, ventricular pacing, none of the five "
            "measurements",
            wanted_hz=250.0,
            needs_numbers=True,
        ),
        ReadyHead(
            kind="ecgfounder",
            name="ECGFounder",
            reads=ECG,
            telling=("first_conv.conv.weight", "stage_list.0.block_list.0.conv1.conv.weight"),
            network=EcgFounder,
            from_state=ecgfounder_from,
            prepare=lambda signal_mv, hz, numbers: (prepare_ecgfounder(signal_mv, hz),),
            raw=lambda network, windows: network.logits(windows),
            told=lambda raw: raw.sigmoid(),
            outputs=tuple(Output(name) for name in EcgFounder.labels),
            embed=lambda network, windows: network.embed(windows),
            can="Second reader: 150 ECG statements; encoder: 1,024 numbers an ECG",
            licence="MIT, as third parties say of the weights; the code is MIT.",
            source="Peking University, Hugging Face PKUDigitalHealth/ECGFounder, file 12_lead_ECGFounder.pth",
            size="124 MB of tensors",
            trained_on="over 10 million ECGs of the Harvard-Emory ECG Database with the statements of the cart",
            left_out="not told in what is known here",
            wanted_hz=500.0,
            source_sha256="ee199f3781f4ae1f732973267f003da0a759ea12bddb0dd28a77faa60aca7997",
        ),
        ReadyHead(
            kind="panecho",
            name="PanEcho",
            reads=CLIP,
            telling=("encoder.encoder.model.features.0.0.weight", "encoder.transformer.layers.0.linear1.weight"),
            network=PanEcho,
            from_state=panecho_from,
            prepare=lambda frames: (prepare_panecho(frames),),
            raw=_panecho_raw,
            told=_panecho_told,
            outputs=_panecho_outputs(),
            can="Machine reading of echo studies: 40 report items from clips of any view",
            licence="CC BY-NC-SA 4.0: not commercial, name the authors, the same licence for what is derived from it.",
            source="Yale CarDS Lab, GitHub CarDS-Yale/PanEcho, release v1.0, file panecho.pt",
            size="482 MB, of which 168 MB are used",
            trained_on="transthoracic echo videos of Yale New Haven Health with the reports of the laboratory",
            left_out="not told in what is known here",
            optional=(POSITION_TABLE,),
            lets_extra_pass=True,
        ),
    )
}
