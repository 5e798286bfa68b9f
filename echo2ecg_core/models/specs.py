"""Frozen descriptions of a model: what it reads and how its networks are built.

A spec travels inside the checkpoint, so a network is always rebuilt as it was trained. The sampling rate and the
order of cleaning and resampling are spec fields because no source confirms them for the published weights. Sizes:
Echo2ECG (arXiv 2603.08505), the ECG encoder family is OTiS.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from echo2ecg_core.errors import ModelError

N_LEADS = 12
PARTS = ("ecg", "ecg_alignment", "study")


@dataclass(frozen=True)
class _Spec:
    """Turns the dataclasses below into plain dictionaries and back."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the spec (nested specs too), ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec described by `values`; fields that are absent take their default.

        Raises:
            ModelError: If `values` is no mapping, names a field that the spec does not have, or holds an impossible
                value.
        """
        if not isinstance(values, Mapping):
            raise ModelError(f"A {cls.__name__} has to be a table of fields, found {type(values).__name__}.")
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ModelError(
                f"{cls.__name__} does not know the field {unknown[0]!r} (it has {', '.join(known)}).",
                "The checkpoint was probably written by a newer version of this program.",
            )
        return cls(**{name: _field_value(known[name].type, value) for name, value in values.items()})


def _field_value(wanted, value):
    if isinstance(wanted, type) and issubclass(wanted, _Spec) and not isinstance(value, wanted):
        return wanted.from_dict(value)
    return tuple(value) if isinstance(value, list) else value


def _one_of(spec: _Spec, name: str, allowed: tuple[str, ...]) -> None:
    found = getattr(spec, name)
    if found not in allowed:
        raise ModelError(f"{type(spec).__name__}.{name} has to be one of {', '.join(allowed)}; found {found!r}.")


def _positive(spec: _Spec, *names: str) -> None:
    for name in names:
        found = getattr(spec, name)
        if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
            raise ModelError(f"{type(spec).__name__}.{name} has to be a number above 0; found {found!r}.")


@dataclass(frozen=True)
class EcgInputSpec(_Spec):
    """How a record becomes the network's input.

    Attributes:
        sampling_rate_hz: Rate the signal is resampled to.
        n_samples: Length of one window at that rate.
        order: "clean_then_resample" or "resample_then_clean".
        windows: "first" (the published evaluation) or "all" non-overlapping windows, averaged.
    """

    sampling_rate_hz: float = 400.0
    n_samples: int = 1008
    order: str = "clean_then_resample"
    windows: str = "first"

    def __post_init__(self):
        _positive(self, "sampling_rate_hz", "n_samples")
        _one_of(self, "order", ("clean_then_resample", "resample_then_clean"))
        _one_of(self, "windows", ("first", "all"))


@dataclass(frozen=True)
class EcgEncoderSpec(_Spec):
    """Sizes of the ECG transformer.

    Attributes:
        width: Channels of a token; half of them carry the lead, a quarter each the sine and cosine of time.
        depth: Number of blocks.
        heads: Attention heads; `width` is a multiple of it.
        mlp_ratio: Hidden width of the MLP divided by `width`.
        patch: Samples of one lead in one token.
        n_samples: Window length in samples; what is left after whole patches is dropped.
        drop_path: Stochastic depth of the last block (rises linearly from 0).
        pooling: "mean", "max", "cls" or "attention": how tokens become one vector.
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    mlp_ratio: float = 4
    patch: int = 24
    n_samples: int = 1008
    drop_path: float = 0.1
    pooling: str = "mean"

    def __post_init__(self):
        _positive(self, "width", "depth", "heads", "mlp_ratio", "patch", "n_samples")
        _one_of(self, "pooling", ("mean", "max", "cls", "attention"))
        if self.width % self.heads or self.width % 4:
            raise ModelError(
                f"The ECG encoder's width ({self.width}) has to be a multiple of 4 and of its heads ({self.heads})."
            )
        if self.n_samples < self.patch:
            raise ModelError(f"The window ({self.n_samples} samples) has to hold at least one patch ({self.patch}).")

    @property
    def n_patches(self) -> int:
        """Patches along time."""
        return self.n_samples // self.patch


