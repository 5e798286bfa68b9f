"""Import: bring an archive of ECGs, echo clips and labels into the workspace, as a job that tells what it refused."""

from pages.ui import admin_gate, archive_panels, resources, training_panels
from pages.ui.errors import errors_in_words

admin_gate.require_admin()
workspace = resources.workspace()
training_panels.head("Import", archive_panels.PURPOSE)
with errors_in_words():
    archive_panels.counts(workspace)
    archive_panels.form(workspace)
    archive_panels.imports(workspace)
