"""Passwords: what is kept cannot be turned back, wrong ones are slow, and the hash of another program
agrees."""

import hashlib

import pytest
from typer.testing import CliRunner

from echo2ecg_core import passwords, roles
from echo2ecg_core.cli import app
from echo2ecg_core.errors import Echo2ECGError


def test_a_hash_opens_to_its_password_only_and_differs_every_time():
    first, second = passwords.hashed("correct horse"), passwords.hashed("correct horse")
    assert first != second and "horse" not in first
    assert passwords.matches_hash("correct horse", first) and passwords.matches_hash("correct horse", second)
    assert not passwords.matches_hash("correct horse ", first) and not passwords.matches_hash("", first)


def test_a_hash_is_argon2id_with_the_memory_and_passes_that_owasp_names():
    assert passwords.hashed("correct horse").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_line_of_an_earlier_version_still_opens_scrypt_as_rfc_7914_tests_it():
    known = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"  # noqa: E501
    assert hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=16384, r=8, p=1, maxmem=2**26).hex() == known
    assert passwords.matches_hash("pleaseletmein", f"scrypt:16384:8:1:{b'SodiumChloride'.hex()}:{known}")


@pytest.mark.parametrize(
    "line", ["", "letmein", "$argon2id$v=19", "$2b$12$abc", "scrypt:1:2", "bcrypt:1:2:3:00:00", "scrypt:x:8:1:00:00"]
)
def test_a_line_that_is_no_hash_is_said_in_words(line):
    with pytest.raises(Echo2ECGError, match="hash-password"):
        passwords.matches_hash("x", line)


def test_wrong_attempts_hold_up_their_own_address_and_longer_each_time(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(passwords.time, "monotonic", lambda: now[0])
    attempts = passwords.Attempts()
    for _ in range(passwords.FREE_ATTEMPTS):
        assert attempts.wait_s("10.0.0.7") == 0
        attempts.count("10.0.0.7", right=False)
    assert attempts.wait_s("10.0.0.7") == passwords.FIRST_WAIT_S and attempts.wait_s("10.0.0.8") == 0
    now[0] += passwords.FIRST_WAIT_S
    assert attempts.wait_s("10.0.0.7") == 0
    attempts.count("10.0.0.7", right=False)
    assert attempts.wait_s("10.0.0.7") == 2 * passwords.FIRST_WAIT_S
    now[0] += passwords.FORGET_AFTER_S + 1
    assert attempts.wait_s("10.0.0.7") == 0


def test_a_right_password_clears_its_address_and_a_flood_of_addresses_is_forgotten(monkeypatch):
    attempts = passwords.Attempts()
    for _ in range(9):
        attempts.count("10.0.0.7", right=False)
    attempts.count("10.0.0.7", right=True)
    assert attempts.wait_s("10.0.0.7") == 0
    monkeypatch.setattr(passwords, "MOST_ADDRESSES", 10)
    for i in range(30):
        attempts.count(f"10.0.1.{i}", right=False)
    assert len(attempts._wrong) == 10


def test_plain_passwords_of_any_script_and_length_compare():
    assert (
        passwords.matches("Пароль·密码", "Пароль·密码")
        and not passwords.matches("a", "aa")
        and not passwords.matches("", "a")
    )


def test_the_command_prints_a_line_that_opens(monkeypatch):
    result = CliRunner().invoke(app, ["hash-password"], input="open sesame\nopen sesame\n")
    line = result.stdout.strip().splitlines()[-1]
    assert result.exit_code == 0 and passwords.matches_hash("open sesame", line) and "sesame" not in result.stdout


def test_with_a_name_the_command_prints_a_line_of_the_file_of_people(tmp_path):
    asked = ["hash-password", "--name", "kern", "--role", "researcher"]
    line = CliRunner().invoke(app, asked, input="open sesame\nopen sesame\n").stdout.strip().splitlines()[-1]
    (tmp_path / "people").write_text(f"# who may log in\n\n{line}\n")
    (person,) = roles.read_people(tmp_path / "people")
    assert (person.name, person.role) == ("kern", "researcher")
    assert passwords.matches_hash("open sesame", person.password_hash)
    assert CliRunner().invoke(app, [*asked[:-1], "chief"], input="a\na\n").exit_code != 0
