"""What this machine is told: read once from the environment (ECHO2ECG_…) and from a file `.env`.

Settings describe the machine, never a network (models/specs.py) or one training run. In a checkout app, workspace and
`.env` lie beside the package; installed by pip, the app lies in a package of data and what people own in their home.
"""

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_BESIDE = Path(__file__).resolve().parents[1]
_INSTALLED = (_BESIDE / "echo2ecg_explorer" / "app.py").is_file()  # where pyproject.toml puts the app in a wheel
PROJECT = _BESIDE / "echo2ecg_explorer" if _INSTALLED else _BESIDE  # holds app.py, pages/ and assets/
OWN_FOLDER = Path.home() / "echo2ecg" if _INSTALLED else _BESIDE  # holds workspace/ and .env


class Settings(BaseSettings):
    """One field a setting; the description is its documentation."""

    model_config = SettingsConfigDict(env_prefix="ECHO2ECG_", env_file=OWN_FOLDER / ".env", extra="ignore", frozen=True)

    workspace: Path = Field(OWN_FOLDER / "workspace", description="Folder of catalog, clips, vectors and models.")
    threads: int | None = Field(
        None, ge=1, le=256, description="CPU threads one prediction may use; without it, as many as others leave free."
    )
    import_processes: int = Field(2, ge=1, le=256, description="Processes that read the files of an import.")
    cluster: str = Field(
        "", description="Dask scheduler (tcp://host:8786) whose workers read the files of an import and prepare clips."
    )
    admin_password: SecretStr | None = Field(None, description="Password of the admin pages; prefer the hash.")
    admin_password_hash: SecretStr | None = Field(
        None, description="The same, as the line that `hash-password` prints."
    )
    people_file: Path | None = Field(
        None, description="File of people, one `name:role:hash` a line, as `hash-password --name … --role …` prints it."
    )
    admin_users: str = Field("", description="E-mail addresses, with commas, that are admins when they log in by OIDC.")
    researcher_users: str = Field("", description="The same for researchers.")
    role_claim: str = Field(
        "", description="Claim of the OIDC token that holds roles or groups; its values count as role_values says."
    )
    role_values: str = Field(
        "viewer=viewer,researcher=researcher,admin=admin",
        description="Which value of role_claim is which role: value=role, with commas.",
    )
    trust_unverified_email: bool = Field(
        False, description="Admins count although their OIDC provider does not say that their address is verified."
    )
    ask_everybody: bool = Field(False, description="All pages ask for a login, not only the admin pages.")
    viewer_password_hash: SecretStr | None = Field(
        None, description="With ask_everybody: a password that opens the pages but not those of the admin."
    )
    within_days: float = Field(
        7.0, ge=0, le=3660, description="Days that an ECG and the echo study it is labelled by may lie apart."
    )
    trusted_proxies: str = Field(
        "", description="Addresses or networks, with commas, of proxies whose `X-Forwarded-For` says who asks."
    )
    metrics_token: SecretStr | None = Field(None, description="Whoever sends it as a Bearer token reads `/metrics`.")
    log_format: Literal["text", "json"] = Field("text", description="Logs of server and worker: text, or JSON lines.")
    auto_demo: bool = Field(True, description="Fill an empty workspace with the phantom demo when the app starts.")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, named: str) -> str:
        """Refuse what is no address, "*" above all: whom everybody may name is nobody."""
        for one in filter(None, map(str.strip, named.split(","))):
            ip_network(one)
        return named


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read at the first call."""
    return Settings()
