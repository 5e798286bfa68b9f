"""The published key names: which weights a published state dict holds, of which shapes, and what they tell of the
network.

Weights are recognised and sized by these keys and shapes, never by a file's name. Key names: the published Echo2ECG
code and torchvision's MViTv2-S.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from echo2ecg_core.errors import ModelError
from echo2ecg_core.models.specs import (
    N_LEADS,
    PRESETS,
    AlignmentSpec,
    EcgEncoderSpec,
    EcgInputSpec,
    ModelSpec,
    StudySpec,
)

State = Mapping[str, Tensor]
Shape = tuple[int | None, ...]  # None: any length

HEADS = {p.ecg_encoder.width: p.ecg_encoder.heads for n, p in PRESETS.items() if n != "demo"}
IGNORED = ("head.", "decoder", "mask_token")  # inherited classifier and pretraining parts of an ECG encoder
CLIP_ENCODER_NAMES = (  # published, ours
    ("pos_encoding.class_token", "class_token"),
    (".pool.weight", ".conv.weight"),
    (".norm_act.0.", ".norm."),
    (".attn.project.0.", ".attn.proj."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.3.", ".mlp.fc2."),
    ("head.1.", "head."),
)
TOWER_NAMES = (  # published, ours
    ("token_aggregator.ecg_layernorm_global.", "token_pooling.norm."),
    ("ecg_alignment_global_token.", "ecg_alignment."),
    ("echo_projection_for_agg.", "view_projection."),
    ("echo_view_aggregator.aggregator.mha.out_proj.", "study_pooling.proj."),
    ("echo_alignment_global_token.", "study_alignment."),
)
AGGREGATOR = "echo_view_aggregator.aggregator.mha.in_proj_"


def ecg_encoder_spec(state: State, n_samples: int | None = 1008, heads: int | None = None) -> EcgEncoderSpec:
    """Sizes of a published ECG encoder, read from the shapes of its weights.

    Raises:
        ModelError: If a weight that tells a size is missing or no such tensor, **or** nothing tells the number of
            heads.
    """
    width = _length(state, "cls_token", 3, 2)
    hidden = _length(state, "blocks.0.mlp.fc1.weight", 2, 0)
    patch = _length(state, "patch_embed.proj.weight", 4, 3)
    n_patches = _length(state, "pos_embed_x", 3, 1) - 1
    heads = heads or HEADS.get(width)
    if heads is None:
        raise ModelError(
            f"The ECG encoder's width is {width}; published are {', '.join(map(str, HEADS))}, "
            "so its number of heads is unknown.",
            "Give the number of attention heads.",
        )
    depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    return EcgEncoderSpec(
        width=width,
        depth=depth,
        heads=heads,
        mlp_ratio=hidden / width,
        patch=patch,
        n_samples=n_samples or n_patches * patch,
    )


def echo2ecg_spec(state: State, n_samples: int | None = None, heads: int | None = None) -> ModelSpec:
    """Spec of a published whole model; parts without any weight are left out of `parts`."""
    parts, model = [], ModelSpec()
    if any(key.startswith("ecg_encoder.") for key in state):
        parts.append("ecg")
        ecg = ecg_encoder_spec(component(state, "ecg_encoder."), n_samples, heads)
        model = replace(model, ecg_encoder=ecg, ecg_input=EcgInputSpec(n_samples=ecg.n_samples))
    if (key := "ecg_alignment_global_token.weight") in state:
        parts.append("ecg_alignment")
        model = replace(model, alignment=AlignmentSpec(dim=_length(state, key, 2, 0)))
    if (key := "echo_alignment_global_token.weight") in state:
        parts.append("study")
        model = replace(model, alignment=AlignmentSpec(dim=_length(state, key, 2, 0)), study=_study_spec(state))
    if not parts:
        raise ModelError("These are not the weights of an Echo2ECG model: none of its parts is in the file.")
    return replace(model, parts=tuple(parts))


def _study_spec(state: State) -> StudySpec:
    width = _length(state, "echo_alignment_global_token.weight", 2, 1)
    if "echo_projection_for_agg.weight" not in state:
        return StudySpec(clip_dim=width, pooling="single_view")
    attention = any(key.startswith("echo_view_aggregator.") for key in state)
    clip_dim = _length(state, "echo_projection_for_agg.weight", 2, 1)
    return StudySpec(clip_dim=clip_dim, width=width, pooling="attention" if attention else "mean")


def _length(state: State, key: str, n_axes: int, axis: int) -> int:
    """Length of one axis of a weight that tells a size."""
    if key not in state:
        raise ModelError(f"The weight {key} is missing; without it the sizes of the network are unknown.")
    check_tensor(key, state[key], (None,) * n_axes)
    return state[key].shape[axis]


def ecg_encoder_shapes(spec: EcgEncoderSpec) -> dict[str, Shape]:
    """Published keys of an ECG encoder with the shapes this spec asks for."""
    w, hidden = spec.width, int(spec.width * spec.mlp_ratio)
    shapes: dict[str, Shape] = {
        "cls_token": (1, 1, w),
        "pos_embed_x": (1, None, w // 2),
        "pos_embed_y.weight": (1 + N_LEADS, w // 2),
        "patch_embed.proj.weight": (w, 1, 1, spec.patch),
        **{f"patch_embed.{name}": (w,) for name in ("proj.bias", "norm.weight", "norm.bias")},
    }
    linear = {
        "attn.qkv": (3 * w, w),
        "attn.mha.out_proj": (w, w),
        "attn.proj": (w, w),
        "mlp.fc1": (hidden, w),
        "mlp.fc2": (w, hidden),
    }
    for i in range(spec.depth):
        shapes |= {f"blocks.{i}.{norm}.{kind}": (w,) for norm in ("norm1", "norm2") for kind in ("weight", "bias")}
        shapes |= {f"blocks.{i}.attn.mha.in_proj_weight": (3 * w, w), f"blocks.{i}.attn.mha.in_proj_bias": (3 * w,)}
        for name, shape in linear.items():
            shapes |= {f"blocks.{i}.{name}.weight": shape, f"blocks.{i}.{name}.bias": shape[:1]}
    return shapes


def echo2ecg_shapes(spec: ModelSpec) -> dict[str, Shape]:
    """Published keys of a whole model with the shapes this spec asks for; only those of its parts."""
    shapes: dict[str, Shape] = {}
    ecg, study, dim = spec.ecg_encoder.width, spec.study, spec.alignment.dim
    if "ecg" in spec.parts:
        shapes |= {f"ecg_encoder.{key}": shape for key, shape in ecg_encoder_shapes(spec.ecg_encoder).items()}
        shapes |= {f"token_aggregator.ecg_layernorm_global.{kind}": (ecg,) for kind in ("weight", "bias")}
    if "ecg_alignment" in spec.parts:
        shapes["ecg_alignment_global_token.weight"] = (dim, ecg)
    if "study" in spec.parts:
        shapes["echo_alignment_global_token.weight"] = (dim, study.out_dim)
        if study.pooling != "single_view":
            shapes |= {
                "echo_projection_for_agg.weight": (study.width, study.clip_dim),
                "echo_projection_for_agg.bias": (study.width,),
            }
        if study.pooling == "attention":
            mha, w = "echo_view_aggregator.aggregator.mha.", study.width
            shapes |= {f"{mha}in_proj_weight": (3 * w, w), f"{mha}in_proj_bias": (3 * w,)}
            shapes |= {f"{mha}out_proj.weight": (w, w), f"{mha}out_proj.bias": (w,)}
    return shapes


def check_state(state: State, shapes: Mapping[str, Shape]) -> None:
    """Raises a ModelError for the first weight that is missing, unknown, of another shape or not finite."""
    missing, unexpected = sorted(shapes.keys() - state.keys()), sorted(state.keys() - shapes.keys())
    if missing:
        raise ModelError(f"{len(missing)} of {len(shapes)} expected weights are missing: {_first_few(missing)}.")
    if unexpected:
        raise ModelError(f"{len(unexpected)} weights are unknown to this network: {_first_few(unexpected)}.")
    for key, shape in shapes.items():
        check_tensor(key, state[key], shape)


def check_tensor(key: str, value, shape: Shape) -> None:
    """Raises a ModelError unless `value` is a tensor of this shape (None = any length) with finite numbers."""
    if not isinstance(value, Tensor):
        raise ModelError(f"The weight {key} has to be a tensor, found {type(value).__name__}.")
    fits = value.ndim == len(shape) and all(
        want in (None, found) for want, found in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if n is None else n for n in shape)
        raise ModelError(f"The weight {key} has the shape {tuple(value.shape)}, expected {wanted}.")
    if not bool(value.isfinite().all()):
        raise ModelError(
            f"The weight {key} holds values that are not finite numbers.",
            "The file is damaged or its training diverged.",
        )


def _first_few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def component(state: State, prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
