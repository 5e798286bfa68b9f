"""Small folders that look like public data sets: their tables with the columns of reference documentation, few rows."""

from pathlib import Path

import numpy as np
import wfdb

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def signal_mv(rate_hz: float = 500, seconds: float = 10, scale: float = 1.0) -> np.ndarray:
    """(n, 12) of one beat a 0.9 s, limb leads by their algebra."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    beat = np.exp(-0.5 * ((t % 0.9 - 0.4) / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((t % 0.9 - 0.65) / 0.05) ** 2)
    one, two = 0.6 * beat, 1.0 * beat
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return scale * np.stack(limbs + [h * beat for h in (-0.5, 0.4, 0.9, 1.3, 1.1, 0.8)], axis=1)


def write_record(path: Path, rate_hz: int = 500, names=LEADS, comments=(), scale: float = 1.0) -> None:
    """A WFDB record at `path` (without suffix)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = signal_mv(rate_hz, scale=scale)[:, [LEADS.index(canonical(n)) for n in names]]
    wfdb.wrsamp(path.name, fs=rate_hz, units=["mV"] * 12, sig_name=list(names), p_signal=values, fmt=["16"] * 12,
                write_dir=str(path.parent), comments=list(comments))  # fmt: skip


def canonical(name: str) -> str:
    return next(lead for lead in LEADS if lead.lower() == name.lower())


def table(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.strip() + "\n")


def avi(path: Path, seed: int = 0) -> None:
    """A short video whose sector moves."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:112, :112]
    sector = (np.abs(np.arctan2(x - 56, y + 3)) < 0.7) & (np.hypot(x - 56, y + 3) < 100)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=30, options={"qscale": "2"})
        stream.width = stream.height = 112
        stream.pix_fmt = "yuvj420p"
        for _ in range(12):
            frame = (rng.integers(40, 200, (112, 112)) * sector).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.repeat(frame[..., None], 3, 2), format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def ptbxl(root: Path) -> Path:
    table(
        root / "ptbxl_database.csv",
        """
ecg_id,patient_id,age,sex,recording_date,report,scp_codes,strat_fold,filename_lr,filename_hr
1,15709.0,56.0,1,1984-11-09 09:17:34,x,"{'NORM': 100.0, 'SR': 0.0}",3,records100/00000/1_lr,records500/00000/00001_hr
2,13243.0,300.0,0,1984-11-14 12:55:37,x,{'NORM': 80.0},9,records100/00000/2_lr,records500/00000/00002_hr
3,20372.0,37.0,1,1984-11-15 12:49:10,x,{'NORM': 100.0},10,records100/00000/3_lr,records500/00000/00003_hr
""",
    )
    table(root / "scp_statements.csv", "name,description\nNORM,normal ECG\nSR,sinus rhythm")
    upper = [n.upper() if n.startswith("aV") else n for n in LEADS]
    for n in (1, 2, 3):
        write_record(root / f"records500/00000/0000{n}_hr", names=upper)
    return root


def mimic_ecg(root: Path) -> Path:
    table(
        root / "record_list.csv",
        """
subject_id,study_id,file_name,ecg_time,path
10000032,40689238,40689238,2180-07-23 08:44:00,files/p1000/p10000032/s40689238/40689238
10000032,44458630,44458630,2180-07-23 09:54:00,files/p1000/p10000032/s44458630/44458630
""",
    )
    table(root / "machine_measurements.csv", "subject_id,study_id,rr_interval\n10000032,40689238,29999")
    order = [*LEADS[:4], "aVF", "aVL", *LEADS[6:]]
    for study in ("40689238", "44458630"):
        write_record(root / f"files/p1000/p10000032/s{study}/{study}", names=order)
    return root


def mimic_echo(root: Path) -> Path:
    table(
        root / "echo-study-list.csv",
        """
