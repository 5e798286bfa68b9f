"""Import: bring an archive of ECGs, echo clips and labels into the workspace, as a job that tells what it refused."""

from pages.ui import admin_gate, panels, resources
from pages.ui.archive import panels as archive_panels
from pages.ui.archive.waiting import waiting_clips
from pages.ui.errors import errors_in_words

admin_gate.require_admin()
workspace = resources.workspace()
panels.admin_head("Import", archive_panels.PURPOSE)
with errors_in_words():
    archive_panels.counts(workspace)
    archive_panels.form(workspace)
    archive_panels.imports(workspace)
    waiting_clips(workspace)
