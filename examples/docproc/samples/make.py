#!/usr/bin/env python3
"""Makes the sample documents out of the texts in markdown/, with real tools, and writes manifest.json.

Needs pandoc, LibreOffice (writer, calc, impress), Chromium, groff, poppler's tools, and the Python packages openpyxl,
python-pptx, img2pdf and pillow.
What comes out is the same in kind, not byte for byte: the tools write dates and their versions.

    python3 make.py
"""
import csv
import datetime
import email.message
import email.policy
import gzip
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

import img2pdf
import openpyxl
import PIL.Image
import pptx

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "markdown"

# What must be found in every document made of a source: phrases, headings and table cells, copied from it by hand.
EXPECTED = {
    "harbour.en": dict(
        title="Annual Report of Pell Harbour", author="Ines Marlowe", language="eng",
        contains=["four thousand and twelve boats tied up", "one to deliver a piano that nobody had ordered",
                  "A new lamp was fitted to the old lighthouse", "deepen the inner basin by forty centimetres"],
        headings=["Traffic", "Repairs", "Outlook"], table_cells=["June", "561", "77.2"]),
    "garden.de": dict(
        title="Protokoll der Gartenversammlung", author="Jörg Weißhaupt", language="deu",
        contains=["achtzehn Mitglieder des Gartenvereins Grüner Winkel", "seit August trübes Wasser",
                  "Der Kompostplatz wird im Frühjahr überdacht", "Der Honig wird beim Winterfest verkauft"],
        headings=["Wasserversorgung", "Beschlüsse", "Verschiedenes"], table_cells=["Familie Krüger", "96 Euro"]),
    "soup.fr": dict(
        title="La soupe à l’oignon de ma tante", author="Élodie Garnier", language="fra",
        contains=["quand la neige bloquait la route du village", "six gros oignons jaunes",
                  "perd sa croûte et son âme"],
        headings=["Ingrédients", "Préparation", "Conseil"], table_cells=["Gratin", "8 minutes"]),
    "trails.es": dict(
        title="Guía de senderos del valle", author="Lucía Barrientos", language="spa",
        contains=["las antiguas rutas de los pastores", "la fuente del molino suele secarse en agosto",
                  "para que no escape el ganado"],
        headings=["El camino del molino", "Consejos"], table_cells=["Mirador", "difícil"]),
    "library.ru": dict(
        title="Письмо читателям библиотеки", author="Анна Соколова", language="rus",
        contains=["наша библиотека снова открыта после ремонта", "Книги можно брать на четыре недели",
                  "пьём чай с вареньем"],
        headings=["Часы работы", "Новые правила"], table_cells=["Понедельник", "с десяти до восьми"]),
    "island.el": dict(
        title="Ένα ταξίδι στο νησί", author="Ελένη Παππά", language="ell",
        contains=["Φτάσαμε στο νησί με το πρωινό καράβι", "με γαλάζιες πόρτες και γλάστρες", "ψητό χταπόδι με λεμόνι"],
        headings=["Το χωριό", "Το φαγητό"], table_cells=[]),
    "museum.ja": dict(
        title="町の時計博物館のご案内", author="佐藤 花子", language="jpn",
        contains=["当館には三百年前の時計から", "展示品には手を触れないでください"],
        headings=["開館時間", "お願い"], table_cells=["火曜日", "午前十時から午後六時"]),
    "tea.zh": dict(
        title="山中采茶笔记", author="林晓雨", language="cmn",
        contains=["采茶的人天不亮就出门", "可以听见远处溪水的声音"],
        headings=["制茶", "品茶"], table_cells=["炒青", "二十分钟"]),
    "reading-room.ar": dict(
        title="قواعد قاعة المطالعة", author="سلمى حداد", language="ara",
        contains=["نرحب بكم في قاعة المطالعة الجديدة", "يمكن استعارة ثلاثة كتب لمدة أسبوعين"],
        headings=["التعليمات"], table_cells=[]),
    "retries.en": dict(
        title="A Note on Retries", author="Tomas Brandt", language="eng",
        contains=["A retry is a bet that the second attempt", "the second wave arrives as a drizzle",
                  "the third attempt locks the account"],
        headings=["Budgets", "Jitter", "What not to retry"], table_cells=["200 ms"]),
}