study_id,subject_id,study_datetime,note_id,note_seq,note_charttime,measurement_id,measurement_datetime
90000001,10000032,2180-07-24 10:00:00,,,,501,2180-07-24 10:00:00
90000002,10000045,2150-01-02 11:00:00,,,,502,2150-01-02 11:00:00
""",
    )
    table(
        root / "echo-record-list.csv",
        """
subject_id,study_id,acquisition_datetime,dicom_filepath
10000032,90000001,2180-07-24 10:05:00,files/p10/p10000032/s90000001/90000001_0001.dcm
""",
    )
    table(
        root / "structured-measurement.csv",
        """
subject_id,measurement_id,measurement_datetime,test_type,measurement,measurement_description,result,unit
10000032,501,2180-07-24 10:00:00,tte,lvef,LVEF,50,%
10000032,501,2180-07-24 10:00:00,tte,lvef_upper,LVEF upper,55,%
10000032,501,2180-07-24 10:00:00,tte,septal_thickness,Septum,1.1,cm
10000032,501,2180-07-24 10:00:00,tte,tapse,TAPSE,2.2,cm
10000045,502,2150-01-02 11:00:00,tte,lvef,LVEF,60,%
10000045,502,2150-01-02 11:00:00,tte,biplane_lvef,Biplane,43,%
10000045,502,2150-01-02 11:00:00,tte,tapse,TAPSE,19,mm
10000045,503,2150-03-02 11:00:00,stress,lvef,LVEF,70,%
10000078,504,2160-03-02 11:00:00,tee,lvef_3d,3D,38,%
10000078,504,2160-03-02 11:00:00,tee,septal_thickness,Septum,99,cm
10000078,504,2160-03-02 11:00:00,tee,rv_function,RV,normal,
""",
    )
    return root


def echonext(root: Path) -> Path:
    table(
        root / "echonext_metadata_100k.csv",
        """
,ecg_key,patient_key,age_at_ecg,sex,split,lvef_lte_45_flag,ivs_measurement,pasp_value,lvef_value,aortic_stenosis_value
0,e1,p1,61,Male,train,0,1.1,30,60,none
1,e2,p2,90,Female,test,1,1.4,52,35,moderate
2,e3,p1,62,Male,train,1,1.2,,42,
3,e4,p3,50,Female,no_split,0,,,,
""",
    )
    mean = np.array([5.44, 4.39, -0.88, -4.9, 3.18, 1.72, -4.39, -1.5, -0.24, 3.62, 5.4, 5.66])
    std = np.array([32.43, 31.37, 30.16, 28.13, 27.1, 26.15, 37.74, 52.79, 56.75, 49.9, 45, 39.07])
    for split, scales in (("train", (1.0, 2.0)), ("test", (1.5,))):
        rows = [((signal_mv(250, scale=s) / 0.00488 - mean) / std)[None] for s in scales]
        np.save(root / f"EchoNext_{split}_waveforms.npy", np.stack(rows))
    return root


def echonet_dynamic(root: Path) -> Path:
    table(
        root / "FileList.csv",
        """
FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split
0X100009310A3BD7FC,78.498406,14.881368,69.210534,112,112,50,174,VAL
0X1002E8FBACD08477,59.101988,40.383876,98.742884,112,112,50,215,TRAIN
""",
    )
    table(root / "VolumeTracings.csv", "FileName,X1,Y1,X2,Y2,Frame\n0X100009310A3BD7FC.avi,51,19,64,86,46")
    avi(root / "Videos" / "0X100009310A3BD7FC.avi")
    return root


def echonet_lvh(root: Path) -> Path:
    table(
        root / "MeasurementsList.csv",
        """
