"""Networks from published state dicts, and back: Echo2ECG, OTiS, EchoPrime; EchoNext-Mini, ECGFounder, PanEcho.

The one decision to question: the published ECG attention has two affine maps in a row before the softmax and two
after it. They are merged here, W = Wb Wa and b = Wb ba + bb, in float64, which changes no output beyond rounding. A
merged matrix cannot be split again, so the way back writes the merged map and an identity. Conversions are plain
tensor arithmetic and keep gradients. Key names: the published Echo2ECG code and torchvision's MViTv2-S and
ConvNeXt-base.
"""

from collections.abc import Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.ecg_encoder import EcgEncoder
from echo2ecg_core.models.ecgfounder import EcgFounder, unused_shapes
from echo2ecg_core.models.echo2ecg import Echo2ECG
from echo2ecg_core.models.echo_encoder import MViT
from echo2ecg_core.models.echonext import EchoNext
from echo2ecg_core.models.panecho import POSITION_TABLE, PanEcho
from echo2ecg_core.models.published_keys import (
    AGGREGATOR,
    CLIP_ENCODER_NAMES,
    IGNORED,
    TOWER_NAMES,
    State,
    check_state,
    component,
    ecg_encoder_shapes,
    ecg_encoder_spec,
    echo2ecg_shapes,
    echo2ecg_spec,
)
from echo2ecg_core.models.specs import N_LEADS, EcgEncoderSpec, ModelSpec
from echo2ecg_core.models.view_classifier import ViewClassifier

Network = TypeVar("Network", bound=nn.Module)


def ecg_encoder_from(state_dict: State, n_samples: int = 1008, heads: int | None = None) -> EcgEncoder:
    """The ECG encoder of a published state dict, in eval mode.

    Args:
        state_dict: Published keys ("blocks.0.attn.mha.in_proj_weight", ...), or a whole OTiS file with "model" and
            "domain_offsets".
        n_samples: Window length; the time code is interpolated when the weights know fewer patches.
        heads: Attention heads where the width is none of the published ones.

    Raises:
        ModelError: If a weight is missing, unknown, of another shape or not finite.
    """
    if "domain_offsets" in state_dict:
        state_dict = without_other_domains(state_dict)
    state_dict = {key: value for key, value in state_dict.items() if not key.startswith(IGNORED)}
    spec = ecg_encoder_spec(state_dict, n_samples, heads)
    check_state(state_dict, ecg_encoder_shapes(spec))
    encoder = EcgEncoder(spec)
    encoder.load_state_dict(merged_ecg_encoder(state_dict, spec))
    return encoder.eval()


def echo_encoder_from(state_dict: State) -> MViT:
    """EchoPrime's video encoder from its torchvision state dict, in eval mode; raises ModelError like the others."""
    head = state_dict.get("head.1.weight")
    dim = head.shape[0] if isinstance(head, Tensor) and head.ndim == 2 else 512
    with torch.device("meta"):
        network = MViT(dim)
    return _filled(network, state_dict, CLIP_ENCODER_NAMES)


def view_classifier_from(state_dict: State) -> ViewClassifier:
    """EchoPrime's view classifier from its torchvision state dict, in eval mode; raises ModelError like the others."""
    with torch.device("meta"):
        network = ViewClassifier()
    return _filled(network, state_dict, ())


def echonext_from(state_dict: State) -> EchoNext:
    """EchoNext-Mini from its published state dict, in eval mode; raises ModelError like the others."""
    with torch.device("meta"):
        network = EchoNext()
    return _filled(network, state_dict, ())


def ecgfounder_from(state_dict: State) -> EcgFounder:
    """ECGFounder from its published state dict, in eval mode; raises ModelError like the others.

    Args:
        state_dict: With all BatchNorm tensors of the checkpoint, which are checked and not used, or with none.
    """
    norms = unused_shapes()
    with torch.device("meta"):
        network = EcgFounder()
    if any(key in norms for key in state_dict):
        check_state(state_dict, {key: tuple(value.shape) for key, value in network.state_dict().items()} | norms)
    return _filled(network, {key: value for key, value in state_dict.items() if key not in norms}, ())


def panecho_from(state_dict: State) -> PanEcho:
    """PanEcho from its published state dict, in eval mode; raises ModelError like the others.

    Args:
        state_dict: With or without the table of positions, which is computed.
    """
    with torch.device("meta"):
        network = PanEcho()
    return _filled(network, {key: value for key, value in state_dict.items() if key != POSITION_TABLE}, ())


