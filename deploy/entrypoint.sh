#!/bin/sh
# Serves the app on every address of the container or machine; it refuses to start there without a password, people or OIDC.
set -eu
cd "$(dirname "$0")/.."
exec python -m streamlit run app.py \
    --server.address "${ADDRESS:-0.0.0.0}" \
    --server.port "${PORT:-8501}" \
    "$@"