,HashedFileName,Calc,CalcValue,Frame,X1,X2,Y1,Y2,Frames,FPS,Width,Height,split
0,0XA,IVSd,1.1,10,1,2,3,4,100,50,1024,768,train
1,0XA,IVSd,1.3,60,1,2,3,4,100,50,1024,768,train
2,0XA,LVIDd,4.6,10,1,2,3,4,100,50,1024,768,train
3,0XB,LVPWd,0.9,10,1,2,3,4,100,50,1024,768,test
""",
    )
    avi(root / "Batch1" / "0XA.avi", 1)
    avi(root / "Batch2" / "0XB.avi", 2)
    return root


def echonet_pediatric(root: Path) -> Path:
    for view, fold in (("A4C", "3"), ("PSAX", "9")):
        table(
            root / view / "FileList.csv",
            f"FileName,EF,Sex,Age,Weight,Height,Split\nCR32a7558.avi,63.2,F,15,60.2,164,{fold}",
        )
        avi(root / view / "Videos" / "CR32a7558.avi", int(fold))
    return root


def camus(root: Path) -> Path:
    place = root / "patient0001"
    text = "ED: 1\nES: 18\nNbFrame: 18\nSex: F\nAge: 56\nImageQuality: Good\nEF: 54\nFrameRate: 53.5\n"
    for chamber in ("2CH", "4CH"):
        table(place / f"Info_{chamber}.cfg", text)
    (place / "patient0001_4CH_half_sequence.nii.gz").write_bytes(b"\x1f\x8b")
    (place / "patient0001_4CH_half_sequence_gt.nii.gz").write_bytes(b"\x1f\x8b")
    return root


def tmed2(root: Path) -> Path:
    table(
        root / "DEV479" / "TMED2_fold0_labeledpart.csv",
        """
query_key,view_label,diagnosis_label,view_classifier_split,diagnosis_classifier_split
100s1_0.png,PLAX,mildtomod_AS,train,train
100s1_1.png,PSAX,mildtomod_AS,train,train
101s1_0.png,A4C,severe_AS,test,test
102s1_0.png,A4CorA2CorOther,Not_Provided,train,Not_Used
""",
    )
    (root / "view_and_diagnosis_labeled_set").mkdir(parents=True)
    (root / "view_and_diagnosis_labeled_set" / "100s1_0.png").write_bytes(b"\x89PNG")
    return root


def code15(root: Path) -> Path:
    import h5py

    table(
        root / "exams.csv",
        """
exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file
1169160,38,True,40.1,True,False,False,False,False,False,523632,False,2.09,False,exams_part13.hdf5
2873686,73,False,67.0,False,False,False,False,False,False,1724173,False,6.6,False,exams_part13.hdf5
1168405,67,True,79.6,False,False,False,False,False,True,51421,False,4.28,False,exams_part0.hdf5
""",
    )
    tracings = np.zeros((3, 4096, 12))
    for row, (seconds, scale) in enumerate(((7, 1.0), (10, 2.0))):
        values = signal_mv(400, seconds, scale)
        start = (4096 - len(values)) // 2
        tracings[row, start : start + len(values)] = values
    with h5py.File(root / "exams_part13.hdf5", "w") as part:
        part["tracings"], part["exam_id"] = tracings, np.array([2873686, 1169160, 0])
    return root


def chapman(root: Path) -> Path:
    table(root / "ConditionNames_SNOMED-CT.csv", "Acronym Name,Full Name,Snomed_CT\n1AVB,1 degree,270492004")
    for name, age, sex in (("JS00001", "85", "Male"), ("JS00002", "59", "Female")):
        write_record(
            root / "WFDBRecords" / "01" / "010" / name, comments=(f"Age: {age}", f"Sex: {sex}", "Dx: 426783006")
        )
    return root


def reference_files(root: Path) -> Path:
    import torch

    table(
        root / "pairs.csv",
        """