def echo2ecg_from(state_dict: State, n_samples: int | None = None, heads: int | None = None) -> Echo2ECG:
    """Both towers from the published state dict of a whole model (multi-view or single-view), in eval mode.

    Args:
        state_dict: Published keys with the component in front ("ecg_encoder.cls_token", ...).
        n_samples: Window length; None = as many patches as the weights know.
        heads: As in `ecg_encoder_from`.

    Raises:
        ModelError: If a weight is missing, unknown, of another shape or not finite.
    """
    state_dict = {key: value for key, value in state_dict.items() if not key.startswith("ecg_encoder.head.")}
    spec = echo2ecg_spec(state_dict, n_samples, heads)
    check_state(state_dict, echo2ecg_shapes(spec))
    network = Echo2ECG(spec)
    network.load_state_dict(merged_echo2ecg(state_dict, spec))
    return network.eval()


def merged_echo2ecg(state: State, spec: ModelSpec) -> dict[str, Tensor]:
    """State dict of `Echo2ECG(spec)` from the published one; differentiable."""
    ours: dict[str, Tensor] = {}
    if "ecg" in spec.parts:
        encoder = merged_ecg_encoder(component(state, "ecg_encoder."), spec.ecg_encoder)
        ours |= {f"ecg_encoder.{key}": value for key, value in encoder.items()}
    for key, value in state.items():
        for theirs, name in TOWER_NAMES:
            if key.startswith(theirs):
                ours[name + key.removeprefix(theirs)] = value
    for kind in ("weight", "bias"):
        if AGGREGATOR + kind in state:
            w = spec.study.width
            ours[f"study_pooling.q.{kind}"], ours[f"study_pooling.kv.{kind}"] = state[AGGREGATOR + kind].split(
                [w, 2 * w]
            )
    return ours


