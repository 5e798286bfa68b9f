"""What this machine is told: read once from the environment (ECHO2ECG_…) and from a file `.env` beside app.py.

Settings describe the machine, never a network (models/specs.py) or one training run.
"""

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """One field a setting; the description is its documentation."""

    model_config = SettingsConfigDict(env_prefix="ECHO2ECG_", env_file=PROJECT / ".env", extra="ignore", frozen=True)

    workspace: Path = Field(PROJECT / "workspace", description="Folder of catalog, clips, vectors and models.")
    threads: int = Field(2, ge=1, le=256, description="CPU threads one prediction or one job may use.")
    admin_password: SecretStr | None = Field(None, description="Password of the admin pages; prefer the hash.")
    admin_password_hash: SecretStr | None = Field(
        None, description="The same, as the line that `hash-password` prints."
    )
    admin_users: str = Field("", description="E-mail addresses, with commas, that are admins when they log in by OIDC.")
    trust_unverified_email: bool = Field(
        False, description="Admins count although their OIDC provider does not say that their address is verified."
    )
    ask_everybody: bool = Field(False, description="All pages ask for a login, not only the admin pages.")
    viewer_password_hash: SecretStr | None = Field(
        None, description="With ask_everybody: a password that opens the pages but not those of the admin."
    )
    auto_demo: bool = Field(True, description="Fill an empty workspace with the phantom demo when the app starts.")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read at the first call."""
    return Settings()
