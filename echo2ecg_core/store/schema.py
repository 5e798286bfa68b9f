"""The schema of the catalogue: every step from an empty database to today's, in order. A step that was published is not
changed any more; its number is SQLite's `user_version`. Ids are text; times are ISO 8601; lists are JSON.
"""

EVERYBODY = 0  # in the table `written`, where no single patient can be named


def _noted(table: str, patient: str) -> str:
    """Triggers that note, at the version to come, whose rows of a table were written (delete and insert, because the
    conflict clause of the statement outside holds inside a trigger too)."""
    triggers = ""
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        number = patient.format(row=row)
        triggers += f"""
    CREATE TRIGGER {table}_noted_on_{event.lower()} AFTER {event} ON {table} BEGIN
        DELETE FROM written WHERE patient = {number};
        INSERT INTO written (patient, version) SELECT {number}, version + 1 FROM catalogue;
    END;"""
    return triggers


MIGRATIONS = (
    """
    CREATE TABLE patients (
        patient_id TEXT PRIMARY KEY, sex TEXT, split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
        cohort TEXT NOT NULL, synthetic INTEGER NOT NULL);
    CREATE TABLE studies (
        study_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL REFERENCES patients, study_date TEXT, age_years REAL);
    CREATE TABLE phenotypes (
        study_id TEXT NOT NULL REFERENCES studies, name TEXT NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (study_id, name)) WITHOUT ROWID;
    CREATE TABLE clips (
        clip_id TEXT PRIMARY KEY, study_id TEXT NOT NULL REFERENCES studies, view TEXT, view_confidence REAL,
        fps REAL NOT NULL, n_frames INTEGER NOT NULL, spacing_mm REAL, r_wave_times_s TEXT NOT NULL,
        format TEXT NOT NULL, notes TEXT NOT NULL, blob TEXT NOT NULL);
    CREATE INDEX clips_of_study ON clips (study_id);
    CREATE TABLE ecgs (
        ecg_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL REFERENCES patients, ecg_time TEXT,
        sampling_rate_hz REAL NOT NULL, duration_s REAL NOT NULL, format TEXT NOT NULL, content_hash TEXT NOT NULL,
        blob TEXT NOT NULL);
    CREATE INDEX ecgs_of_patient ON ecgs (patient_id);
    CREATE TABLE models (
        model_id TEXT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, synthetic INTEGER NOT NULL,
        registered_at TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 0);
    CREATE UNIQUE INDEX one_active_model ON models (active) WHERE active = 1;
    CREATE TABLE jobs (
        job_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, parameters TEXT NOT NULL, state TEXT NOT NULL
            CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        progress REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', worker TEXT,
        created_at REAL NOT NULL, started_at REAL, heartbeat_at REAL, finished_at REAL);
    """,
    """
    ALTER TABLE jobs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN claimed_progress REAL NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE studies ADD COLUMN wall_motion_scores TEXT;
    ALTER TABLE studies ADD COLUMN rhythm TEXT;
    ALTER TABLE studies ADD COLUMN conduction TEXT;
    ALTER TABLE studies ADD COLUMN first_degree_block INTEGER;
    """,
    """
    CREATE TABLE catalogue (version INTEGER NOT NULL);
    INSERT INTO catalogue VALUES (0);
    CREATE TABLE damaged_blobs (blob TEXT PRIMARY KEY);
    ALTER TABLE jobs ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE given_ids (
        cohort TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('patient', 'study', 'ecg')), given_id TEXT NOT NULL,
        id TEXT NOT NULL, PRIMARY KEY (cohort, kind, given_id)) WITHOUT ROWID;
    CREATE UNIQUE INDEX given_id_of ON given_ids (kind, id);
    INSERT INTO given_ids SELECT cohort, 'patient', patient_id, patient_id FROM patients;
    INSERT INTO given_ids SELECT cohort, 'study', study_id, study_id FROM studies JOIN patients USING (patient_id);
    INSERT INTO given_ids SELECT cohort, 'ecg', ecg_id, ecg_id FROM ecgs JOIN patients USING (patient_id);
    ALTER TABLE ecgs ADD COLUMN own_study_id TEXT;
    ALTER TABLE clips ADD COLUMN file_hash TEXT;
    """,
    """
    CREATE TABLE kept_ids (cohort TEXT PRIMARY KEY);
    """,
    """
    CREATE TABLE corrections (
        correction_id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('patient', 'study', 'ecg', 'clip')),
        id TEXT NOT NULL, name TEXT NOT NULL, was TEXT NOT NULL, now TEXT NOT NULL, why TEXT NOT NULL,
        who TEXT NOT NULL, made_at TEXT NOT NULL);
    CREATE INDEX corrections_of ON corrections (kind, id, name);
    CREATE TABLE removals (
        removed_at TEXT NOT NULL, who TEXT NOT NULL, kind TEXT NOT NULL, cohort TEXT NOT NULL,
        patients INTEGER NOT NULL, studies INTEGER NOT NULL, clips INTEGER NOT NULL, ecgs INTEGER NOT NULL);
    CREATE TABLE kept_cohorts (
        name TEXT PRIMARY KEY, made_from TEXT NOT NULL, who TEXT NOT NULL, made_at TEXT NOT NULL);
    CREATE TABLE kept_members (
        name TEXT NOT NULL REFERENCES kept_cohorts ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('study', 'ecg')), id TEXT NOT NULL,
        PRIMARY KEY (name, kind, id)) WITHOUT ROWID;
    CREATE INDEX kept_member_of ON kept_members (kind, id);
    CREATE INDEX studies_of_patient ON studies (patient_id);
    CREATE INDEX patients_of_cohort ON patients (cohort, patient_id);
    """,
    """
    CREATE TABLE written (patient INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    CREATE INDEX written_version ON written (version);
    CREATE TABLE versions (version INTEGER PRIMARY KEY);
    INSERT INTO versions SELECT version FROM catalogue;
    CREATE TRIGGER version_noted AFTER UPDATE ON catalogue BEGIN
        INSERT OR IGNORE INTO versions VALUES (NEW.version);
        DELETE FROM versions WHERE version < (SELECT version FROM versions ORDER BY version DESC LIMIT 1 OFFSET 1000);
    END;
    """
    + _noted("patients", "{row}.rowid")
    + "".join(
        _noted(table, "(SELECT rowid FROM patients WHERE patient_id = {row}.patient_id)")
        for table in ("studies", "ecgs")
    )
    + "".join(
        _noted(
            table, "(SELECT p.rowid FROM patients p JOIN studies USING (patient_id) WHERE study_id = {row}.study_id)"
        )
        for table in ("phenotypes", "clips")
    )
    + _noted("damaged_blobs", str(EVERYBODY)),
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL,
        facts TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    """,
    """
    CREATE TABLE reader_marks (
        ecg_hash TEXT NOT NULL, study_id TEXT NOT NULL REFERENCES studies ON DELETE CASCADE, model_id TEXT NOT NULL,
        reader TEXT NOT NULL, is_similar INTEGER NOT NULL, rank INTEGER NOT NULL, similarity REAL NOT NULL,
        marked_at TEXT NOT NULL, PRIMARY KEY (ecg_hash, study_id, model_id, reader)) WITHOUT ROWID;
    CREATE INDEX reader_marks_of ON reader_marks (study_id);
    """,
    """
    CREATE TABLE waiting_clips (
        waiting_id TEXT PRIMARY KEY, study_id TEXT NOT NULL REFERENCES studies, file_hash TEXT NOT NULL,
        reason TEXT NOT NULL, put_at TEXT NOT NULL, n_frames INTEGER NOT NULL, facts TEXT NOT NULL,
        decision TEXT CHECK (decision IN ('accepted', 'discarded')), who TEXT, decided_at TEXT, clip_id TEXT);
    CREATE INDEX waiting_clips_of_study ON waiting_clips (study_id);
    """,
    """
    UPDATE clips SET view = NULL WHERE view_confidence < 0.5;
    """,  # what a classifier is not sure of is not known (echo.clip.SURE)
    """
    CREATE TABLE clip_files (
        study_id TEXT NOT NULL, file_hash TEXT NOT NULL, clip_id TEXT NOT NULL REFERENCES clips ON DELETE CASCADE,
        PRIMARY KEY (study_id, file_hash)) WITHOUT ROWID;
    CREATE INDEX clip_files_of_clip ON clip_files (clip_id);
    INSERT OR IGNORE INTO clip_files SELECT study_id, file_hash, clip_id FROM clips WHERE file_hash NOT NULL;
    """,
    """
    ALTER TABLE clips ADD COLUMN encoder TEXT;
    """,  # not NULL: the clip has no picture, its blob is the vector that this clip encoder made
    """
    CREATE TABLE map_views (
        name TEXT PRIMARY KEY, layout TEXT NOT NULL, colour TEXT NOT NULL, cohort TEXT NOT NULL,
        clusters INTEGER NOT NULL, sought TEXT NOT NULL, seen TEXT NOT NULL, model_id TEXT NOT NULL, who TEXT NOT NULL,
        made_at TEXT NOT NULL);
    """,
    """
    ALTER TABLE jobs ADD COLUMN moved_at REAL;
    """,  # when its progress or message last became another
)
