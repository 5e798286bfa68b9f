"""ECGFounder: 1,024 numbers and 150 statements from an ECG (PKUDigitalHealth/ECGFounder, code MIT).

A one-dimensional residual network with gated, grouped convolutions. Its checkpoint holds BatchNorm tensors, but the
network is published with them switched off: they are accepted (`unused_shapes`) and not used. The modules are named as
published. The published constructor gives 30.8 million parameters; the paper says 76.3.

Notation used for tensor shapes: b batch, c channels, t time.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from echo2ecg_core.errors import ModelError

WINDOW = (12, 5000)
FIRST, WIDTHS, DEPTHS = 64, (64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4)
KERNEL, GROUP_WIDTH = 16, 16
LABELS = tuple(  # the wording of GE's statements, some of them fragments; in the order of the outputs
    """
ABNORMAL ECG; NORMAL SINUS RHYTHM; NORMAL ECG; SINUS RHYTHM; SINUS BRADYCARDIA; ATRIAL FIBRILLATION; SINUS
TACHYCARDIA; otherwise normal ecg; LEFT AXIS DEVIATION; PREMATURE VENTRICULAR COMPLEXES; BORDERLINE ECG; RIGHT
BUNDLE BRANCH BLOCK; SEPTAL INFARCT; LEFT ATRIAL ENLARGEMENT; NONSPECIFIC T WAVE ABNORMALITY; LOW VOLTAGE QRS;
PREMATURE ATRIAL COMPLEXES; ANTERIOR INFARCT; INCOMPLETE RIGHT BUNDLE BRANCH BLOCK; PREMATURE SUPRAVENTRICULAR
COMPLEXES; LEFT BUNDLE BRANCH BLOCK; NONSPECIFIC T WAVE ABNORMALITY NOW EVIDENT IN; NONSPECIFIC T WAVE
ABNORMALITY NO LONGER EVIDENT IN; T WAVE INVERSION NOW EVIDENT IN; LATERAL INFARCT; NONSPECIFIC ST ABNORMALITY;
LEFT VENTRICULAR HYPERTROPHY; T WAVE INVERSION NO LONGER EVIDENT IN; WITH RAPID VENTRICULAR RESPONSE; QT HAS
SHORTENED; QT HAS LENGTHENED; FUSION COMPLEXES; ATRIAL FLUTTER; MARKED SINUS BRADYCARDIA; WITH SINUS ARRHYTHMIA;
NONSPECIFIC ST AND T WAVE ABNORMALITY; LEFT ANTERIOR FASCICULAR BLOCK; RIGHT AXIS DEVIATION; ECTOPIC ATRIAL
RHYTHM; UNDETERMINED RHYTHM; ANTEROSEPTAL INFARCT; RIGHTWARD AXIS; ST NOW DEPRESSED IN; WITH SHORT PR; WITH
MARKED SINUS ARRHYTHMIA; ST NO LONGER DEPRESSED IN; INVERTED T WAVES HAVE REPLACED NONSPECIFIC T WAVE
ABNORMALITY IN; NON-SPECIFIC CHANGE IN ST SEGMENT IN; NONSPECIFIC T WAVE ABNORMALITY HAS REPLACED INVERTED T
WAVES IN; JUNCTIONAL RHYTHM; ELECTRONIC ATRIAL PACEMAKER; ABERRANT CONDUCTION; ELECTRONIC VENTRICULAR PACEMAKER;
T WAVE INVERSION LESS EVIDENT IN; ANTEROLATERAL INFARCT; WITH REPOLARIZATION ABNORMALITY; RSR' OR QR PATTERN IN
V1 SUGGESTS RIGHT VENTRICULAR CONDUCTION DELAY; T WAVE INVERSION MORE EVIDENT IN; WIDE QRS RHYTHM; WITH
PREMATURE VENTRICULAR OR ABERRANTLY CONDUCTED COMPLEXES; RIGHT ATRIAL ENLARGEMENT; INFERIOR INFARCT; INCOMPLETE
LEFT BUNDLE BRANCH BLOCK; VOLTAGE CRITERIA FOR LEFT VENTRICULAR HYPERTROPHY; OR DIGITALIS EFFECT; BIFASCICULAR
BLOCK; ST NO LONGER ELEVATED IN; WITH SLOW VENTRICULAR RESPONSE; ST ELEVATION NOW PRESENT IN; PREMATURE ECTOPIC
COMPLEXES; LEFT POSTERIOR FASCICULAR BLOCK; T WAVE AMPLITUDE HAS DECREASED IN; WITH A COMPETING JUNCTIONAL
PACEMAKER; RIGHT SUPERIOR AXIS DEVIATION; BIATRIAL ENLARGEMENT; VENTRICULAR-PACED RHYTHM; ATRIAL-PACED RHYTHM; T
WAVE AMPLITUDE HAS INCREASED IN; WITH QRS WIDENING; WITH 1ST DEGREE AV BLOCK; PROLONGED QT; WITH PROLONGED AV
CONDUCTION; RIGHT VENTRICULAR HYPERTROPHY; WITH QRS WIDENING AND REPOLARIZATION ABNORMALITY; ATRIAL-SENSED
VENTRICULAR-PACED RHYTHM; AV SEQUENTIAL OR DUAL CHAMBER ELECTRONIC PACEMAKER; PULMONARY DISEASE PATTERN; ACUTE
MI / STEMI; INFERIOR-POSTERIOR INFARCT; NONSPECIFIC INTRAVENTRICULAR CONDUCTION DELAY; PREMATURE VENTRICULAR AND
FUSION COMPLEXES; IN A PATTERN OF BIGEMINY; AV DUAL-PACED RHYTHM; SUPRAVENTRICULAR TACHYCARDIA;
VENTRICULAR-PACED COMPLEXES; WIDE QRS TACHYCARDIA; RSR' PATTERN IN V1; ST LESS DEPRESSED IN; VENTRICULAR
TACHYCARDIA; EARLY REPOLARIZATION; ST MORE DEPRESSED IN; ANTEROLATERAL LEADS; ELECTRONIC DEMAND PACING; RBBB AND
LEFT ANTERIOR FASCICULAR BLOCK; LATERAL INJURY PATTERN; BIVENTRICULAR PACEMAKER DETECTED; SUSPECT UNSPECIFIED
PACEMAKER FAILURE; WOLFF-PARKINSON-WHITE; WITH VENTRICULAR ESCAPE COMPLEXES; INFERIOR INJURY PATTERN; CONSIDER
RIGHT VENTRICULAR INVOLVEMENT IN ACUTE INFERIOR INFARCT; ST ELEVATION HAS REPLACED ST DEPRESSION IN; NONSPECIFIC
INTRAVENTRICULAR BLOCK; MASKED BY FASCICULAR BLOCK; PEDIATRIC ECG ANALYSIS; BLOCKED; WITH UNDETERMINED RHYTHM
IRREGULARITY; LEFTWARD AXIS; WITH 2ND DEGREE SA BLOCK MOBITZ I; ACUTE; ABNORMAL LEFT AXIS DEVIATION; WITH
COMPLETE HEART BLOCK; NO P-WAVES FOUND; ST LESS ELEVATED IN; WITH RETROGRADE CONDUCTION; ST MORE ELEVATED IN;
JUNCTIONAL BRADYCARDIA; WITH VARIABLE AV BLOCK; ANTERIOR INJURY PATTERN; WITH JUNCTIONAL ESCAPE COMPLEXES; ACUTE
MI; ACUTE PERICARDITIS; POSTERIOR INFARCT; IDIOVENTRICULAR RHYTHM; WITH 2ND DEGREE SA BLOCK MOBITZ II; R IN AVL;
SINUS/ATRIAL CAPTURE; AV DUAL-PACED COMPLEXES; INFEROLATERAL INJURY PATTERN; RBBB AND LEFT POSTERIOR FASCICULAR
BLOCK; ANTEROLATERAL INJURY PATTERN; ATRIAL-PACED COMPLEXES; WITH SINUS PAUSE; BIVENTRICULAR HYPERTROPHY;
ABNORMAL RIGHT AXIS DEVIATION; SUPRAVENTRICULAR COMPLEXES; WITH 2ND DEGREE AV BLOCK MOBITZ I; WITH 2:1 AV
CONDUCTION; WITH AV DISSOCIATION; MULTIFOCAL ATRIAL TACHYCARDIA
""".replace("\n", " ")
    .strip()
    .split("; ")
)


class SameConv(nn.Module):
    """A convolution whose output has ceil(t / stride) samples; the odd zero of the padding goes behind."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(width_in, width, kernel, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t) -> (b, width, ceil(t / stride))."""
        (kernel,), (stride,) = self.conv.kernel_size, self.conv.stride
        n = x.shape[2]
        zeros = max(0, (-(-n // stride) - 1) * stride + kernel - n)
        return self.conv(F.pad(x, (zeros // 2, zeros - zeros // 2)))


class Block(nn.Module):
    """1 - 16 (grouped) - 1 convolutions, a gate on the channels, and a skip path without any weight."""

    def __init__(self, width_in: int, width: int, stride: int, is_first: bool):
        super().__init__()
        self.stride, self.is_first, self.grown = stride, is_first, width - width_in
        self.conv1 = SameConv(width_in, width, 1)
        self.conv2 = SameConv(width, width, KERNEL, stride, groups=width // GROUP_WIDTH)
        self.conv3 = SameConv(width, width, 1)
        self.se_fc1, self.se_fc2 = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t) -> (b, width, ceil(t / stride))."""
        y = x if self.is_first else F.silu(x)
        y = self.conv3(F.silu(self.conv2(F.silu(self.conv1(y)))))
        gate = self.se_fc2(F.silu(self.se_fc1(y.mean(dim=2)))).sigmoid()  # (b, width)
        return y * gate[:, :, None] + self._skip(x)

    def _skip(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            x = F.max_pool1d(F.pad(x, (0, x.shape[2] % 2)), 2)  # an odd length gets one zero at its end
        return F.pad(x, (0, 0, self.grown // 2, self.grown - self.grown // 2))


class Stage(nn.Module):
    """Blocks of one width; the first halves the length."""

    def __init__(self, width_in: int, width: int, depth: int, is_first: bool):
        super().__init__()
        blocks = [
            Block(width_in if i == 0 else width, width, 2 if i == 0 else 1, is_first and i == 0) for i in range(depth)
        ]
        self.block_list = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t) -> (b, width, ceil(t / 2))."""
        for block in self.block_list:
            x = block(x)
        return x


class EcgFounder(nn.Module):
    """The embedding of an ECG and the logits of its statements; the published score is the sigmoid of each."""

    labels = LABELS

    def __init__(self):
        super().__init__()
        self.first_conv = SameConv(WINDOW[0], FIRST, KERNEL, stride=2)
        widths_in = (FIRST, *WIDTHS[:-1])
        self.stage_list = nn.ModuleList(
            Stage(width_in, width, depth, i == 0)
            for i, (width_in, width, depth) in enumerate(zip(widths_in, WIDTHS, DEPTHS, strict=True))
        )
        self.dense = nn.Linear(WIDTHS[-1], len(LABELS))

    def embed(self, windows: Tensor) -> Tensor:
        """Mean over time of the last stage, (b, 12, 5000) -> (b, 1024).

        Raises:
            ModelError: If the windows have another shape.
        """
        if windows.ndim != 3 or tuple(windows.shape[1:]) != WINDOW:
            raise ModelError(
                f"ECGFounder reads windows of shape (batch, 12, 5000), found {tuple(windows.shape)}.",
                "Prepare the ECG with prepare_ecgfounder first.",
            )
        x = F.silu(self.first_conv(windows))  # (b, 64, 2500)
        for stage in self.stage_list:
            x = stage(x)  # t: 1250, 625, 313, 157, 79, 40, 20
        return x.mean(dim=2)

    def logits(self, windows: Tensor) -> Tensor:
        """(b, 12, 5000) -> (b, 150)."""
        return self.dense(self.embed(windows))

    forward = logits


def unused_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the BatchNorm tensors that the checkpoint holds and the network does not use."""
    norms = {"first_bn": FIRST}
    before = FIRST
    for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        for j in range(depth):
            norms[f"stage_list.{i}.block_list.{j}.bn1"] = before
            norms |= {f"stage_list.{i}.block_list.{j}.bn{k}": width for k in (2, 3)}
            before = width
    vectors = {
        f"{n}.{part}": (w,) for n, w in norms.items() for part in ("weight", "bias", "running_mean", "running_var")
    }
    return vectors | {f"{norm}.num_batches_tracked": () for norm in norms}