manifest = []


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def source(name):
    return SOURCE / f"{name}.md"


def path(kind, file):
    (HERE / kind).mkdir(exist_ok=True)
    return HERE / kind / file


def listed(file, kind, name=None, **more):
    """Adds a document to the manifest: what its source promises, less what its format cannot keep."""
    entry = dict(path=str(file.relative_to(HERE)), format=kind)
    entry.update(EXPECTED.get(name, {}))
    entry.update(more)
    manifest.append({key: value for key, value in entry.items() if value not in (None, [])})


def convert(file, kind, folder):
    """LibreOffice's conversion of a file, in a folder of its own."""
    with tempfile.TemporaryDirectory() as profile:
        run("soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--convert-to", kind, "--outdir", folder,
            file)
    return pathlib.Path(folder) / f"{pathlib.Path(file).stem}.{kind.split(':')[0]}"


def print_page(html, pdf):
    with tempfile.TemporaryDirectory() as profile:
        run("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={profile}", f"--print-to-pdf={pdf}", f"file://{html}")


def texts():
    """Plain text, in the encodings that people still have files in."""
    for name, encoding, file in [
        ("harbour.en", "ascii", "harbour.txt"), ("garden.de", "utf-8", "garden-utf8.txt"),
        ("garden.de", "cp1252", "garden-windows1252.txt"), ("soup.fr", "utf-8-sig", "soup-utf8-bom.txt"),
        ("library.ru", "koi8-r", "library-koi8r.txt"), ("library.ru", "cp1251", "library-windows1251.txt"),
        ("island.el", "utf-16", "island-utf16.txt"), ("museum.ja", "shift_jis", "museum-shiftjis.txt"),
        ("museum.ja", "utf-16-be", "museum-utf16be.txt"), ("tea.zh", "gb18030", "tea-gb18030.txt"),
        ("reading-room.ar", "utf-8", "reading-room.txt"),
    ]:
        plain = subprocess.run(["pandoc", "-t", "plain", "--wrap=preserve", source(name)], check=True,
                               capture_output=True).stdout.decode()
        plain = plain.replace("\u2019", "'") if encoding in ("ascii", "cp1251", "koi8-r") else plain
        file = path("text", file)
        file.write_bytes((b"\xfe\xff" if encoding == "utf-16-be" else b"") + plain.encode(encoding))
        listed(file, "text", name, title=None, author=None, headings=None, table_cells=None)


def markdown():
    """The sources are samples too."""
    for name in EXPECTED:
        listed(source(name), "markdown", name)


def by_pandoc():
    for kind, names in {
        "docx": ["harbour.en", "garden.de", "soup.fr", "trails.es", "library.ru", "museum.ja"],
        "odt": ["harbour.en", "garden.de", "island.el", "tea.zh"],
        "epub": ["harbour.en", "soup.fr", "retries.en"],
        "html": ["harbour.en", "garden.de", "library.ru", "museum.ja", "reading-room.ar"],
        "rst": ["harbour.en", "museum.ja"],
        "latex": ["harbour.en", "garden.de"],
        "org": ["harbour.en", "library.ru"],
    }.items():
        for name in names:
            file = path(kind, f"{name.split('.')[0]}.{'tex' if kind == 'latex' else kind}")
            run("pandoc", "--standalone", "--wrap=preserve", "-o", file, source(name))
            listed(file, kind, name)


def by_libreoffice():
    with tempfile.TemporaryDirectory() as folder:
        for name in ["harbour.en", "garden.de", "soup.fr", "trails.es", "library.ru", "island.el", "retries.en"]:
            docx = pathlib.Path(folder) / f"{name.split('.')[0]}.docx"
            run("pandoc", "-o", docx, source(name))
            if name != "retries.en":
                pdf = convert(docx, "pdf", path("pdf", "x").parent)
                listed(pdf, "pdf", name, table_cells=None, headings=None, pages=1)
            if name in ("harbour.en", "library.ru", "garden.de"):
                rtf = convert(docx, "rtf", path("rtf", "x").parent)
                listed(rtf, "rtf", name)
            if name == "retries.en":
                odt = convert(docx, "odt", path("odt", "x").parent)
                listed(odt, "odt", name)
                again = convert(odt, "docx", folder)
                file = path("docx", "retries.docx")
                shutil.copy(again, file)
                listed(file, "docx", name)


