"""Text from bytes: what kind of file it really is, and the words in it. Nothing in a file is ever run or fetched."""

import base64
import hashlib
import re
from contextlib import closing
from dataclasses import dataclass

import structlog
from lxml import etree, html
from pypdfium2 import PdfDocument, PdfiumError

log = structlog.get_logger(__name__)

MAX_TEXT = 1_000_000
MAX_PDF_PAGES = 200
CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"{\\rtf", "application/rtf"),
)
CDA_NAMESPACE = "{urn:hl7-org:v3}"
CDA_TYPE = "application/hl7-v3+xml"
BLOCKS = frozenset(
    {"p", "div", "br", "tr", "li", "table", "paragraph", "item", "title", "section", "h1", "h2", "h3", "h4"}
)
CELLS = frozenset({"td", "th"})
SILENT = frozenset({"script", "style", "head", "template"})
CHARSETS = ("utf", "us-ascii", "ascii", "iso", "latin", "windows", "cp", "mac", "koi8", "big5", "gb", "euc", "shift")
"""How the names of charsets begin; Python knows other codecs by name too, which are none (`unicode_escape`, `zip`)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`content_type` is what the bytes are, whatever was declared; `text` is empty where there are no words to be had;
    `digest` the SHA-256 of what two readings of the same document have in common."""

    content_type: str
    text: str
    digest: bytes


def read(data: bytes, declared: str) -> Reading:
    """Never raises: a file that cannot be read has no text."""
    kind = sniff(data, declared)
    if kind == "application/pdf":
        text = _pdf(data)
    elif kind == CDA_TYPE or kind.endswith(("/xml", "+xml")):
        text = _xml(data)
    elif kind == "text/html":
        text = _html(data, declared)
    elif kind.startswith("text/"):
        text = decode(data, declared)
    else:
        text = ""
    return Reading(kind, _tidy(text), hashlib.sha256(stable(data, kind)).digest())


def has_words(kind: str) -> bool:
    """Whether files of this kind are looked into at all."""
    return kind in ("application/pdf", CDA_TYPE) or kind.endswith(("/xml", "+xml")) or kind.startswith("text/")


def sniff(data: bytes, declared: str) -> str:
    """The media type by the bytes; the declared one where bytes do not tell."""
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return kind
    media = declared.partition(";")[0].strip().lower()
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"clinicaldocument" in head or b"urn:hl7-org:v3" in head:
        return CDA_TYPE
    if head.startswith((b"<!doctype html", b"<html")) or (head.startswith(b"<div") and "html" in media):
        return "text/html"
    if head.startswith(b"<?xml"):
        return "application/xml"
    if media in ("", "application/octet-stream", CDA_TYPE, "application/xml", "text/xml", "application/pdf"):
        return "text/plain" if _looks_like_text(data) else "application/octet-stream"
    return "text/html" if media in ("application/xhtml", "application/xhtml+xml") else media


def decode(data: bytes, declared: str = "") -> str:
    """Text in whatever encoding it is: byte order mark, declared charset, UTF-8, and at last ISO-8859-1, which always is one."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    named = CHARSET.search(declared)
    wanted = named.group(1).lower() if named else ""
    for encoding in (wanted if wanted.startswith(CHARSETS) else "utf-8", "utf-8"):
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except (LookupError, UnicodeError):
            continue
    return data.decode("iso-8859-1")


def stable(data: bytes, kind: str) -> bytes:
    """The bytes as they are compared. Generated C-CDAs carry a fresh id and time stamp on every read: those are left out."""
    root = _parse(data) if kind == CDA_TYPE else None
    if root is None or root.tag != f"{CDA_NAMESPACE}ClinicalDocument":
        return data
    for child in list(root):
        if child.tag in (f"{CDA_NAMESPACE}id", f"{CDA_NAMESPACE}effectiveTime", f"{CDA_NAMESPACE}setId"):
            root.remove(child)
    try:
        return etree.tostring(root, method="c14n")
    except etree.C14NError:
        # It declares entities of its own, which have no canonical form (nor a place in a CDA).
        return data


def _looks_like_text(data: bytes) -> bool:
    head = data[:2048]
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\x00" not in head and bool(head))


def _parse(data: bytes) -> "etree._Element | None":
    """XML without DTD, entities or network; None where it is not well-formed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _xml(data: bytes) -> str:
    root = _parse(data)
    if root is None:
        return decode(data)
    if root.tag != f"{CDA_NAMESPACE}ClinicalDocument":
        return _words(root)
    # A CDA's words are its title and the narrative blocks of its sections; the coded entries repeat them for machines.
    parts = [root.find(f"{CDA_NAMESPACE}title")]
    for section in root.iter(f"{CDA_NAMESPACE}section"):
        parts += [section.find(f"{CDA_NAMESPACE}title"), section.find(f"{CDA_NAMESPACE}text")]
    words = [_words(part) for part in parts if part is not None]
    words += [_embedded(body) for body in root.iterfind(f".//{CDA_NAMESPACE}nonXMLBody/{CDA_NAMESPACE}text")]
    return "\n".join(words)


def _embedded(body: "etree._Element") -> str:
    """An unstructured CDA carries a whole file (R2, 4.3.1.1: representation B64); one inside another is not followed."""
    if body.get("representation") != "B64":
        return _words(body)
    try:
        data = base64.b64decode(body.text or "")
    except ValueError:
        return ""
    kind = body.get("mediaType", "")
    return "" if sniff(data, kind) == CDA_TYPE else read(data, kind).text


def _html(data: bytes, declared: str) -> str:
    text = decode(data, declared)
    try:
        return _words(
            html.document_fromstring(text.encode(), parser=html.HTMLParser(encoding="utf-8", no_network=True))
        )
    except (etree.ParserError, ValueError):
        return text


def _words(root: "etree._Element") -> str:
    """The text of a tree, lines where blocks are; an explicit stack, so that depth is no danger."""
    out: list[str] = []
    silent = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        name = etree.QName(node).localname if isinstance(node.tag, str) else ""
        start = event == "start"
        if name in SILENT:
            silent += 1 if start else -1
        if start and name in BLOCKS:
            out.append("\n")
        if not start and name in CELLS:
            out.append("\t")
        words = node.text if start and name else node.tail if not start and node is not root else None
        if words and not silent:
            out.append(words)
    return "".join(out)


def _pdf(data: bytes) -> str:
    try:
        document = PdfDocument(data)
    except PdfiumError as error:
        # It is kept as a file and shown as one; it only has no text.
        log.info("reading.pdf_without_text", error=str(error))
        return ""
    with closing(document):
        return "\n".join(_pdf_page(document, number) for number in range(min(len(document), MAX_PDF_PAGES)))


def _pdf_page(document: PdfDocument, number: int) -> str:
    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as words:
            return words.get_text_range()
    except PdfiumError:
        # A damaged page among good ones.
        return ""


def _tidy(text: str) -> str:
    # Some encodings and damaged PDFs yield halves of surrogate pairs, which no database takes.
    text = text[:MAX_TEXT].encode("utf-8", "replace").decode()
    lines = (" ".join(line.replace("\x00", "").split(" ")).rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
