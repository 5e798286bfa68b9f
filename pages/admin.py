"""Admin: how full is the disk, what runs and what failed, who did what, and a copy of everything."""

from pages.ui import admin_gate, panels, resources
from pages.ui.admin import panels as admin_panels
from pages.ui.errors import errors_in_words

admin_gate.require_admin()
workspace = resources.workspace()
panels.admin_head("Admin", admin_panels.PURPOSE)
if admin_panels.has_workspace(workspace):
    with errors_in_words():
        admin_panels.disk(workspace)
    with errors_in_words():
        admin_panels.jobs_table(workspace)
    with errors_in_words():
        admin_panels.backup(workspace)
    with errors_in_words():
        admin_panels.audit_log(workspace)
admin_panels.measured()