def merged_ecg_encoder(state: State, spec: EcgEncoderSpec) -> dict[str, Tensor]:
    """State dict of `EcgEncoder(spec)` from the published one; differentiable."""
    ours = {key: value for key, value in state.items() if ".attn." not in key}
    ours["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)  # (w, 1, 1, patch) -> (w, patch)
    ours["pos_embed_y"] = ours.pop("pos_embed_y.weight")[1:]  # row 0 pads and is never read
    ours["pos_embed_x"] = fitted_time_code(state["pos_embed_x"][0], spec.n_patches)
    for i in range(spec.depth):
        attn, mha = f"blocks.{i}.attn.", f"blocks.{i}.attn.mha."
        qkv = [
            merged_affine(*first, *second)
            for first, second in zip(
                _thirds(state, f"{attn}qkv.weight", f"{attn}qkv.bias"),
                _thirds(state, f"{mha}in_proj_weight", f"{mha}in_proj_bias"),
                strict=True,
            )
        ]
        ours[f"{attn}qkv.weight"], ours[f"{attn}qkv.bias"] = (torch.cat(parts) for parts in zip(*qkv, strict=True))
        names = [f"{name}.{kind}" for name in (f"{mha}out_proj", f"{attn}proj") for kind in ("weight", "bias")]
        ours[f"{attn}proj.weight"], ours[f"{attn}proj.bias"] = merged_affine(*(state[name] for name in names))
    return ours


def merged_affine(first_w: Tensor, first_b: Tensor, second_w: Tensor, second_b: Tensor) -> tuple[Tensor, Tensor]:
    """One affine map for two in a row: W = W2 W1, b = W2 b1 + b2, computed in float64."""
    weight = second_w.double() @ first_w.double()
    bias = second_w.double() @ first_b.double() + second_b.double()
    return weight.to(first_w.dtype), bias.to(first_b.dtype)


def _thirds(state: State, weight: str, bias: str):
    return zip(state[weight].chunk(3), state[bias].chunk(3), strict=True)


def fitted_time_code(table: Tensor, n_patches: int) -> Tensor:
    """Time code for `n_patches`, (1 + p, d) -> (1 + n_patches, d).

    Row 0 (class token) stays; a shorter table is interpolated linearly over time, a longer one gives its first rows.
    """
    first, rest = table[:1], table[1:]
    if len(rest) < n_patches:
        rest = F.interpolate(rest.T[None], size=n_patches, mode="linear", align_corners=False)[0].T
    return torch.cat([first, rest[:n_patches]])


def without_other_domains(checkpoint: Mapping) -> dict[str, Tensor]:
    """The ECG's share of an OTiS file {"model", "domain_offsets"}, with the keys of an ECG encoder.

    OTiS keeps the variates of all its domains in one table; the 12 leads start after row `domain_offsets["ecg"]`.

    Raises:
        ModelError: If the file knows no ECG or its table is too short.
    """
    state, offsets = checkpoint.get("model"), checkpoint["domain_offsets"]
    if not isinstance(state, Mapping) or not isinstance(offsets, Mapping) or not isinstance(offsets.get("ecg"), int):
        raise ModelError("The OTiS file has to hold 'model' and the ECG's place in 'domain_offsets'; one is missing.")
    table = state.get("pos_embed_y.weight")
    start = offsets["ecg"] + 1
    if not isinstance(table, Tensor) or table.ndim != 2 or start < 1 or len(table) < start + N_LEADS:
        found = tuple(table.shape) if isinstance(table, Tensor) else None
        raise ModelError(
            f"The OTiS file places the 12 leads at rows {start} to {start + N_LEADS - 1} of pos_embed_y, found {found}."
        )
    kept = {key: value for key, value in state.items() if not key.startswith(IGNORED)}
    kept["pos_embed_y.weight"] = torch.cat([torch.zeros_like(table[:1]), table[start : start + N_LEADS]])
    return kept


def _filled(network: Network, state: State, names: tuple[tuple[str, str], ...]) -> Network:
    """A network built on "meta" with the renamed tensors of a published state dict."""
    shapes = {_renamed(key, names, back=True): tuple(value.shape) for key, value in network.state_dict().items()}
    check_state(state, shapes)
    types = {_renamed(key, names, back=True): value.dtype for key, value in network.state_dict().items()}
    ours = {_renamed(key, names): value.detach().to(types[key], copy=True) for key, value in state.items()}
    network.load_state_dict(ours, assign=True)
    return network.eval()


def _renamed(key: str, names: tuple[tuple[str, str], ...], back: bool = False) -> str:
    for theirs, mine in names:
        key = key.replace(mine, theirs) if back else key.replace(theirs, mine)
    return key


def published_ecg_encoder(encoder: EcgEncoder) -> dict[str, Tensor]:
    """The published state dict of an ECG encoder: of each pair of maps the first is ours, the second an identity."""
    state, w = encoder.state_dict(), encoder.spec.width
    theirs = {key: value for key, value in state.items() if ".attn." not in key}
    theirs["patch_embed.proj.weight"] = state["patch_embed.proj.weight"][
        :, None, None
    ]  # (w, patch) -> (w, 1, 1, patch)
    theirs["pos_embed_y.weight"] = F.pad(theirs.pop("pos_embed_y"), (0, 0, 1, 0))
    theirs["pos_embed_x"] = state["pos_embed_x"][None]
    identity, zero = torch.eye(w), torch.zeros(w)
    for i in range(encoder.spec.depth):
        attn = f"blocks.{i}.attn."
        theirs |= {f"{attn}qkv.{kind}": state[f"{attn}qkv.{kind}"] for kind in ("weight", "bias")}
        theirs |= {f"{attn}mha.in_proj_weight": identity.repeat(3, 1), f"{attn}mha.in_proj_bias": zero.repeat(3)}
        theirs |= {f"{attn}mha.out_proj.{kind}": state[f"{attn}proj.{kind}"] for kind in ("weight", "bias")}
        theirs |= {f"{attn}proj.weight": identity, f"{attn}proj.bias": zero}
    return {key: value.clone() for key, value in theirs.items()}


def published_echo2ecg(network: Echo2ECG) -> dict[str, Tensor]:
    """The published state dict of a whole model.

    Raises:
        ModelError: If the model has parts for which the published layout has no keys.
    """
    spec, state = network.spec, network.state_dict()
    if spec.alignment.head != "linear" or spec.study.pooling == "cls" or spec.ecg_encoder.pooling == "attention":
        raise ModelError("The published layout has no place for this model's alignment head or pooling.")
    theirs: dict[str, Tensor] = {}
    if "ecg" in spec.parts:
        theirs |= {f"ecg_encoder.{key}": value for key, value in published_ecg_encoder(network.ecg_encoder).items()}
    for published_name, name in TOWER_NAMES:
        theirs |= {published_name + key: value.clone() for key, value in component(state, name).items()}
    if spec.study.pooling == "attention" and "study" in spec.parts:
        for kind in ("weight", "bias"):
            theirs[AGGREGATOR + kind] = torch.cat([state[f"study_pooling.q.{kind}"], state[f"study_pooling.kv.{kind}"]])
    return theirs


def published_echo_encoder(network: MViT) -> dict[str, Tensor]:
    """The torchvision state dict of the video encoder."""
    return {_renamed(key, CLIP_ENCODER_NAMES, back=True): value.clone() for key, value in network.state_dict().items()}
