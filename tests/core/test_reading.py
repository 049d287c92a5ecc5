"""Whatever a file is, reading it ends with its words or with none: quickly, without running or fetching anything."""

import asyncio
import base64
import random
from pathlib import Path

import pytest
from fpdf import FPDF

from app.core.reading import CDA_TYPE, MAX_TEXT, Reading, decode, read, sniff, stable

PATIENCE = 30
WORDS = "Grüße aus Köln: 5 µg Vitamin D"
CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <id root="{id}"/><code code="34133-9"/><title>Summary</title><effectiveTime value="{time}"/><setId root="{id}"/>
  <component><structuredBody><component><section>
    <title>Allergies</title>
    <text><table><tr><th>Food</th><td>{food}</td></tr></table><paragraph>Seen in May</paragraph></text>
    <entry><observation><value>coded twice</value></observation></entry>
  </section></component></structuredBody></component>
</ClinicalDocument>"""


def cda(identity: str = "1.2.3", time: str = "20250501", food: str = "Peanuts") -> bytes:
    return CDA.format(id=identity, time=time, food=food).encode()


def pdf(*pages: str) -> bytes:
    made = FPDF()
    for words in pages:
        made.add_page()
        made.set_font("helvetica", size=12)
        made.multi_cell(0, 8, words)
    return bytes(made.output())


async def quickly(data: bytes, declared: str) -> Reading:
    """Far from the limit on any machine; an exponential reader never comes back at all."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(read, data, declared)


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (WORDS.encode(), "text/plain"),
        (WORDS.encode("utf-8-sig"), "text/plain; charset=utf-8"),
        (WORDS.encode("utf-16"), "text/plain"),
        (b"\xfe\xff" + WORDS.encode("utf-16-be"), "text/plain; charset=iso-8859-1"),
        (WORDS.encode("iso-8859-1"), "text/plain"),
        (WORDS.encode("iso-8859-1"), "text/plain; charset=ISO-8859-1"),
        (WORDS.encode("cp1252"), 'text/plain; charset="windows-1252"'),
        (WORDS.encode(), "text/plain; charset=no-such-charset"),
        (WORDS.encode("utf-16"), "application/octet-stream"),
        (WORDS.encode(), ""),
    ],
)
def test_a_text_is_read_in_whatever_encoding_it_is(data: bytes, declared: str) -> None:
    found = read(data, declared)
    assert (found.content_type, found.text) == ("text/plain", WORDS)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xfe\xff\xd8", b"\xff\xfeA", b"\xef\xbb\xbf", bytes(range(256))])
@pytest.mark.parametrize(
    "charset", ["", "utf-8", "utf-16", "idna", "unicode_escape", "hex", "rot13", "zip", "undefined"]
)
def test_no_bytes_and_no_declared_charset_are_too_strange_to_decode(data: bytes, charset: str) -> None:
    assert isinstance(decode(data, f"text/plain; charset={charset}"), str)


