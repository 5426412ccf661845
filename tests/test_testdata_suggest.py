"""What names and values of columns suggest, and how sure it is."""

import polars as pl
import pytest

from labkit.testdata._column_name import plain_name
from labkit.testdata._rule import misfit
from labkit.testdata._schema import Column
from labkit.testdata._suggest import Proposal, suggest

NAMES = {
    "email": "eMail email_address customerEmail E-Mail Courriel correo_electronico mail2",
    "first_name": "first_name givenName forename Vorname prénom nombre_de_pila primer_nombre",
    "last_name": "last_name surname familyName Nachname geburtsname nom_de_famille apellido apellidos",
    "name": "name full_name Kundenname patient_name doctor Arzt médecin nom nombre owner_name",
    "user_name": "user_name login nickName Benutzername identifiant usuario",
    "phone_number": "phone mobile_no cellPhone fax Telefonnummer handynr rufnummer téléphone portable móvil",
    "address": "address billing_address Anschrift Lieferadresse adresse dirección domicilio",
    "street_address": "street Straße strassenname rue calle",
    "city": "city town Wohnort Stadt ville ciudad localidad birth_place lieu_de_naissance",
    "postcode": "zip zipCode post_code PLZ Postleitzahl code_postal codigo_postal",
    "company": "company employer Firma Arbeitgeber société entreprise empresa",
    "iban": "iban bank_account account_no Kontonummer compte cuenta_bancaria",
    "credit_card_number": "credit_card cardNumber kreditkartennummer carte_bancaire tarjeta",
    "url": "url website homepage Webseite site_web sitio_web",
    "ipv4": "ip ip_address IP-Adresse adresse_ip",
    "job": "job_title Beruf métier profesión",
    "redact": "notes comment Bemerkung Kommentar remarques observaciones memo_2 diagnosis",
    "null": "password passwort mot_de_passe contraseña api_key",
    "pseudonymize": "passport_no Steuernummer Sozialversicherungsnr DNI nir createdBy Bearbeiter auteur",
    "###-##-####": "ssn social_security_number",
}  # fmt: skip
VALUES = {
    "email": ["ann@x.test", "ben.b@y.test"],
    "ipv4": ["10.0.0.1", "192.168.1.254"],
    "ipv6": ["fe80::1", "2001:db8::8a2e:370:7334"],
    "mac_address": ["08:00:2b:01:02:03", "08:00:2b:01:02:04"],
    "url": ["https://x.test/a", "http://y.test"],
    "phone_number": ["+49 30 1234567", "(201) 555-7788", "030/123456-7"],
    "iban": ["DE89 3704 0044 0532 0130 00", "FR1420041010050500013M02606"],
    "credit_card_number": ["4111 1111 1111 1111", "5500000000000004"],
    "###-##-####": ["123-45-6789", "987-65-4321"],
    "name": ["Jennifer Quackenbush", "Dr. Wolfgang Zzz", "Dr. Smith", "María Ostrander", "Zzz, Chloé"],
    "first_name": ["Jennifer", "Wolfgang", "Chloé"],
    "pseudonymize": ["1980-02-29", "29.02.1980"],
    "redact": ["she called about her order today", "and she called again, I think"],
}


def proposal(
    name: str, kind: str = "text", values: list[str] | None = None, *, key: bool = False
) -> Proposal:
    """Return the proposal for a column that may be NULL."""
    own = Column(name, kind, nullable=True, generated=False)
    return suggest(own, key=key, values=pl.Series(values or [], dtype=pl.String))


def of(proposed: Proposal) -> str:
    """Return a proposal's kind: the argument of its rule, or the rule."""
    assert proposed.rule
    return str(proposed.rule.argument or proposed.rule.kind)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names.split()]
)
def test_a_name_suggests_a_kind_in_four_languages(kind: str, name: str) -> None:
    """In any case and with accents; a name alone is not certain."""
    proposed = proposal(name)
    assert (of(proposed), proposed.confidence) == (kind, "medium")


@pytest.mark.parametrize(
    "name", ["file_name", "productName", "Dateiname", "nom_du_produit", "nombre_archivo", "rename_x"]
)
def test_a_name_of_a_thing_is_nobodys(name: str) -> None:
    """Nor is a name that only holds the letters of one."""
    assert of(proposal(name)) in {"keep", "pseudonymize"}