def by_chromium():
    with tempfile.TemporaryDirectory() as folder:
        for name in ["museum.ja", "tea.zh", "reading-room.ar", "retries.en"]:
            html = pathlib.Path(folder) / "page.html"
            run("pandoc", "--standalone", "-o", html, source(name))
            pdf = path("pdf", f"{name.split('.')[0]}.pdf")
            print_page(html, pdf)
            arabic = name == "reading-room.ar"
            listed(pdf, "pdf", name, author=None, table_cells=None, headings=None,
                   contains=["المطالعة", "التعليمات"] if arabic else EXPECTED[name]["contains"])
        columns = pathlib.Path(folder) / "columns.html"
        columns.write_text(
            "<meta charset=utf-8><title>Two Columns</title><style>div{columns:2;text-align:justify}</style>"
            "<h1>The Lighthouse Keeper</h1><div>"
            + "".join(f"<p>{text}</p>" for text in LIGHTHOUSE) + "</div>")
        pdf = path("pdf", "columns.pdf")
        print_page(columns, pdf)
        listed(pdf, "pdf", title="Two Columns", language="eng",
               contains=["The keeper wound the clockwork every four hours", "a bottle with a letter in it",
                         "He never told anyone what the letter said"])


LIGHTHOUSE = [
    "The keeper wound the clockwork every four hours, whether there was fog or not. The lamp turned, the beam swept over the "
    "water, and somewhere out there a mate on watch made a small mark on a chart.",
    "In the autumn of his ninth year the sea brought him a bottle with a letter in it. He dried the paper on the stove and "
    "read it by the light of the great lamp, one line with each turn of the lens.",
    "He never told anyone what the letter said. But from that day on he set two cups on the table, and in clear nights he "
    "left the door unlatched.",
]


def manual():
    """A page of groff's: the oldest producer of PDF that is still in daily use."""
    file = path("pdf", "manual.pdf")
    page = (".TH TIDE 1 2024-01-01\n.SH NAME\ntide \\- print the next high water\n.SH SYNOPSIS\n.B tide\n[\\fIharbour\\fR]\n"
            ".SH DESCRIPTION\nTide prints when the water will be highest, in local time. Without an argument it takes the "
            "harbour of Pell.\n.SH BUGS\nIt knows nothing of storms.\n")
    pdf = subprocess.run(["groff", "-man", "-Tpdf"], input=page.encode(), check=True, capture_output=True).stdout
    file.write_bytes(pdf)
    listed(file, "pdf", language="eng", pages=1,
           contains=["print the next high water", "Without an argument it takes the harbour of Pell"])


def scan():
    """A page from a scanner: one in gray as JPEG, one in black and white as fax codes, and no text at all."""
    file = path("pdf", "scan.pdf")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run("pdftoppm", "-gray", "-r", "100", "-singlefile", HERE / "pdf/harbour.pdf", folder / "gray")
        run("pdftoppm", "-gray", "-r", "150", "-singlefile", HERE / "pdf/retries.pdf", folder / "fax")
        PIL.Image.open(folder / "gray.pgm").save(folder / "gray.jpg", quality=20, optimize=True, dpi=(100, 100))
        black_and_white = PIL.Image.open(folder / "fax.pgm").point(lambda light: 255 * (light > 140)).convert("1")
        black_and_white.save(folder / "fax.tif", compression="group4", dpi=(150, 150))
        pages = [str(folder / "gray.jpg"), str(folder / "fax.tif")]
        file.write_bytes(img2pdf.convert(pages, creationdate=datetime.datetime(2024, 3, 14)))
    listed(file, "pdf", language="eng", pages=2,
           contains=["deepen the inner basin by forty centimetres", "A retry is a bet that the second attempt"])


