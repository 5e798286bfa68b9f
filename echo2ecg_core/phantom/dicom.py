"""Phantom clips as DICOM ultrasound files, as an archive would hold them: JPEG baseline, with time and length scales.

Patients are fictitious; `burnt_in=True` also writes them into the picture beside the sector, as real machines do, so
that de-identification has something to find. UIDs follow from the ids: the same clip gives the same bytes.
"""

import io
import uuid
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from echo2ecg_core.echo.dicom import PHANTOM_MANUFACTURER
from echo2ecg_core.phantom.echo import PhantomClip
from echo2ecg_core.phantom.mark import banner_of

if TYPE_CHECKING:
    from pydicom.uid import UID

JPEG_QUALITY = 88
CENTIMETRES, TWO_DIMENSIONAL, TISSUE, COLOUR_FLOW = 3, 1, 1, 2  # DICOM PS3.3 C.8.5.5
FAMILY_NAMES = ("Ashgrove", "Brookmere", "Fernhill", "Holloway", "Larkin", "Merriweather", "Northcote", "Winslow")
GIVEN_NAMES = ("Alma", "Bruno", "Clara", "Edgar", "Ida", "Linus", "Nora", "Viktor")


@dataclass(frozen=True)
class FictitiousPatient:
    """A person who does not exist, the same for the same patient id."""

    patient_id: str
    sex: str
    name: str
    born: date

    @classmethod
    def of(cls, patient_id: str, sex: str, age_years: float, on: date) -> "FictitiousPatient":
        """The person behind a phantom's id, of the given age on a day."""
        number = uuid.uuid5(uuid.NAMESPACE_OID, patient_id).int
        name = f"{FAMILY_NAMES[number % 8]}^{GIVEN_NAMES[number // 8 % 8]}"
        return cls(patient_id, sex, name, date(on.year - int(age_years) - 1, 1 + number % 12, 1 + number % 28))


def encode_dicom(
    clip: PhantomClip, patient: FictitiousPatient, study_id: str, on: date, burnt_in: bool = False
) -> bytes:
    """A phantom clip as an ultrasound multi-frame DICOM file.

    Args:
        clip: What to store.
        patient: Whom it claims to show.
        study_id: Study the clip belongs to; clips of one study share their study UID.
        on: Day of the study.
        burnt_in: Widen the picture and write the patient's name, id and birth date above the sector.

    Returns:
        The file; the same arguments give the same bytes.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

    frames, offset = _with_banner(clip.frames, patient) if burnt_in else (clip.frames, (0, 0))
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundMultiFrameImageStorage, _uid(study_id, clip.name or clip.view)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(study_id), _uid(study_id, "series")
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "US", PHANTOM_MANUFACTURER, "Simulated heart"
    ds.ImageType = ["DERIVED", "SECONDARY", "CARDIAC"]
    ds.PatientName, ds.PatientID, ds.PatientSex = patient.name, patient.patient_id, patient.sex[0].upper()
    ds.PatientBirthDate, ds.InstitutionName = f"{patient.born:%Y%m%d}", "Fictitious Heart Centre"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = f"{on:%Y%m%d}", "120000", study_id[:16], study_id[:16]
    ds.BurnedInAnnotation = "YES" if burnt_in else "NO"
    ds.SeriesNumber, ds.SeriesDescription = 1, clip.view
    _describe_time(ds, clip)
    ds.SequenceOfUltrasoundRegions = [_region(clip, offset, frames.shape[1:3])]
    _describe_pixels(ds, frames)
    ds.PixelData = encapsulate([_jpeg(frame) for frame in frames])
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = _uid("implementation")
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid(*parts: str) -> "UID":
    """A UID that follows from the parts (2.25 + UUID, DICOM PS3.5 B.2)."""
    from pydicom.uid import UID

    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join(('echo2ecg phantom', *parts))).int}")


def _describe_time(ds, clip: PhantomClip) -> None:
    """Frame rate, R waves and heart rate."""
    from pydicom.tag import Tag

    ds.NumberOfFrames = len(clip.frames)
    ds.FrameTime = f"{1000 / clip.fps:.6f}"
    ds.FrameIncrementPointer = Tag("FrameTime")
    ds.CineRate = round(clip.fps)
    if clip.r_wave_times_s:
        ds.RWaveTimeVector = [round(1000 * t, 1) for t in clip.r_wave_times_s]
    if len(clip.r_wave_times_s) > 1:
        ds.HeartRate = round(60 / float(np.diff(clip.r_wave_times_s).mean()))


def _describe_pixels(ds, frames: np.ndarray) -> None:
    """The picture's shape and storage."""
    ds.Rows, ds.Columns = frames.shape[1:3]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"


def _region(clip: PhantomClip, offset: tuple[int, int], shape: tuple[int, int]):
    """The calibrated region around the sector, for a picture of `shape` in which the clip starts at offset (x, y)."""
    from pydicom.dataset import Dataset

    x, y, radius, half_angle = clip.sector
    half_width = radius * np.sin(half_angle)
    region = Dataset()
    region.RegionSpatialFormat = TWO_DIMENSIONAL
    region.RegionDataType = COLOUR_FLOW if "Doppler" in clip.view else TISSUE
    region.RegionFlags = 0
    region.RegionLocationMinX0 = max(0, round(offset[0] + x - half_width))
    region.RegionLocationMaxX1 = min(shape[1] - 1, round(offset[0] + x + half_width))
    region.RegionLocationMinY0 = max(0, round(offset[1] + y))
    region.RegionLocationMaxY1 = min(shape[0] - 1, round(offset[1] + y + radius))
    region.ReferencePixelX0 = round(offset[0] + x) - region.RegionLocationMinX0
    region.ReferencePixelY0 = round(offset[1] + y) - region.RegionLocationMinY0
    region.ReferencePixelPhysicalValueX = region.ReferencePixelPhysicalValueY = 0.0
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = CENTIMETRES
    region.PhysicalDeltaX = region.PhysicalDeltaY = clip.spacing_mm / 10
    return region


def _with_banner(frames: np.ndarray, patient: FictitiousPatient) -> tuple[np.ndarray, tuple[int, int]]:
    """Frames in a wider picture with the patient's data above, and where (x, y) the old picture starts."""
    from PIL import Image, ImageDraw, ImageFont

    count, size = frames.shape[:2]
    left, top, line = banner_of(size)
    picture = Image.new("RGB", (size + 2 * left, size + top))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(line)
    draw.text((4, 2), patient.name.replace("^", ", "), fill=(230, 230, 230), font=font)
    draw.text((4, 3 + line), f"ID {patient.patient_id}   * {patient.born:%d %b %Y}", fill=(230, 230, 230), font=font)
    draw.text((size + 2 * left - 4, 2), "Fictitious Heart Centre", fill=(160, 160, 160), font=font, anchor="ra")
    wide = np.repeat(np.asarray(picture)[None], count, axis=0)
    wide[:, top:, left : left + size] = frames
    return wide, (left, top)


def _jpeg(frame: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:2")
    return buffer.getvalue()
