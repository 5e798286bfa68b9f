"""What is compared, on whom, and how large: the constants of PROTOCOL.md.

Once an arm was trained on a phantom nothing here changes without a line under "Deviations" there.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from echo2ecg_core.ecg.augment_spec import AugmentationSpec
from echo2ecg_core.echo.clip import VIEWS
from echo2ecg_core.models.specs import PRESETS, EcgEncoderSpec, ModelSpec
from echo2ecg_core.training.parameters import RunParameters
from echo2ecg_core.training.single_clip_encoder import SingleClipTraining

PARTS = ("train", "validation", "test")
COHORT_SEEDS = {  # by version of the phantom
    2: {"train": 3101, "validation": 3102, "test": 3103},
    3: {"train": 3201, "validation": 3202, "test": 3203},
}
WITHIN_DAYS = 7
REFERENCE = "attention"
WORTH_HAVING = {"lvef error": 0.15, "precision@10": 0.01}  # points of LVEF; a hundredth
PRIMARY = (  # attention against whom, on which endpoint
    ("a4c", "lvef error"),
    ("random_clip", "lvef error"),
    ("mean", "lvef error"),
    ("masked", "lvef error"),
    ("a4c", "precision@10"),
    ("random_clip", "precision@10"),
    ("mean", "precision@10"),
)
SINGLE_VIEWS = ("a4c", "random_clip")
VALUES = ("lvef", "tapse", "lavi", "rvsp", "lvedv", "ivsd")
CLASSES = (
    "lvef_le_40",
    "structural_heart_disease",
    "rv_dysfunction",
    "la_enlargement",
    "aortic_stenosis",
    "mitral_regurgitation",
    "tricuspid_regurgitation",
    "lv_hypertrophy",
)
SEARCHED = ("lvef", "tapse", "lavi", "ivsd")
FEWEST_SEEDS = 3  # that every arm needs for a verdict
RECIPE_SEED = 50


@dataclass(frozen=True)
class Arm:
    """One way to teach an ECG encoder.

    Attributes:
        label: As the tables say it.
        pooling: Of the study tower; None where the arm sees no study.
        views: Only clips of these views; None: all.
        objective: Of `RunParameters`; None: weights stay random.
        multi: Whether a study enters with several clips in a step, so that the share left out counts.
    """

    label: str
    pooling: str | None = None
    views: tuple[int, ...] | None = None
    objective: str | None = "contrastive"
    multi: bool = False


ARMS = {
    "attention": Arm("Multi-view, attention", "attention", multi=True),
    "mean": Arm("Multi-view, mean", "mean", multi=True),
    "a4c": Arm("Single view, A4C", "single_view", (list(VIEWS).index("A4C"),)),
    "random_clip": Arm("One random clip a step", "single_view"),
    "masked": Arm("Masked ECG only", objective="masked"),
    "random": Arm("Random weights", objective=None),
}
TRAINED = tuple(name for name, arm in ARMS.items() if arm.objective)
SEARCHING = tuple(name for name, arm in ARMS.items() if arm.pooling)
CURVE_ARMS = ("attention", "a4c", "random_clip")
FEATURES = "features"
LABELS = {
    **{name: arm.label for name, arm in ARMS.items()},
    FEATURES: "Gradient boosting on measured features (supervised)",
}


@dataclass(frozen=True)
class Recipe:
    """What is chosen on validation patients: the peak rate, and the chance of each clip to be left out of a step."""

    lr: float
    view_dropout: float

    @property
    def name(self) -> str:
        return f"lr{self.lr:g}-without{self.view_dropout:g}"


@dataclass(frozen=True)
class Point:
    """One training set of the curves: how many patients, and which by the mean quality of their clips ("any", "best",
    "poorest")."""

    patients: int
    quality: str = "any"

    @property
    def name(self) -> str:
        return f"{self.patients}-{self.quality}"


@dataclass(frozen=True)
class Plan:
    """All sizes of one comparison.

    Attributes:
        version: Of the phantom.
        patients: By part: how many with an ECG within a week of their first study.
        clips: Of every study that are drawn by lot, an A4C always among them where the study has one.
        shard: Patients simulated in one task.
        encoder_clips: Of these, how many of every training study train the clip encoder.
        encoder: How it is trained.
        ecg_encoder, width: Sizes of the ECG transformer and of the study tower.
        start_epochs, recipe_epochs, arm_epochs, curve_epochs: Of as many patients as train; a smaller set of the curves
            sees as many pairs in more epochs.
        start_lr: Of the common start.
        batch_size: Pairs a step.
        seeds, curve_seeds: Which.
        grid: Recipes among which is chosen.
        points: Of the curves.
        resamples: Of the primary endpoints; secondary ones and curves have a quarter.
        budgets_s: Processor seconds: "arms" for start, recipe and arms, "curves" for the curves.
    """

    version: int
    patients: dict[str, int]
    clips: int = 10
    shard: int = 40
    encoder_clips: int = 6
    encoder: SingleClipTraining = SingleClipTraining()
    ecg_encoder: EcgEncoderSpec = PRESETS["demo"].ecg_encoder
    width: int = 256
    start_epochs: int = 60
    recipe_epochs: int = 6
    arm_epochs: int = 16
    curve_epochs: int = 6
    start_lr: float = 2e-3
    batch_size: int = 32
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    curve_seeds: tuple[int, ...] = (0, 1)
    grid: tuple[Recipe, ...] = (Recipe(3e-4, 0.0), Recipe(3e-4, 0.5), Recipe(1e-3, 0.0), Recipe(1e-3, 0.5))
    points: tuple[Point, ...] = (
        Point(250),
        Point(660),
        Point(2000),
        Point(660, "best"),
        Point(660, "poorest"),
    )
    resamples: int = 4000
    budgets_s: dict[str, float] = field(default_factory=lambda: {"arms": 4 * 3600.0, "curves": 6000.0})

    def spec(self, arm: str) -> ModelSpec:
        """The networks of an arm."""
        demo = PRESETS["demo"]
        pooling = ARMS[arm].pooling or demo.study.pooling
        return replace(demo, ecg_encoder=self.ecg_encoder, study=replace(demo.study, width=self.width, pooling=pooling))

    def run(self, arm: str, recipe: Recipe, epochs: int, seed: int) -> RunParameters:
        """How an arm is trained."""
        return RunParameters(
            objective=ARMS[arm].objective or "contrastive",
            epochs=epochs,
            warmup_epochs=epochs / 10,
            batch_size=self.batch_size,
            lr=recipe.lr,
            view_dropout=recipe.view_dropout if ARMS[arm].multi else 0.0,
            weight_decay=0.05,
            layer_decay=1.0,
            epoch_of="patients",
            clip_norm=1.0,
            same_patient_negatives=False,
            seed=100 + seed,
            augmentation=AugmentationSpec(
                gain_std=0.1, time_flip_probability=0.0, sign_flip_probability=0.0, jitter_strength=0.3
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for the file that a folder is known by."""
        return asdict(self)


def full_plan(version: int) -> Plan:
    """The comparison of PROTOCOL.md."""
    return Plan(version, {"train": 2000, "validation": 500, "test": 3200})


def small_plan(version: int) -> Plan:
    """A dry run on a hundred patients in minutes: every stage, arm and table, and no answer."""
    return replace(
        full_plan(version),
        patients={"train": 60, "validation": 20, "test": 20},
        clips=5,
        shard=10,
        encoder_clips=4,
        encoder=SingleClipTraining(epochs=2, batch_size=24),
        start_epochs=2,
        recipe_epochs=1,
        arm_epochs=2,
        curve_epochs=1,
        batch_size=16,
        seeds=(0, 1),
        curve_seeds=(0,),
        grid=(Recipe(3e-4, 0.5), Recipe(1e-3, 0.5)),
        points=(Point(20), Point(60), Point(20, "best"), Point(20, "poorest")),
        resamples=400,
        budgets_s={"arms": 1500.0, "curves": 500.0},
    )