def pages_around_text():
    """A page as sites have them: the text between navigation, banners and footers."""
    file = path("html", "article.html")
    file.write_text("""<!DOCTYPE html><html lang="en"><head><title>How Bread Learned to Rise</title>
<meta name="author" content="Nora Feld"><meta name="description" content="A short history of yeast"></head><body>
<header class="site-header"><a href="/">The Daily Crumb</a><nav><ul><li><a href="/recipes">All recipes</a></li>
<li><a href="/shop">Visit our shop</a></li></ul></nav></header>
<div class="cookie-banner"><p>We use cookies to improve your experience.</p><button>Accept</button></div>
<main><article><h1>How Bread Learned to Rise</h1>
<p>Somebody forgot a bowl of dough by the river, and the next morning it had grown. Nobody knows whose bowl it was, or whether
the baker was scolded. But the loaf that came of it was lighter than any before, and people asked for it again.</p>
<h2>What happened in the bowl</h2>
<p>Wild yeast lives on every grain. Given warmth and time it eats sugar and breathes out gas, and the gluten holds the gas in
small rooms. Heat makes the walls of these rooms firm, which is why a loaf keeps its shape.</p>
<table><tr><th>Flour</th><th>Hours</th></tr><tr><td>Wheat</td><td>5</td></tr><tr><td>Rye</td><td>16</td></tr></table>
<p hidden>This paragraph is hidden from readers.</p></article></main>
<aside class="related"><h3>Read next</h3><a href="/a">Ten secrets of pizza</a></aside>
<footer><p>Copyright The Daily Crumb. <a href="/imprint">Imprint and contact</a></p></footer>
<script>console.log("tracking code");</script></body></html>""")
    listed(file, "html", title="How Bread Learned to Rise", author="Nora Feld", language="eng",
           contains=["Somebody forgot a bowl of dough by the river", "Wild yeast lives on every grain"],
           headings=["What happened in the bowl"], table_cells=["Rye", "16"],
           absent=["tracking code", "hidden from readers", "<p>"],
           boilerplate=["Visit our shop", "We use cookies", "Ten secrets of pizza", "Imprint and contact"])


def sheets():
    book = openpyxl.Workbook()
    boats = book.active
    boats.title = "Boats"
    boats.append(["Name", "Launched", "Length", "Licensed", "Share"])
    boats.append(["Marigold", datetime.date(1998, 5, 17), 11.25, True, 0.125])
    boats.append(["Second Chance", datetime.date(2011, 9, 3), 8.4, False, 0.5])
    for row in (2, 3):
        boats.cell(row, 2).number_format = "yyyy-mm-dd"
        boats.cell(row, 5).number_format = "0.0%"
    crew = book.create_sheet("Crew & Pay")
    crew.append(["Who", "Since", "Pay"])
    crew.append(["Old | Tom", datetime.datetime(2020, 2, 29, 6, 30), 2400])
    crew.cell(2, 2).number_format = "yyyy-mm-dd hh:mm"
    crew.append(["Sum", None, "=SUM(C2:C2)"])
    crew["H40"] = "a lonely note"
    book.properties.title, book.properties.creator = "The Fleet", "Ines Marlowe"
    file = path("xlsx", "fleet.xlsx")
    book.save(file)
    expected = dict(contains=["Second Chance", "a lonely note"], headings=["Boats", "Crew & Pay"], pages=2,
                    table_cells=["Marigold", "1998-05-17", "11.25", "TRUE", "12.5%", "Old \\| Tom", "2020-02-29 06:30"])
    listed(file, "xlsx", title="The Fleet", author="Ines Marlowe", **expected)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(file, pathlib.Path(folder) / "fleet-calculated.xlsx")
        ods = convert(copy, "ods", path("ods", "x").parent)
        listed(ods, "ods", contains=["Second Chance", "a lonely note"], headings=["Boats", "Crew & Pay"], pages=2,
               table_cells=["Marigold", "1998-05-17", "2400"])
        shutil.copy(ods, pathlib.Path(folder) / "fleet-libreoffice.ods")
        again = convert(pathlib.Path(folder) / "fleet-libreoffice.ods", "xlsx", path("xlsx", "x").parent)
        listed(again, "xlsx", contains=["Second Chance", "a lonely note"], headings=["Boats", "Crew & Pay"], pages=2,
               table_cells=["Marigold", "1998-05-17", "2400"])


