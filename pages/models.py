"""Models: which ones are there, what can each do, which one answers? Importing, preparing, promoting, rolling back."""

from pages.ui import admin_gate, panels, resources
from pages.ui.errors import errors_in_words
from pages.ui.models import panels as models_panels

admin_gate.require_admin()
workspace, chosen = resources.workspace(), None
panels.admin_head("Models", models_panels.PURPOSE)
with errors_in_words():
    chosen = models_panels.table(workspace)
models_panels.details(workspace, chosen)
with errors_in_words():
    models_panels.last_import(workspace)
models_panels.import_form(workspace)
