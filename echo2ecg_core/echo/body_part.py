"""What part of the body a DICOM ultrasound file is of, as its header tells: the heart, or another one.

One machine images hearts in the morning and carotids after noon, and an export holds both. Codes of the region (PS3.16
CID 4 and Annex L, SNOMED) and words of the descriptions are looked for, in the languages whose archives were met. A
word of the header itself is never handed on: it may be anything.
"""

import re

_TEXTS = (
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "BodyPartExamined",
)
_REGIONS = ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence")
_HEART = (
    r"heart|[ck]ardi|hjer[td]|herz|hart\b|c(?:œ|oe)ur\b|cuore|coraz|serce|kalp|сердц|эхокг|καρδι|心|심장|심초음파|قلب|"
    r"\btte\b|\btee\b|\btoe\b|\bett\b|\bete\b|transthor|trans-?o?esophag|ventric|ventrik|atri(?:um|al)|mitral|"
    r"[tb]icuspid|valv|klappe|parasternal|apical|subcostal|suprasternal|\bp[ls]ax\b|\ba[2345]c\b|\b[lr]v\b|lvef|dobutamin"
)
_ECHO = r"\becho\b"  # in a text that names no other organ: "Echo abdomen" is an ultrasound of the abdomen
_UNBORN = (
    r"\bfo?etal|\bfo?etus|obstet|geburtsh|schwanger|pregnan|grossesse|embaraz|gravid|gyn(?:ae|ä|e|é)?[ck]|placenta|"
    r"nuchal|胎|産科|产科|산부인과|акушер"
)
_OTHERS = {
    "the carotid arteries": r"carot|karot|vertebral art|сонн|颈动脉|頸動脈|경동맥",
    "the thyroid": r"thyr[eo]|tiroid|schilddr|щитовид|甲状腺|갑상선",
    "the abdomen": (
        r"abdom|\bliver\b|\bleber|hepat|\bfoie\b|gall ?bladder|gallenbl|biliar|pan[ck]rea|spleen|splen|milz|bowel|"
        r"appendi[cx]|брюшн|печен|腹部|복부"
    ),
    "the kidneys or the bladder": r"renal|kidney|\bnieren?\b|bladder|harnbl|vesical|почк|腎臓|肾脏|신장",
    "the pelvis": r"pelvi|\buter[uo]|\bovar|prostat|transvag|transrect|endovag|малого таза|骨盤|盆腔|골반",
    "the scrotum": r"scrot|skrot|testi[sc]|hoden|мошонк",
    "the breast": r"breast|\bmamm[aeo]|молочн|乳腺|乳房|유방",
    "vessels of the limbs": (
        r"\bdvt\b|\btvt\b|lower ext|upper ext|extremit|\blegs?\b|\bbein(?:e|venen)?\b|femoral|poplit|varic|"
        r"periph.*(?:art|ven|vasc)|venous (?:duplex|doppler|reflux)|下肢|하지"
    ),
    "vessels": r"\bvascular\b|\bvasculaire|duplex|\bjugul",
    "muscles, joints or bones": (
        r"musculo|\bmsk\b|shoulder|schulter|\bknee|\bknie|\belbow|\bwrist|\bankle|\bhip\b|tendon|sehne|\bspine\b"
    ),
    "the lungs": r"\blungs?\b|\blunge|pleura|poumon|肺部",
    "the head or the neck": (
        r"\bneck\b|\bhals\b|\bhead\b|transcran|\btcd\b|\bbrain\b|cereb|crani|parotid|salivary|\beyes?\b|\borbit|ocular"
    ),
    "soft tissue": r"soft tissue|weichteil|lymph|\bskin\b|inguin|hernia",
}
_CODES = {  # SNOMED CT, and its older letters where a header has them
    "80891009": "", "T-32000": "", "113345001": "the abdomen", "818983003": "the abdomen", "T-D4000": "the abdomen",
    "10200004": "the abdomen", "T-62000": "the abdomen", "69105007": "the carotid arteries",
    "T-45100": "the carotid arteries", "69748006": "the thyroid", "T-B6000": "the thyroid",
    "64033007": "the kidneys or the bladder", "T-71000": "the kidneys or the bladder", "89837001":
    "the kidneys or the bladder", "T-74000": "the kidneys or the bladder", "12921003": "the pelvis",
    "816092008": "the pelvis", "T-D6000": "the pelvis", "35039007": "the pelvis", "T-83000": "the pelvis",
    "76752008": "the breast", "T-04000": "the breast", "45048000": "the head or the neck",
    "T-D1600": "the head or the neck",
}  # fmt: skip


def other_part(dataset) -> tuple[str, bool]:
    """The part of the body that a header names and that is not the heart, "" where it names none, and whether it names
    the heart, too.

    Args:
        dataset: pydicom's, without or with its pixels.
    """
    told = [str(dataset.get(name) or "") for name in _TEXTS]
    codes = []
    for name in _REGIONS:
        for region in dataset.get(name) or []:
            codes.append(str(region.get("CodeValue") or ""))
            told.append(str(region.get("CodeMeaning") or ""))
    told = [one.replace("_", " ") for one in told]
    text = " | ".join(told)
    if _names(_UNBORN, text):
        return "an unborn child or the organs of its mother", False
    found = [_CODES[code] for code in codes if code in _CODES]
    part = next((shown for shown in found if shown), "")
    part = part or next((shown for shown, words in _OTHERS.items() if _names(words, text)), "")
    echo = any(_names(_ECHO, one) and not any(_names(words, one) for words in _OTHERS.values()) for one in told)
    return part, "" in found or _names(_HEART, text) or echo


def _names(words: str, text: str) -> bool:
    return re.search(words, text, re.IGNORECASE) is not None