def slides():
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "Saving the East Pier", "What eleven stones will cost us"
    first.notes_slide.notes_text_frame.text = "Begin with the picture of the storm."
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text = "Three ways out"
    body = second.placeholders[1].text_frame
    body.text = "Rebuild it as it was"
    for text in ["Shorten it by nine metres", "Let the sea have it"]:
        body.add_paragraph().text = text
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "Costs"
    table = third.shapes.add_table(3, 2, 914400, 1828800, 5486400, 914400).table
    for i, row in enumerate([("Way", "Crowns"), ("Rebuild", "41000"), ("Shorten", "17500")]):
        for j, cell in enumerate(row):
            table.cell(i, j).text = cell
    deck.core_properties.title, deck.core_properties.author = "Saving the East Pier", "Tomas Brandt"
    file = path("pptx", "pier.pptx")
    deck.save(file)
    expected = dict(contains=["What eleven stones will cost us", "Shorten it by nine metres",
                              "Begin with the picture of the storm"], pages=3)
    listed(file, "pptx", title="Saving the East Pier", author="Tomas Brandt",
           headings=["Saving the East Pier", "Three ways out", "Costs"], table_cells=["Rebuild", "17500"], **expected)
    odp = convert(file, "odp", path("odp", "x").parent)
    listed(odp, "odp", title="Saving the East Pier", table_cells=["Rebuild", "17500"], **expected)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(odp, pathlib.Path(folder) / "pier-libreoffice.odp")
        again = convert(copy, "pptx", path("pptx", "x").parent)
        listed(again, "pptx", title="Saving the East Pier", **expected)
    pdf = convert(file, "pdf", path("pdf", "x").parent)
    listed(pdf, "pdf", pages=3, contains=["What eleven stones will cost us", "Let the sea have it"])


def before_2007():
    """The formats of Office before 2007, as LibreOffice writes them."""
    for name in ["harbour.en", "garden.de", "museum.ja"]:
        doc = convert(path("docx", f"{name.split('.')[0]}.docx"), "doc", path("doc", "x").parent)
        listed(doc, "doc", name)
    sheets = dict(contains=["Second Chance", "a lonely note"], headings=["Boats", "Crew & Pay"], pages=2,
                  table_cells=["Marigold", "1998-05-17", "11.25", "TRUE", "12.5%", "Old \\| Tom", "2400"])
    xls = convert(path("xlsx", "fleet.xlsx"), "xls", path("xls", "x").parent)
    listed(xls, "xls", title="The Fleet", author="Ines Marlowe", **sheets)
    xls = convert(path("ods", "fleet-calculated.ods"), "xls", path("xls", "x").parent)
    listed(xls, "xls", **sheets)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path("odp", "pier.odp"), pathlib.Path(folder) / "pier-of-odp.odp")
        slides = dict(contains=["What eleven stones will cost us", "Shorten it by nine metres",
                                "Begin with the picture of the storm"], pages=3, table_cells=["Rebuild", "17500"],
                      headings=["Saving the East Pier", "Three ways out", "Costs"], absent=["Click to edit"])
        for deck in [path("pptx", "pier.pptx"), copy]:
            listed(convert(deck, "ppt", path("ppt", "x").parent), "ppt", title="Saving the East Pier", **slides)