ecg_study_id,echo_study_id,ecg_filepath,echo_filepath,echo_filename,echo_embed_idx,sampling_rate_hz
E11,1077,ecg_011.pt,videos/echo_1077_1.avi,echo_1077_1.avi,25,400
E11,1077,ecg_011.pt,videos/echo_1077_2.avi,echo_1077_2.avi,26,400
E11,1078,ecg_011.pt,videos/echo_1078_0.avi,echo_1078_0.avi,27,400
E12,1078,ecg_012.pt,videos/echo_1078_0.avi,echo_1078_0.avi,27,400
E2,1014,ecg_002.pt,videos/echo_1014_2.avi,echo_1014_2.avi,6,400
""",
    )
    table(
        root / "metadata.csv",
        """
filename,lvedv,lvesv,lvsv,lvef
echo_1077_1.avi,120.8,60.7,60.1,50
echo_1077_2.avi,120.8,60.7,60.1,54
echo_1014_2.avi,90,30,60,66
""",
    )
    for name in ("ecg_011", "ecg_012", "ecg_002"):
        torch.save(torch.tensor(signal_mv(400).T, dtype=torch.float32), root / f"{name}.pt")
    for n, name in enumerate(("1077_1", "1077_2", "1078_0")):
        avi(root / "videos" / f"echo_{name}.avi", n)
    return root


def reference_vectors(root: Path, patients: int = 3, views: int = 2, seed: int = 0) -> Path:
    """Pairs of ECGs and stored clip vectors without a video, as the published code writes them: a table a split with
    the paths of another machine, a tensor of all vectors and the list of their files."""
    import torch

    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(patients * views, 512)).astype(np.float32)
    videos = [f"/data/echo/S{i}_{view}.avi" for i in range(patients) for view in range(views)]
    torch.save(torch.tensor(vectors), root / "echoprime_echo_embeddings_unnorm.pt")
    torch.save(videos, root / "echoprime_echo_filepaths.pt")
    head = "ecg_study_id,echo_study_id,ecg_filepath,echo_filepath,echo_embed_idx,echo_view"
    rows = [
        f"E{i},S{i},/data/ecg/E{i}.pt,{videos[views * i + view]},{views * i + view},{('A4C', 'PLAX')[view % 2]}"
        for i in range(patients)
        for view in range(views)
    ]
    ends = [0, 2 * patients // 3, patients - patients // 6, patients]
    for name, first, end in zip(("train", "val", "test"), ends, ends[1:], strict=False):
        if end > first:
            table(root / f"pairs_{name}.csv", "\n".join([head, *rows[views * first : views * end]]))
    lvef = [f"S{i}_{view}.avi,{30 + 40 * i / patients:.1f}" for i in range(patients) for view in range(views)]
    table(root / "metadata.csv", "\n".join(["filename,lvef", *lvef]))
    (root / "ecg").mkdir()
    for i in range(patients):
        torch.save(torch.tensor(signal_mv(400, scale=0.5 + i / patients).T.copy()).float(), root / f"ecg/E{i}.pt")
    return root


def reference_splits(root: Path) -> Path:
    """Two splits: a list of four ECGs with grades 0, 3, 1, 0, and a table that names two files."""
    import torch

    root.mkdir(parents=True, exist_ok=True)
    ecgs = [("ecg", torch.tensor(signal_mv(400, scale=s).T, dtype=torch.float32)) for s in (0.5, 1.0, 1.5, 2.0)]
    torch.save(ecgs, root / "data_train.pt")
    torch.save(torch.eye(4)[[0, 3, 1, 0]], root / "labels_train.pt")
    table(root / "data_test.csv", "filename,note\necg_7.pt,a\nnot_there.pt,b\necg_9.pt,c")
    for name, scale in (("ecg_7", 0.7), ("ecg_9", 0.9)):
        torch.save(torch.tensor(signal_mv(400, scale=scale).T, dtype=torch.float32), root / f"{name}.pt")
    torch.save(torch.eye(4)[[2, 0, 1]], root / "labels_test.pt")
    return root


def read_here(work, pieces, meanwhile, **_):
    """In the place of `ingest.films`: clips are read in this process, where a test sees what is called."""
    return (work(None, piece) for piece in pieces)
