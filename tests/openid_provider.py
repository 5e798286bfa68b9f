"""A small OpenID provider on 127.0.0.1: it logs in at once whoever the test says, as a hospital's would after a
password.

Discovery, authorisation code with PKCE, RSA-signed id tokens and logout, as OpenID Connect Core 1.0 and RP-Initiated
Logout 1.0 say; a request that a real provider would refuse is refused here too.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "explorer", "a secret of the client"


@dataclass
class Provider:
    """What the provider knows.

    Attributes:
        address: Its issuer.
        user: Claims of who logs in next.
        forges: Sign with a key that is not among the published ones.
        asked: Routes that were asked for, in order.
        problems: Requests that a real provider would refuse, in words.
    """

    address: str
    user: dict = field(default_factory=dict)
    forges: bool = False
    asked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    grants: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self):
        from joserfc.jwk import RSAKey

        self.key, self.other_key = (RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}) for _ in range(2))

    def secrets_file(self, folder: Path) -> Path:
        """A secrets.toml that makes the app log in here, written into `folder`."""
        file = folder / "secrets.toml"
        file.write_text(f"""[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{self.address}/.well-known/openid-configuration"
client_kwargs = {{ scope = "openid email", prompt = "login" }}
""")
        return file

    def answer(self, route: str, query: dict[str, str], authorization: str | None) -> dict | str:
        """The JSON of a route, or the address that the browser is sent to."""
        self.asked.append(route)
        if route == "/.well-known/openid-configuration":
            return {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/jwks",
                "end_session_endpoint": f"{self.address}/logout",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        if route == "/jwks":
            return {"keys": [self.key.as_dict(private=False) | {"alg": "RS256"}]}
        if route == "/authorize":
            self._expect(
                "authorize", response_type="code", client_id=CLIENT_ID, code_challenge_method="S256", **{"with": query}
            )
            code = secrets.token_urlsafe(16)
            self.grants[code] = query
            return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        if route == "/token":
            return self._tokens(query, authorization)
        return query["post_logout_redirect_uri"]

    def _tokens(self, query: dict[str, str], authorization: str | None) -> dict:
        from joserfc import jwt

        granted = self.grants.pop(query.get("code", ""), {})
        proof = (
            base64.urlsafe_b64encode(hashlib.sha256(query.get("code_verifier", "").encode()).digest())
            .rstrip(b"=")
            .decode()
        )
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        self._expect(
            "token", grant_type="authorization_code", redirect_uri=granted.get("redirect_uri"), **{"with": query}
        )
        self._expect(
            "token",
            authorization=f"Basic {known}",
            proof=granted.get("code_challenge"),
            **{"with": {"authorization": authorization, "proof": proof}},
        )
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": CLIENT_ID,
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "nonce": granted.get("nonce"),
            **self.user,
        }
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.other_key if self.forges else self.key)
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": signed,
        }

    def _expect(self, route: str, **wanted) -> None:
        found = wanted.pop("with")
        self.problems += [
            f"{route}: {name} is {found.get(name)!r}" for name, value in wanted.items() if found.get(name) != value
        ]


@contextmanager
def openid_provider() -> Iterator[Provider]:
    """A provider that answers until the test ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            self._send(provider.answer(url.path, _single(url.query), None))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._send(provider.answer(urlsplit(self.path).path, _single(body), self.headers["Authorization"]))

        def _send(self, found: dict | str) -> None:
            content = json.dumps(found).encode() if isinstance(found, dict) else b""
            self.send_response(200 if content else 302)
            self.send_header(*("Content-Type", "application/json") if content else ("Location", found))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
