"""Exit status 0 while the server says that it can answer (`/healthz`), for Docker's HEALTHCHECK and systemd."""

import os
import sys
import urllib.error
import urllib.request

address = f"http://127.0.0.1:{os.environ.get('PORT', '8501')}/healthz"
try:
    with urllib.request.urlopen(address, timeout=8) as answer:
        sys.stdout.write(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
except OSError as error:
    sys.exit(f"no answer: {type(error).__name__}")