def mail():
    def message(file, text, subject, html=None, attachments=(), **headers):
        mail = email.message.EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"] = headers.get("sender", "Ines Marlowe <ines@pell.example>"), "Council <council@pell.example>"
        mail["Subject"], mail["Date"] = subject, "Thu, 14 Mar 2024 09:30:00 +0100"
        mail["Message-ID"] = f"<{file}@pell.example>"
        if text is not None:
            mail.set_content(text, **headers.get("content", {}))
        if html is not None:
            mail.add_alternative(html, subtype="html") if text is not None else mail.set_content(html, subtype="html")
        for name, kind in attachments:
            main, sub = kind.split("/")
            mail.add_attachment((HERE / name).read_bytes(), maintype=main, subtype=sub, filename=pathlib.Path(name).name)
        file = path("eml", file)
        file.write_bytes(mail.as_bytes())
        return file

    file = message("plain.eml", "Dear council,\n\nthe lamp is in place, and it is brighter than we feared.\n\nInes\n", "The new lamp")
    listed(file, "eml", title="The new lamp", author="Ines Marlowe <ines@pell.example>",
           contains=["it is brighter than we feared", "council@pell.example"])
    file = message("umlauts.eml", "Grüße aus dem Gewächshaus. Der Schlüssel hing am Nagel neben der Gießkanne.\n",
                   "Schlüssel gefunden: er hing am Nagel", sender="Jörg Weißhaupt <joerg@garten.example>",
                   content=dict(charset="iso-8859-1", cte="quoted-printable"))
    listed(file, "eml", title="Schlüssel gefunden: er hing am Nagel", author="Jörg Weißhaupt <joerg@garten.example>",
           contains=["Der Schlüssel hing am Nagel neben der Gießkanne"])
    file = message("alternative.eml", "Tea on Friday at five, as always.\n", "Tea",
                   "<p>Tea on <b>Friday</b> at five, as always.</p>")
    listed(file, "eml", title="Tea", contains=["Tea on Friday at five, as always"], absent=["<b>"])
    file = message("html-only.eml", None, "Prices", "<h1>New prices</h1><table><tr><th>Berth</th><th>Price</th></tr>"
                   "<tr><td>East pier</td><td>14 crowns</td></tr></table><style>p{color:red}</style>")
    listed(file, "eml", title="Prices", headings=["New prices"], table_cells=["East pier", "14 crowns"], absent=["color:red"])
    file = message("attachments.eml", "The report and the minutes are attached.\n", "Papers for the meeting", attachments=[
        ("pdf/harbour.pdf", "application/pdf"),
        ("docx/garden.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")])
    listed(file, "eml", title="Papers for the meeting", parts=["harbour.pdf", "garden.docx"],
           contains=["The report and the minutes are attached", "four thousand and twelve boats tied up",
                     "achtzehn Mitglieder des Gartenvereins Grüner Winkel"])


def mailbox():
    """The messages of `mail`, as a mail program keeps them in one file."""
    file = path("mbox", "council.mbox")
    lines = []
    for message in ["plain.eml", "umlauts.eml", "html-only.eml"]:
        lines.append("From ines@pell.example Thu Mar 14 09:30:00 2024")
        lines += (HERE / "eml" / message).read_text().splitlines() + [""]
    file.write_text("\n".join(lines) + "\n")
    listed(file, "mbox", headings=["The new lamp", "Schlüssel gefunden: er hing am Nagel", "New prices"],
           contains=["it is brighter than we feared", "Der Schlüssel hing am Nagel neben der Gießkanne"],
           parts=["message 1", "message 2", "message 3"], absent=["color:red"])


def notebooks():
    """A notebook of each version that is read."""
    code = "tides = [6, 12, 18]\nprint(max(tides))"
    four = dict(nbformat=4, nbformat_minor=5, metadata=dict(title="Tides of Pell", kernelspec=dict(
        name="python3", language="python", display_name="Python 3")), cells=[
            dict(cell_type="markdown", id="a", metadata={}, source=["# Tides of Pell\n", "\n", "High water comes *late* in spring."]),
            dict(cell_type="code", id="b", metadata={}, execution_count=1, source=code.splitlines(keepends=True), outputs=[
                dict(output_type="stream", name="stdout", text=["18\n"]),
                dict(output_type="display_data", metadata={}, data={"image/png": "iVBORw0KGgo=", "text/plain": ["<Figure of tides>"]})]),
            dict(cell_type="markdown", id="c", metadata={}, source="| Hour | Water |\n|---|---|\n| six | rising |")])
    three = dict(nbformat=3, nbformat_minor=0, metadata=dict(name="Old tides"), worksheets=[dict(metadata={}, cells=[
        dict(cell_type="heading", level=2, metadata={}, source=["What the harbour master counted"]),
        dict(cell_type="code", language="python", collapsed=False, prompt_number=1, metadata={}, input=[code], outputs=[
            dict(output_type="pyout", prompt_number=1, metadata={}, text=["eighteen boats"])])])])
    for name, notebook, expected in [
        ("tides.ipynb", four, dict(title="Tides of Pell", headings=["Tides of Pell"], table_cells=["six", "rising"],
                                   contains=["High water comes late in spring", "print(max(tides))"], absent=["Figure of tides"])),
        ("old-tides.ipynb", three, dict(title="Old tides", headings=["What the harbour master counted"],
                                        contains=["tides = [6, 12, 18]", "eighteen boats"])),
    ]:
        file = path("ipynb", name)
        file.write_text(json.dumps(notebook, indent=1) + "\n")
        listed(file, "ipynb", **expected)