@pytest.mark.parametrize(
    ("data", "declared", "kind"),
    [
        (b"%PDF-1.7 ...", "text/plain", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n...", "application/pdf", "image/png"),
        (b"\xff\xd8\xff\xe0", "", "image/jpeg"),
        (b"II*\x00", "application/octet-stream", "image/tiff"),
        (b"PK\x03\x04", "text/html", "application/zip"),
        (b"<html><body>sorry</body></html>", "application/pdf", "text/html"),
        (b"  <!DOCTYPE html><p>x", "text/plain", "text/html"),
        (b'<div xmlns="http://www.w3.org/1999/xhtml">x</div>', "application/xhtml+xml", "text/html"),
        (b"<?xml version='1.0'?><a/>", "text/plain", "application/xml"),
        (cda(), "text/xml", CDA_TYPE),
        (b"\x00\x01\x02", "application/octet-stream", "application/octet-stream"),
        (b"\x00\x01\x02", "audio/mpeg", "audio/mpeg"),
        (b"a plain note", "application/pdf", "text/plain"),
        (b"", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_bytes_are(data: bytes, declared: str, kind: str) -> None:
    assert sniff(data, declared) == kind


def test_a_pdf_is_read_page_after_page() -> None:
    found = read(pdf("HbA1c 42 mmol/mol", "Second page"), "application/pdf")
    assert found.content_type == "application/pdf"
    assert found.text.split("\n") == ["HbA1c 42 mmol/mol", "Second page"]


@pytest.mark.parametrize(
    "data",
    [b"%PDF-", b"%PDF-1.7\n%%EOF", b"%PDF-1.4\n" + b"\x00" * 5000, pdf("cut")[:300], pdf("cut")[:-40] + b"garbage"],
)
async def test_a_broken_pdf_has_no_words_but_stays_a_pdf(data: bytes) -> None:
    found = await quickly(data, "application/pdf")
    assert found.content_type == "application/pdf"
    assert found.text in ("", "cut")


async def test_a_pdf_with_flipped_bytes_never_raises() -> None:
    whole, chance = pdf("HbA1c 42 mmol/mol", "Second page"), random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            data[chance.randrange(5, len(data))] = chance.randrange(256)
        assert isinstance((await quickly(bytes(data), "application/pdf")).text, str)


def test_a_cda_is_read_as_its_narrative() -> None:
    found = read(cda(), "text/xml")
    assert found.content_type == CDA_TYPE
    for word in ("Summary", "Allergies", "Food\tPeanuts", "Seen in May"):
        assert word in found.text
    assert "coded twice" not in found.text


@pytest.mark.parametrize(
    ("inside", "words"), [(b"a note inside", "a note inside"), (pdf("a PDF inside"), "a PDF inside")]
)
def test_an_unstructured_cda_is_read_as_the_file_in_it(inside: bytes, words: str) -> None:
    body = f'<text mediaType="text/plain" representation="B64">{base64.b64encode(inside).decode()}</text>'
    whole = f'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>{body}</nonXMLBody></component></ClinicalDocument>'
    assert words in read(whole.encode(), "text/xml").text


async def test_a_cda_in_a_cda_in_a_cda_is_not_followed() -> None:
    whole = cda()
    for _ in range(12):
        body = f'<text mediaType="text/xml" representation="B64">{base64.b64encode(whole).decode()}</text>'
        whole = f'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>{body}</nonXMLBody></component></ClinicalDocument>'.encode()
    assert "Peanuts" not in (await quickly(whole, "text/xml")).text


@pytest.mark.parametrize("content", ["not base64 §", "====", "A"])
def test_an_unstructured_cda_with_a_broken_file_has_no_words(content: str) -> None:
    whole = f'<ClinicalDocument xmlns="urn:hl7-org:v3"><nonXMLBody><text representation="B64">{content}</text></nonXMLBody></ClinicalDocument>'
    assert isinstance(read(whole.encode(), "text/xml").text, str)


@pytest.mark.parametrize("depth", [200, 5_000, 200_000])
@pytest.mark.parametrize("declared", ["text/xml", "text/html"])
async def test_a_deep_tree_is_no_danger(depth: int, declared: str) -> None:
    tag = "p" if declared == "text/html" else "a"
    head = "<html>" if declared == "text/html" else "<?xml version='1.0'?>"
    data = f"{head}{f'<{tag}>' * depth}deep down{f'</{tag}>' * depth}".encode()
    found = await quickly(data, declared)
    assert found.content_type.endswith(("xml", "html"))
    assert isinstance(stable(data, found.content_type), bytes)


async def test_entities_do_not_multiply() -> None:
    lols = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    data = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "lol">{lols}]><a>&l11; said once</a>'.encode()
    found = await quickly(data, "text/xml")
    assert len(found.text) < 5_000
    blown = f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]><ClinicalDocument xmlns="urn:hl7-org:v3"><title>{"&x;" * 2000}</title></ClinicalDocument>'
    assert len((await quickly(blown.encode(), "text/xml")).text) < MAX_TEXT
    async with asyncio.timeout(PATIENCE):
        assert len(await asyncio.to_thread(stable, blown.encode(), CDA_TYPE)) < 10 * MAX_TEXT


@pytest.mark.parametrize("kind", ["SYSTEM", "PUBLIC 'x'"])
def test_a_file_of_ours_is_never_pulled_into_a_document(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret of the house")
    doctype = f'<!DOCTYPE a [<!ENTITY x {kind} "{secret.as_uri()}">]>'
    data = f"<?xml version='1.0'?>{doctype}<a>before &x; after</a>".encode()
    found = read(data, "text/xml").text
    assert "the secret" not in found
    assert "after" in found
    whole = (
        f'<?xml version="1.0"?>{doctype}<ClinicalDocument xmlns="urn:hl7-org:v3"><title>&x;</title></ClinicalDocument>'
    )
    assert "the secret" not in read(whole.encode(), "text/xml").text
    assert b"the secret" not in stable(whole.encode(), CDA_TYPE)


def test_a_foreign_dtd_and_inclusion_are_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret of the house")
    dtd = tmp_path / "evil.dtd"
    dtd.write_text('<!ENTITY x "from the DTD">')
    data = (
        f'<?xml version="1.0"?><!DOCTYPE a SYSTEM "{dtd.as_uri()}"><a xmlns:xi="http://www.w3.org/2001/XInclude">'
        f'plain <xi:include href="{secret.as_uri()}" parse="text"/></a>'
    )
    found = read(data.encode(), "text/xml").text
    assert "secret of the house" not in found
    assert "from the DTD" not in found
    assert "plain" in found


def test_of_a_page_only_what_a_reader_sees_is_read() -> None:
    page = (
        "<!DOCTYPE html><html><head><title>T</title><style>p{color:red}</style></head><body><p>Eats well.</p>"
        "<script>alert('no words')</script><template>nor these</template><p>Sleeps&nbsp;well &amp; long.</p>"
        "<table><tr><td>HbA1c</td><td>42</td></tr></table><!-- nor this --></body></html>"
    )
    found = read(page.encode(), "text/html").text
    assert found.replace("\xa0", " ").split("\n")[0] == "Eats well."
    assert "Sleeps well & long." in found.replace("\xa0", " ")
    assert "HbA1c\t42" in found
    for silent in ("alert", "color", "nor these", "nor this"):
        assert silent not in found


@pytest.mark.parametrize("data", [b"", b"<", b"<html>", b"<html></html>", b"<!DOCTYPE html>", b"<html>\x00\xff</html>"])
def test_an_empty_or_broken_page_never_raises(data: bytes) -> None:
    assert isinstance(read(data, "text/html").text, str)


def test_broken_xml_is_shown_as_it_stands() -> None:
    assert read(b"<?xml version='1.0'?><a>not closed", "text/xml").text.endswith("not closed")


def test_a_text_has_an_end_and_no_nul() -> None:
    assert len(read(b"a" * (MAX_TEXT + 10), "text/plain").text) == MAX_TEXT
    assert read(b"a\x00b\n\n\n\n\nc  \n", "text/plain; charset=utf-8").text == "ab\n\nc"


def test_a_text_can_always_be_kept_by_the_database() -> None:
    for data in (
        b"\xff\xfe\x00\xd8",
        "a\ud800b".encode("utf-16", "surrogatepass"),
        b'<?xml version="1.0"?><a>&#x1F;</a>',
    ):
        kept = read(data, "text/plain").text.encode()
        assert b"\x00" not in kept
    assert read(b"a +2AA- b", "text/plain; charset=utf-7").text.encode() == b"a ? b"


def test_a_cda_with_a_fresh_id_and_time_compares_equal() -> None:
    first, second = cda("1.2.3", "20250501"), cda("9.8.7", "20261120")
    assert first != second
    assert stable(first, CDA_TYPE) == stable(second, CDA_TYPE)
    assert stable(first, CDA_TYPE) == stable(first.replace(b'code="34133-9"/>', b"code='34133-9'></code>"), CDA_TYPE)


def test_a_cda_with_other_words_compares_unequal() -> None:
    assert stable(cda(food="Peanuts"), CDA_TYPE) != stable(cda(food="Milk"), CDA_TYPE)


def test_two_readings_of_a_generated_document_have_one_digest() -> None:
    first, second, other = (read(cda(*it), "text/xml") for it in (("1", "2025"), ("2", "2026"), ("1", "2025", "Milk")))
    assert first.digest == second.digest != other.digest


def test_what_is_no_cda_is_compared_byte_by_byte() -> None:
    for data, kind in (
        (b"<a><id/></a>", "text/xml"),
        (b"<a><id/></a>", CDA_TYPE),
        (b"no xml", CDA_TYPE),
        (b"", "text/plain"),
    ):
        assert stable(data, kind) == data
