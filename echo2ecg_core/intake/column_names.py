"""How tables of labels name their columns and sexes, in the languages whose tables were met.

Names are compared without case, accents, blanks and punctuation (`mapping.plain_name`).
"""

NAMES: dict[str, str] = {
    "patient_id": (
        "patient patientid patid pid subject subjectid patientkey mrn patientnumber patientennummer patnr "
        "patientno personid medicalrecordnumber idpatient patientenid"
    ),
    "study_id": (
        "study studyid echoid echostudyid accession accessionnumber accessionno untersuchungsnummer examid "
        "examinationid studykey echokey auftragsnummer studyinstanceuid studyuid"
    ),
    "ecg_id": "ecg ecgid ekgid ecgkey recordid recordname record",
    "study_date": (
        "date studydate echodate studytime studydatetime examdate examinationdate datum untersuchungsdatum "
        "dateofstudy dateofecho echodatetime dateexamen untersuchtam"
    ),
    "ecg_time": (
        "ecgtime ecgdate ecgdatetime dateofecg recordingdate recordingtime acquisitiondatetime ekgdatum "
        "acquisitiontime recordedat acquisitiondate ekgzeit"
    ),
    "sex": "sex gender geschlecht sexe patientsex",
    "age_years": "age ageyears ageatecg ageatstudy ageatecho alter patientage ageyr",
    "split": "split set subset fold partition",
    "wall_motion_scores": "wallmotionscores",
    "rhythm": "rhythm rhythmus",
    "conduction": "conduction",
    "first_degree_block": "firstdegreeblock avblock1",
    "path": "path file filename filepath ecgpath ecgfile waveformpath waveformfile datei",
    "sampling_rate_hz": "samplingratehz samplingrate samplerate fs frequency samplingfrequency hz",
    "unit": "ecgunit signalunit amplitudeunit",
    "lead_order": "leadorder leads leadnames channelorder",
    "clip_path": "clippath dicomfilepath videopath clip dicompath",
    "view": "view viewlabel echoview",
    "measurement": "measurement measurementname parameter messwert measure calc analyte messgroesse",
    "value": "value result wert calcvalue measurementvalue ergebnis",
    "value_unit": "unit units einheit resultunit valueunit",
    "lvef": (
        "lvef ef ejectionfraction lvejectionfraction leftventricularejectionfraction lvefbiplane biplanelvef "
        "efbiplane lvefvalue fevg lvefsimpson efsimpson efbiplan lvefbp efbp lvef2d lvefpct efpct lvefpercent"
    ),
    "lvedv": "lvedv edv enddiastolicvolume lvenddiastolicvolume lvedvbiplane lvedvml edvml",
    "lvesv": "lvesv esv endsystolicvolume lvendsystolicvolume lvesvbiplane lvesvml esvml",
    "lvsv": "lvsv sv strokevolume lvstrokevolume",
    "lvidd": "lvidd lvedd lvid lvdd lvenddiastolicdiameter lvinternaldiameterdiastole lvedddiam",
    "lvids": "lvids lvesd lvds lvendsystolicdiameter lvinternaldiametersystole",
    "ivsd": (
        "ivsd ivs septalthickness septum ivsdiastole septalwallthickness interventricularseptum ivsmeasurement "
        "septumdicke"
    ),
    "lvpwd": "lvpwd pwd lvpw pwt posteriorwall posteriorwallthickness inflatthickness lvpwmeasurement hinterwand",
    "lv_mass_index": "lvmassindex lvmi lvmassi",
    "lavi": "lavi lavolumeindex leftatrialvolumeindex",
    "ra_area": "raarea raa rightatrialarea",
    "rv_basal_diameter": "rvbasaldiameter rvd1 rvbasal rvdiameter",
    "tapse": "tapse tricuspidannularexcursion tricuspidannularplanesystolicexcursion",
    "rvsp": "rvsp pasp spap rvsystolicpressure paspvalue",
    "wall_motion_score_index": "wallmotionscoreindex wmsi",
    "as_grade": "asgrade aorticstenosis aorticstenosisgrade aorticstenosisvalue aortenstenose "
    "asseverity aorticstenosisseverity",
    "ar_grade": "argrade aorticregurgitation aorticregurgitationgrade aorticregurgitationvalue arseverity "
    "aorticregurgitationseverity aorticinsufficiency aorteninsuffizienz",
    "mr_grade": "mrgrade mitralregurgitation mitralregurgitationgrade mitralregurgitationvalue mrseverity "
    "mitralregurgitationseverity mitralinsufficiency mitralinsuffizienz insuffisancemitrale insuficienciamitral",
    "tr_grade": "trgrade tricuspidregurgitation tricuspidregurgitationgrade tricuspidregurgitationvalue "
    "trseverity tricuspidregurgitationseverity tricuspidinsufficiency trikuspidalinsuffizienz",
}  # fmt: skip

