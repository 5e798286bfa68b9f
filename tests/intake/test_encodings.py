"""Tables of labels in the encodings of many countries: read as they were written, and what was taken is told."""

import random

import pytest

from echo2ecg_core.errors import StoreError
from echo2ecg_core.intake.column_names import WORDS as LISTED
from echo2ecg_core.intake.encodings import ENCODINGS, text_of
from echo2ecg_core.intake.field_names import field_of
from echo2ecg_core.intake.layouts.recognise import plan_of
from echo2ecg_core.intake.tables import read_header_row, read_table
from tests import small_trees

WORDS = {  # header, a man, a woman, a remark
    "gb18030": ("患者编号,检查号,检查日期,射血分数,性别,备注", "男", "女", "左心室增大,未见室壁运动异常"),
    "cp932": ("患者番号,検査番号,検査日,左室駆出率,性別,コメント", "男", "女", "左室拡大あり。壁運動は正常"),
    "euc_jp": ("患者番号,検査番号,検査日,左室駆出率,性別,コメント", "男", "女", "左室拡大あり。壁運動は正常"),
    "cp949": ("환자번호,검사번호,검사일,박출률,성별,비고", "남", "여", "좌심실 비대 소견이 보임"),
    "cp950": ("病人編號,檢查號,檢查日期,射血分數,性別,備註", "男", "女", "左心室擴大"),
    "cp1251": ("Пациент,Исследование,Дата,ФВ ЛЖ,Пол,Примечание", "муж", "жен", "Дилатация левого желудочка"),
    "cp1253": ("Ασθενής,Εξέταση,Ημερομηνία,Κλάσμα εξώθησης,Φύλο,Σχόλιο", "Άνδρας", "Γυναίκα", "διάταση κοιλίας"),
    "cp1254": ("Hasta,Çalışma,Tarih,Ejeksiyon fraksiyonu,Cinsiyet,Açıklama", "Erkek", "Kadın", "boşluklar genişlemiş"),
    "cp1250": ("patient_id,study_id,study_date,lvef,sex,Uwagi o płucach", "m", "f", "powiększenie lewej komory, wąski"),
    "cp1252": ("patient_id,study_id,study_date,lvef,sex,Größe", "männlich", "weiblich", "Vorhof vergrößert – l’été"),
    "cp1255": ("מטופל,בדיקה,תאריך,מקטע פליטה,מין,הערה", "זכר", "נקבה", "הגדלת חדר שמאל"),
    "cp1256": ("المريض,الدراسة,التاريخ,الكسر القذفي,الجنس,ملاحظة", "ذكر", "أنثى", "تضخم البطين الأيسر"),
    "cp874": ("ผู้ป่วย,การตรวจ,วันที่,lvef,เพศ,หมายเหตุ", "ชาย", "หญิง", "หัวใจโต"),
}
PLAIN = "patient_id,study_id,study_date,lvef,sex,note"


def table(encoding: str, header: bool, rows: int) -> str:
    names, man, woman, remark = WORDS[encoding]
    lines = [
        f'P{i},S{i},2024-01-{i + 1:02d},{50 + i},{(man, woman)[i % 2]},"{remark if i == 3 else ""}"'
        for i in range(rows)
    ]
    return "\n".join([names if header else PLAIN, *lines]) + "\n"


@pytest.mark.parametrize("encoding", WORDS)
def test_a_table_in_its_countrys_encoding_comes_in_and_says_which_was_taken(tmp_path, encoding):
    text = table(encoding, header=True, rows=9)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert read_header_row(tmp_path / "t.csv").columns == text.splitlines()[0].split(",")
    made = plan_of(tmp_path)
    assert made.problems.found == []
    assert {i: study.phenotypes for i, study in made.studies.items()} == {f"S{i}": {"lvef": 50 + i} for i in range(9)}
    assert [p.sex for p in made.patients.values()] == ["male", "female"] * 4 + ["male"]
    assert made.studies["S8"].study_date == "2024-01-09"
    (name,) = {e.name for e in ENCODINGS if e.codec == encoding}
    assert any(
        note.startswith(f"t.csv: it is not UTF-8; its letters were read as those of {name}.") for note in made.notes
    )