@dataclass(frozen=True)
class ClipEncoderSpec(_Spec):
    """Which video network embeds a clip.

    Attributes:
        kind: "mvit_v2_s" (EchoPrime's) or "phantom_video" (the small demo network).
        dim: Length of a clip vector.
        padding: Whether missing frames are zero "before_normalising" (Echo2ECG) or "after_normalising" (EchoPrime).
    """

    kind: str = "mvit_v2_s"
    dim: int = 512
    padding: str = "before_normalising"

    def __post_init__(self):
        _positive(self, "dim")
        _one_of(self, "kind", ("mvit_v2_s", "phantom_video"))
        _one_of(self, "padding", ("before_normalising", "after_normalising"))


@dataclass(frozen=True)
class StudySpec(_Spec):
    """How the clips of a study become one vector.

    Attributes:
        clip_dim: Length of a clip vector.
        width: Length of the study vector ("single_view" has no projection: there it is `clip_dim`).
        heads: Attention heads of the pooling.
        pooling: "attention", "mean", "cls" or "single_view".
        max_views: Clips of one study that are used.
    """

    clip_dim: int = 512
    width: int = 1024
    heads: int = 4
    pooling: str = "attention"
    max_views: int = 128

    def __post_init__(self):
        _positive(self, "clip_dim", "width", "heads", "max_views")
        _one_of(self, "pooling", ("attention", "mean", "cls", "single_view"))
        if self.width % self.heads:
            raise ModelError(f"The study width ({self.width}) has to be a multiple of its heads ({self.heads}).")

    @property
    def out_dim(self) -> int:
        """Length of a study vector."""
        return self.clip_dim if self.pooling == "single_view" else self.width


@dataclass(frozen=True)
class AlignmentSpec(_Spec):
    """The heads that bring both sides into one space: `dim` numbers through a "linear", "mlp" or "star" head."""

    dim: int = 512
    head: str = "linear"

    def __post_init__(self):
        _positive(self, "dim")
        _one_of(self, "head", ("linear", "mlp", "star"))


@dataclass(frozen=True)
class ModelSpec(_Spec):
    """Everything needed to rebuild a model and to prepare its inputs.

    Attributes:
        temperature: Of the contrastive loss; the initial value when `learnable_temperature`.
        learnable_temperature: Whether the temperature is a trained parameter.
        parts: Which of `PARTS` the model has. Released weights hold the ECG tower only; a part that was never trained
            is left out instead of being random.
    """

    ecg_input: EcgInputSpec = field(default_factory=EcgInputSpec)
    ecg_encoder: EcgEncoderSpec = field(default_factory=EcgEncoderSpec)
    clip_encoder: ClipEncoderSpec = field(default_factory=ClipEncoderSpec)
    study: StudySpec = field(default_factory=StudySpec)
    alignment: AlignmentSpec = field(default_factory=AlignmentSpec)
    temperature: float = 0.5
    learnable_temperature: bool = False
    parts: tuple[str, ...] = PARTS

    @property
    def shares_space(self) -> bool:
        """True when ECGs and echo studies can be compared: the model has every part."""
        return set(self.parts) == set(PARTS)

    def __post_init__(self):
        _positive(self, "temperature")
        if not self.parts or set(self.parts) - set(PARTS):
            raise ModelError(f"ModelSpec.parts has to name some of {', '.join(PARTS)}; found {self.parts!r}.")
        if self.ecg_input.n_samples != self.ecg_encoder.n_samples:
            raise ModelError(
                f"The ECG window ({self.ecg_input.n_samples} samples) and the ECG encoder's window "
                f"({self.ecg_encoder.n_samples}) have to be equal."
            )
        if self.clip_encoder.dim != self.study.clip_dim:
            raise ModelError(
                f"The clip encoder gives {self.clip_encoder.dim} numbers, the study expects {self.study.clip_dim}."
            )


PRESETS: dict[str, ModelSpec] = {
    "base": ModelSpec(),
    "large": ModelSpec(ecg_encoder=EcgEncoderSpec(width=384, depth=18, heads=6)),
    "huge": ModelSpec(ecg_encoder=EcgEncoderSpec(width=576, depth=24, heads=8)),
    "demo": ModelSpec(
        ecg_input=EcgInputSpec(windows="all"),
        ecg_encoder=EcgEncoderSpec(width=96, depth=4, heads=3, patch=48),
        clip_encoder=ClipEncoderSpec(kind="phantom_video"),
        study=StudySpec(width=256),
        temperature=0.1,
    ),
}