@pytest.mark.parametrize("kind", VALUES)
def test_values_suggest_a_kind_whatever_the_name_is(kind: str) -> None:
    """All values of a form are certain; with the name they are too."""
    proposed = proposal("x", values=VALUES[kind] * 3)
    assert of(proposed) == kind
    assert proposed.confidence == ("low" if kind == "redact" else "high")


def test_the_same_values_as_the_name_says_make_it_certain() -> None:
    """The reason names both; of a number's form the digits are counted."""
    assert (
        proposal("mail", values=VALUES["email"]).reason == "column name and values suggest an e-mail address"
    )
    assert of(proposal("ssn", values=["123.456.789", "000.111.222"])) == "###.###.###"
    assert of(proposal("ssn", values=["123.456.789", "12"])) == "pseudonymize"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["zq1", "zq2"]),
        ("text", []),
        ("tsvector", ["'a':1"]),
        ("composite", ["(a,b)"]),
        ("hstore", []),
        ("range", []),
        ("bytea", ["\\x00"]),
        ("xml", []),
        ("jsonb", []),
        ("composite[]", []),
        ("unheard_of", []),
    ],
)
def test_what_is_not_known_is_never_proposed_to_be_kept(kind: str, values: list[str]) -> None:
    """Nor where nothing else fits: then there is a line to decide on."""
    proposed = proposal("x", kind, values)
    assert proposed.confidence == "low"
    assert proposed.rule
    assert proposed.rule.kind != "keep"
    must = suggest(Column("x", kind, nullable=False, generated=False))
    assert must.rule is None or must.rule.kind == "pseudonymize"
    assert not must.rule or not misfit(must.rule, Column("x", kind, nullable=False, generated=False))
    assert must.toml("a b").startswith('# "a b" = "keep"  # ' if must.rule is None else '"a b" = "')


def test_a_few_values_that_are_always_repeated_are_categories() -> None:
    """They may stay, if there are rows enough to tell."""
    assert of(proposal("x", values=["red", "green"] * 40)) == "keep"
    assert of(proposal("x", values=["red", "green"] * 4)) == "pseudonymize"
    assert of(proposal("x", values=["red", "green"] * 40, key=True)) == "pseudonymize"


@pytest.mark.parametrize(
    ("name", "kind", "values", "rule"),
    [
        ("geburtsdatum", "date", [], '{generalize = "year"}'),
        ("fecha_nacimiento", "date", [], '{generalize = "year"}'),
        ("dateOfBirth", "timestamp without time zone", [], '{generalize = "year"}'),
        ("x", "date", [f"{year}-05-01" for year in range(1930, 2015)], '{generalize = "year"}'),
        ("x", "date", [f"2024-05-{day:02}" for day in range(1, 30)], '"keep"'),
        ("gehalt", "numeric(10,2)", [], "{generalize = 1000}"),
        ("edad", "smallint", [], "{generalize = 10}"),
        ("phone", "bigint", [], '"pseudonymize"'),
        ("x", "bigint", ["4917012345678"] * 3, '"pseudonymize"'),
        ("x", "integer", ["3"], '"keep"'),
        ("x", "inet", [], '{fake = "ipv4"}'),
        ("x", "boolean", [], '"keep"'),
        ("x", "character(2)", ["ab"], '"null"'),
        ("email", "character varying(24)", [], '"pseudonymize"'),
        ("email", "character varying(15)", [], '"null"'),
        ("at", "time(3) without time zone", [], '"keep"'),
    ],
)
def test_other_types_are_judged_by_name_and_value_too(
    name: str, kind: str, values: list[str], rule: str
) -> None:
    """Dates of a life, earnings, ages, and numbers that are telephones."""
    proposed = proposal(name, kind, values)
    assert proposed.rule
    assert proposed.rule.toml() == rule


def test_names_are_compared_as_words() -> None:
    """Without accents, and apart where a capital letter begins."""
    assert plain_name("Straßen-Größe (alt)2") == "strassen_grosse_alt_2"
    assert plain_name("eMailAddress") == "e_mail_address"