@pytest.mark.parametrize("encoding", WORDS)
@pytest.mark.parametrize(("header", "rows"), [(False, 2), (False, 9), (True, 0), (True, 300)])
def test_few_letters_are_enough(encoding, header, rows):
    text = table(encoding, header, min(rows, 28)) + "".join(table(encoding, False, 28).splitlines(True)[1:]) * (
        rows // 28
    )
    found, notes = text_of(text.encode(encoding))
    assert found == text and (text.isascii() or len(notes) == 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("words", ["gb18030", "cp1251", "cp949"])
def test_unicode_needs_no_guess(encoding, words):
    text = table(words, header=True, rows=9)
    assert text_of(text.encode(encoding)) == (text, ())


def test_what_stays_open_is_said_with_what_else_it_may_be():
    found, (note,) = text_of("patient_id,sex\nP1,Kadın\n".encode("cp1254"))
    assert "Kadın" in found and "Windows-1254 (Turkish)" in note
    found, (note,) = text_of("patient_id,ward\nP1,ПАО\n".encode("cp1251"))
    assert "They may be " in note and "as well; saved as UTF-8 they are sure." in note


@pytest.mark.parametrize("sign", ["mL/m²", "±", "µV", "°C", "≤"])
def test_a_sign_beside_latin_letters_is_no_letter_of_another_script(sign):
    encoding = "cp1252" if sign != "≤" else "cp949"
    text = f"patient_id,study_id,lvef,LAVI ({sign})\nP1,S1,50,30\n"
    found, _ = text_of(text.encode(encoding))
    assert found == text or encoding == "cp949"


def test_letters_of_no_encoding_are_refused_in_words(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"patient_id,lvef\nPa\xff\xfe\x81ti\x8d\x9dent\xa0x\x80y\xff,50\n")
    with pytest.raises(StoreError) as refused:
        read_table(tmp_path / "t.csv")
    assert "neither UTF-8 nor UTF-16 nor those of Windows-1252" in refused.value.message


@pytest.mark.parametrize(
    ("name", "field"),
    [("检查日期", "study_date"), ("ФВ ЛЖ (%)", "lvef"), ("患者ＩＤ", "patient_id"), ("Ηλικία", "age_years"),
     ("yaş", "age_years"), ("성별", "sex"), ("Номер исследования", "study_id"), ("备注", None), ("Комментарий", None)],
)  # fmt: skip
def test_columns_named_in_other_scripts_are_known_or_left_to_the_person(name, field):
    assert field_of(name)[0] == field


def test_a_table_of_views_says_in_which_encoding_it_was_read(tmp_path):
    small_trees.table(tmp_path / "labels.csv", "patient_id,study_id,lvef\nA,S1,55")
    small_trees.avi(tmp_path / "echo/A/S1/сердце.avi", 1)
    (tmp_path / "clips.csv").write_bytes("path,view\necho/A/S1/сердце.avi,A4C\n".encode("cp1251"))
    made = plan_of(tmp_path)
    assert [clip.view for clip in made.clips] == ["A4C"]
    assert any("those of Windows-1251 (Cyrillic)" in note for note in made.notes)


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1251", "отделение первое"), ("cp1251", "ослик кот дом"), ("cp1255", "שלום ראשון חולים ילדים בנין"),
        ("cp1253", "αλλος δευτερος τμημα"), ("cp1251", "кардиология, второй этаж"), ("cp1255", "לב כן ימין שמאלן מאמץ"),
    ],
)  # fmt: skip
def test_words_that_nobody_listed_tell_the_script_by_the_forms_of_their_letters(encoding, words):
    text = f"patient_id,lvef,ward\nP1,50,{words}\n"
    found, (note,) = text_of(text.encode(encoding))
    assert found == text, note


REMARKS = {  # words of which none is one of those that tell an encoding
    "gb18030": (
        "心内科 急诊科 住院部 门诊 高血压病史 二尖瓣轻度反流 主动脉瓣狭窄 左房增大 室间隔增厚 心包积液 "
        "起搏器植入术后 冠心病 糖尿病 心房颤动 老年患者 随访 复查 王医生 北京 上海 超声科 说明"
    ),
    "cp932": (
        "循環器内科 救急外来 入院 外来 高血圧症 僧帽弁逆流軽度 大動脈弁狭窄症 左房拡大 心室中隔肥厚 "
        "心嚢液貯留 ペースメーカー植込み 心房細動 糖尿病 経過観察 再検査 其他 東京 大阪 特記事項なし"
    ),
    "cp949": (
        "심장내과 응급실 입원 외래 고혈압 승모판역류 대동맥판협착 좌심방확대 심실중격비후 심낭삼출 심박동기 "
        "심방세동 당뇨병 추적관찰 재검사 비고 서울 부산 특이사항"
    ),
    "cp1251": (
        "кардиология приемный покой стационар гипертония митральная регургитация аортальный стеноз "
        "увеличение левого предсердия перикард мерцательная аритмия диабет москва повторно врач Иванов"
    ),
    "cp1253": (
        "καρδιολογία επείγοντα νοσηλεία υπέρταση ανεπάρκεια μιτροειδούς στένωση αορτής διόγκωση κόλπου "
        "κολπική μαρμαρυγή διαβήτης Αθήνα γιατρός"
    ),
    "cp1254": (
        "kardiyoloji acil yatış hipertansiyon mitral yetersizliği aort darlığı sol atriyum genişlemesi "
        "İstanbul hastası kontrol öncesi şeker hastalığı"
    ),
    "cp1252": (
        "Größe Müller Vorhofflimmern für Käse août été élève señor José coração São avaliação Ærø blåbær "
        "l’hôpital château für"
    ),
    "cp1250": "Wrocław Łódź żółty przedsionek lewy powiększony příjmení Dvořák šířka Kovács őr űr čas síň",
    "cp950": "心臟內科 急診 住院 門診 高血壓 二尖瓣逆流 主動脈瓣狹窄 左心房擴大 心房顫動 糖尿病 追蹤 台北 說明",
}


@pytest.mark.parametrize("encoding", REMARKS)
def test_words_that_nobody_listed_are_read_right_or_said_to_be_open(encoding):
    words, chance = REMARKS[encoding].split(), random.Random(1)
    assert not {word.casefold() for word in words} & LISTED
    right = {}
    for count in (1, 2, 4, 8, len(words)):
        right[count] = []
        for _ in range(12):
            rows = enumerate(chance.sample(words, min(count, len(words))))
            text = "patient_id,lvef,note\n" + "".join(f"P{i},50,{word}\n" for i, word in rows)
            found, notes = text_of(text.encode(encoding))
            right[count].append(found == text)
            assert found == text or "They may be" in notes[0], text
    assert all(right[len(words)]) and sum(right[8]) >= 10 and sum(map(sum, right.values())) >= 45, right


def test_a_million_digits_beside_a_letter_are_read_at_once():
    """They took minutes: each digit began a word anew that no letter ended."""
    content = "编号,检查\nP1,".encode("gbk") + b"0" * 1_000_000 + b"\n"
    text, _ = text_of(content)
    assert text.count("0") == 1_000_000