def data():
    rows = [["name", "landed", "note"], ["mackerel", "41.5", "early, and many"], ["herring", "58.9", 'the "silver" run'],
            ["cod", "7.2", "none after May"]]
    for file, kind, delimiter, encoding in [("catch.csv", "csv", ",", "utf-8"), ("catch-semicolon.csv", "csv", ";", "cp1252"),
                                            ("catch.tsv", "tsv", "\t", "utf-8")]:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter).writerows(rows)
        file = path(kind, file)
        file.write_bytes(text.getvalue().encode(encoding))
        listed(file, kind, contains=["early, and many"], table_cells=["mackerel", "58.9", 'the "silver" run'])
    boats = dict(harbour="Pell", boats=[dict(name="Marigold", crew=["Tom", "Ada"], length=11.25, licensed=True),
                                        dict(name="Second Chance", crew=[], length=8.4, licensed=None)])
    file = path("json", "boats.json")
    file.write_text(json.dumps(boats, indent=2))
    listed(file, "json", contains=["harbour: Pell", "boats[0].crew[1]: Ada", "boats[1].name: Second Chance"])
    file = path("json", "events.jsonl")
    file.write_text("".join(json.dumps(dict(event=event, boat="Marigold")) + "\n" for event in ["left", "returned late"]))
    listed(file, "json", contains=["event: left", "event: returned late"])
    file = path("xml", "feed.xml")
    file.write_text('<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>Harbour news</title><item>'
                    "<title>Lamp fitted</title><description>Brighter &amp; taller than the old one.</description></item>"
                    "<item><title>Net cleared</title><description><![CDATA[Divers worked <two> days.]]></description></item>"
                    "</channel></rss>\n")
    listed(file, "xml", contains=["Lamp fitted", "Brighter & taller than the old one", "Divers worked <two> days"])
    file = path("xml", "latin1.xml")
    file.write_bytes('<?xml version="1.0" encoding="ISO-8859-1"?><note><from>Jörg</from><text>Grüße aus dem Gewächshaus</text></note>'
                     .encode("latin-1"))
    listed(file, "xml", contains=["Jörg", "Grüße aus dem Gewächshaus"])


def archives():
    members = ["docx/harbour.docx", "text/library-koi8r.txt", "pdf/tea.pdf"]
    contains = ["four thousand and twelve boats tied up", "Книги можно брать на четыре недели", "采茶的人天不亮就出门"]
    file = path("zip", "papers.zip")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.write(HERE / name, f"papers/{pathlib.Path(name).name}")
    listed(file, "zip", contains=contains, parts=[f"papers/{pathlib.Path(name).name}" for name in members])
    outer = path("zip", "nested.zip")
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(file, "inner/papers.zip")
        archive.writestr("readme.txt", "The papers are in the archive inside this one.")
    listed(outer, "zip", contains=contains + ["in the archive inside this one"])
    for kind, file, mode in [("tar", "papers.tar", "w"), ("gzip", "papers.tar.gz", "w:gz")]:
        file = path(kind, file)
        with tarfile.open(file, mode) as archive:
            for name in members:
                archive.add(HERE / name, pathlib.Path(name).name)
        listed(file, kind, contains=contains, parts=[pathlib.Path(name).name for name in members])
    file = path("gzip", "harbour.txt.gz")
    file.write_bytes(gzip.compress((HERE / "text/harbour.txt").read_bytes()))
    listed(file, "gzip", "harbour.en", title=None, author=None, headings=None, table_cells=None)


for make in [texts, markdown, by_pandoc, by_libreoffice, by_chromium, manual, scan, pages_around_text, sheets, slides, before_2007,
             mail, mailbox, notebooks, data, archives]:
    make()
    print(f"{make.__name__:20} {len(manifest):3} documents so far")
manifest.sort(key=lambda entry: entry["path"])
(HERE / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