METHODS = (  # of measuring a ventricle, the best first, as in the rule of MIMIC-IV-ECHO; "": one that is not told
    "biplane biplan bip bp simpson simpsons mod disks discs",
    "3d 4d",
    "",
    "2d a4c a2c 4ch 2ch ap4 ap2",
    "visual visuell visually eyeball estimated est geschätzt estimado visuelle",
    "teichholz teich mmode cube",
)

NATIVE: dict[str, str] = {  # Chinese, Japanese, Korean, Russian, Greek, Turkish, Arabic, Hebrew, Thai; _ for a blank
    "patient_id": (
        "患者编号 患者号 患者id 病人编号 病人号 病人id 病历号 病案号 患者編號 病人編號 病歷號 患者番号 "
        "カルテ番号 환자번호 환자id 등록번호 병록번호 пациент номер_пациента код_пациента id_пациента "
        "ασθενής κωδικός_ασθενούς αριθμός_ασθενούς hasta hasta_no hasta_id hasta_numarası المريض "
        "رقم_المريض מטופל מספר_מטופל ผู้ป่วย รหัสผู้ป่วย เลขประจำตัวผู้ป่วย"
    ),
    "study_id": (
        "检查号 检查编号 超声号 檢查號 檢查編號 検査番号 検査id 검사번호 исследование номер_исследования "
        "εξέταση κωδικός_εξέτασης çalışma çalışma_no tetkik_no الدراسة رقم_الفحص בדיקה מספר_בדיקה การตรวจ "
        "เลขที่ตรวจ"
    ),
    "study_date": (
        "日期 检查日期 检查时间 檢查日期 検査日 検査日時 検査日付 검사일 검사일자 검사일시 дата "
        "дата_исследования дата_обследования ημερομηνία ημερομηνία_εξέτασης tarih tetkik_tarihi "
        "inceleme_tarihi التاريخ تاريخ_الفحص תאריך תאריך_בדיקה วันที่ วันที่ตรวจ"
    ),
    "sex": "性别 性別 성별 пол φύλο cinsiyet الجنس מין เพศ",
    "age_years": "年龄 年齡 年齢 나이 연령 возраст ηλικία yaş العمر גיל อายุ",
    "lvef": (
        "射血分数 左室射血分数 左心室射血分数 射血分數 左室射血分數 駆出率 左室駆出率 박출률 좌심실박출률 "
        "구혈률 фв фв_лж фракция_выброса фракция_выброса_лж κλάσμα_εξώθησης ejeksiyon_fraksiyonu "
        "lv_ejeksiyon_fraksiyonu الكسر_القذفي מקטע_פליטה"
    ),
}
SEXES: dict[str, str] = {
    "male": (
        "male m männlich männl mann herr homme masculin masc hombre masculino varón maschio uomo man mand "
        "muž mężczyzna férfi 男 男性 남 남자 남성 м муж мужской άνδρας "
        "αρσενικό erkek ذكر זכר ชาย"
    ),
    "female": (
        "female f w weiblich weibl frau femme féminin fem mujer femenino feminino femmina donna vrouw kvinna "
        "kvinde kvinne žena kobieta nő 女 女性 여 여자 여성 ж жен женский γυναίκα θηλυκό "
        "kadın أنثى נקבה หญิง"
    ),
}
SPLITS: dict[str, str] = {
    word: split
    for split, words in (
        ("train", "train training"),
        ("validation", "validation val valid validate"),
        ("test", "test testing holdout hold-out held-out"),
    )
    for word in words.split()
}
_OFTEN = "正常 异常 異常 なし あり 정상 없음 да нет норма ναι όχι φυσιολογικό نعم לא תקין ปกติ"
WORDS = frozenset(  # in small letters: what tells the encoding of a table
    word.casefold()
    for names in (*NATIVE.values(), *SEXES.values(), _OFTEN)
    for word in names.replace("_", " ").split()
    if not word.isascii()
)
