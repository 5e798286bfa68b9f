"""Clips of other organs are told by their header and set aside; what names the heart, or nothing, comes in."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from echo2ecg_core.echo.readers import read_clip
from echo2ecg_core.errors import SetAside
from tests.echo.test_readers import dicom


def region_of(code: str, meaning: str, scheme: str = "SCT") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, meaning
    return Sequence([item])


OTHERS = [
    ({"BodyPartExamined": "ABDOMEN"}, "the abdomen"),
    ({"BodyPartExamined": "CAROTID"}, "the carotid arteries"),
    ({"BodyPartExamined": "THYROID"}, "the thyroid"),
    ({"BodyPartExamined": "GALLBLADDER"}, "the abdomen"),
    ({"BodyPartExamined": "KIDNEY"}, "the kidneys"),
    ({"BodyPartExamined": "BREAST"}, "the breast"),
    ({"BodyPartExamined": "EXTREMITY"}, "vessels of the limbs"),
    ({"BodyPartExamined": "NECK"}, "the head or the neck"),
    ({"StudyDescription": "US Carotid Duplex Bilateral"}, "the carotid arteries"),
    ({"StudyDescription": "US Abdomen complete"}, "the abdomen"),
    ({"StudyDescription": "Vascular Lab"}, "vessels"),
    ({"StudyDescription": "OB ultrasound, pregnancy 2nd trimester"}, "an unborn child"),
    ({"StudyDescription": "Fetal echocardiography"}, "an unborn child"),
    ({"SeriesDescription": "Schilddrüse quer"}, "the thyroid"),
    ({"SeriesDescription": "Écho abdominale"}, "the abdomen"),
    ({"StudyDescription": "Echo Abdomen", "SeriesDescription": "Leber"}, "the abdomen"),
    ({"ProtocolName": "DVT_lower_ext"}, "vessels of the limbs"),
    ({"StudyDescription": "颈动脉彩超"}, "the carotid arteries"),
    ({"StudyDescription": "УЗИ брюшной полости"}, "the abdomen"),
    ({"StudyDescription": "経腟 産科"}, "an unborn child"),
    ({"AnatomicRegionSequence": region_of("69105007", "A. carotis")}, "the carotid arteries"),
    ({"AnatomicRegionSequence": region_of("T-D4000", "Bauch", "SRT")}, "the abdomen"),
    ({"AnatomicRegionSequence": region_of("1", "Thyroid gland")}, "the thyroid"),
]


@pytest.mark.parametrize(("tags", "part"), OTHERS)
def test_a_clip_of_another_organ_is_set_aside_and_says_of_which(tags, part):
    content = dicom(FrameTime="20", SpecificCharacterSet="ISO_IR 192", **tags)
    with pytest.raises(SetAside, match=rf"^This clip shows {part}[a-z ]* by the words of its header, not the heart"):
        read_clip(content)


@pytest.mark.parametrize(
    "tags",
    [
        {}, {"BodyPartExamined": "HEART"}, {"BodyPartExamined": "CHEST"}, {"StudyDescription": "Echo"},
        {"StudyDescription": "Transthoracic echo, complete"}, {"StudyDescription": "Cardiovascular ultrasound"},
        {"StudyDescription": "TTE"}, {"StudyDescription": "UKG / 心超"}, {"SeriesDescription": "Pulmonary veins"},
        {"SeriesDescription": "A4C"}, {"SeriesDescription": "Trial arm 2, appended by computer"},
        {"AnatomicRegionSequence": region_of("80891009", "Heart")}, {"BodyPartExamined": "ESOPHAGUS"},
        {"SeriesDescription": "chordae tendineae"}, {"SeriesDescription": "outer wall"},
    ],
)  # fmt: skip
def test_a_clip_of_the_heart_or_of_what_no_word_tells_comes_in_without_a_note(tags):
    assert not any("header names" in note for note in read_clip(dicom(FrameTime="20", **tags)).notes)


@pytest.mark.parametrize(
    ("tags", "part"),
    [
        ({"BodyPartExamined": "HEART", "StudyDescription": "Carotid duplex"}, "the carotid arteries"),
        ({"StudyDescription": "TTE and carotid"}, "the carotid arteries"),
        ({"SeriesDescription": "Subcostal, abdominal aorta"}, "the abdomen"),
        ({"StudyDescription": "Echocardiogram", "SeriesDescription": "Hepatic vein"}, "the abdomen"),
        ({"StudyDescription": "Echo complete", "SeriesDescription": "Hepatic vein"}, "the abdomen"),
        ({"StudyDescription": "ECHO_LIMITED", "BodyPartExamined": "ABDOMEN"}, "the abdomen"),
    ],
)
def test_a_header_that_names_both_is_a_note_of_the_clip(tags, part):
    assert f"The header names both the heart and {part}." in read_clip(dicom(FrameTime="20", **tags)).notes


def test_no_word_of_the_header_stands_in_the_reason():
    with pytest.raises(SetAside) as aside:
        read_clip(dicom(FrameTime="20", StudyDescription="Carotid Erika Mustermann"))
    assert "Erika" not in str(aside.value) and "Muster" not in str(aside.value)
