"""A rival of the document pipeline as a worker process: `rivals.py ENGINE`.

Each line of standard input asks for one document: {"path": ..., "text": a file for its text, or null}. Each is
answered by a line: {"wall": seconds, "cpu": seconds, "chars": without space at the ends} or {"error": ...}. The clocks run from the path
to the text, over all threads and children of this process, and not while the text is written.
"""

import json
import os
import resource
import subprocess
import sys
import time


def pdfium():
    from pypdfium2 import PdfDocument

    def extract(path):
        document = PdfDocument(path)
        try:
            return "\n".join(page.get_textpage().get_text_range() for page in document)
        finally:
            document.close()

    return extract


def mupdf():
    import pymupdf

    def extract(path):
        with pymupdf.open(path) as document:
            return "\n".join(page.get_text() for page in document)

    return extract


def pypdf():
    from pypdf import PdfReader

    return lambda path: "\n".join(page.extract_text() for page in PdfReader(path).pages)


def kreuzberg():
    from kreuzberg import ExtractionConfig, extract_file_sync

    # A cache would answer the second run; nobody else recognises letters in pictures here.
    config = ExtractionConfig(use_cache=False, disable_ocr=True)
    return lambda path: extract_file_sync(path, config=config).content


def extractous():
    # Where it finds tesseract it reads pictures, in whatever format: it shall find none.
    os.environ["PATH"] = ""
    from extractous import Extractor, PdfOcrStrategy, PdfParserConfig

    without_ocr = PdfParserConfig().set_ocr_strategy(PdfOcrStrategy.NO_OCR)
    extractor = Extractor().set_extract_string_max_length(1 << 30).set_pdf_config(without_ocr)
    return lambda path: extractor.extract_file_to_string(path)[0]


def markitdown():
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: converter.convert_local(path).text_content


def program(*command):
    def extract(path):
        words = [word.format(path=path) for word in command]
        finished = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
        if finished.returncode != 0:
            raise RuntimeError(finished.stderr.decode(errors="replace").strip()[:500])
        return finished.stdout.decode(errors="replace")

    return extract


ENGINES = {
    "pdfium": pdfium,
    "mupdf": mupdf,
    "pypdf": pypdf,
    "kreuzberg": kreuzberg,
    "extractous": extractous,
    "markitdown": markitdown,
    "pdftotext": lambda: program("pdftotext", "-enc", "UTF-8", "{path}", "-"),
    "pandoc": lambda: program("pandoc", "--to=plain", "--wrap=none", "{path}"),
}


def cpu_seconds():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def answer(extract, request):
    wall, cpu = time.perf_counter(), cpu_seconds()
    try:
        text = extract(request["path"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    if request["text"]:
        with open(request["text"], "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    return {"wall": wall, "cpu": cpu, "chars": len(text.strip())}


def main():
    # Libraries may print: only answers go where answers are read.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    extract = ENGINES[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(extract, json.loads(line))), file=answers, flush=True)


main()
