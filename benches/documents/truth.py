"""LaTeX documents and the text that is in them: `truth.py FOLDER COUNT SEED`.

Writes N.tex and N.txt for each document and prints the program that compiles it and its name, one a line. Both files
come from the same structure, so the text is known without reading a PDF. No page numbers and no running heads: they
are not part of it.
"""

import random
import sys
from pathlib import Path

from phrases import PHRASES

# Where letters touch figures of another size (notes' numbers), punctuation stands between them: whether there is a
# space is nobody's truth.

PDFLATEX_FONTS = {
    "Latin Modern": r"\usepackage[T1]{fontenc}\usepackage{lmodern}",
    "Times": r"\usepackage[T1]{fontenc}\usepackage{mathptmx}",
    "Palatino": r"\usepackage[T1]{fontenc}\usepackage{mathpazo}",
    "Helvetica": r"\usepackage[T1]{fontenc}\usepackage{helvet}\renewcommand{\familydefault}{\sfdefault}",
    "Schoolbook": r"\usepackage[T1]{fontenc}\usepackage{newcent}",
    "Bookman": r"\usepackage[T1]{fontenc}\usepackage{bookman}",
    "Charter": r"\usepackage[T1]{fontenc}\usepackage{charter}",
    "Computer Modern": r"\usepackage[OT1]{fontenc}",
    # No outlines are known to the compiler then: it embeds bitmaps, as Type 3.
    "Computer Modern, bitmaps": r"\usepackage[OT1]{fontenc}\pdfmapfile{}",
}
XELATEX_FONTS = {
    "Latin Modern, OpenType": r"\setmainfont{lmroman10-regular.otf}"
    r"[BoldFont=lmroman10-bold.otf,ItalicFont=lmroman10-italic.otf]",
    "DejaVu Serif": r"\setmainfont{DejaVu Serif}",
    "DejaVu Sans": r"\setmainfont{DejaVu Sans}",
}
# Written with letters that the fonts of pdflatex do not have.
NEEDS_XELATEX = ["russian", "greek", "polish"]
BABEL = {"english": "english", "german": "ngerman", "french": "french", "spanish": "spanish"}


class Document:
    """A document in the making: its LaTeX and its text, side by side."""

    def __init__(self, chance, number):
        self.chance = chance
        self.tex = []
        self.text = []
        self.notes = []
        self.numbers = {"chapter": 0, "section": 0, "subsection": 0, "table": 0, "note": 0}

        self.xelatex = number % 4 == 3
        languages = list(BABEL) + NEEDS_XELATEX if self.xelatex else ["english", "english", *BABEL]
        self.language = chance.choice(languages)
        self.phrases = PHRASES[self.language]
        self.kind = chance.choices(["article", "report", "book"], [4, 2, 1])[0]
        self.columns = chance.choices([1, 2], [2, 1])[0]
        if self.xelatex:
            fonts = [name for name in XELATEX_FONTS if self.language not in NEEDS_XELATEX or "DejaVu" in name]
        else:
            # Without accented letters of its own, a font puts accents over letters: English has few.
            fonts = [name for name in PDFLATEX_FONTS if self.language == "english" or "Computer" not in name]
        # Each in its turn: chance would leave out one or the other.
        self.font = fonts[number // 4 % len(fonts)]

    # Words.

    def sentence(self):
        phrase = [self.chance.choice(self.phrases[part]) for part in ("subjects", "predicates", "endings")]
        words = " ".join(phrase)
        return words[0].upper() + words[1:] + "."

    def title(self):
        return " ".join(self.chance.sample(self.phrases["words"], self.chance.choice([1, 2, 3])))

    def decorated(self, sentence):
        """A sentence as LaTeX and as text."""
        first, rest = sentence.split(" ", 1)
        number = self.chance.randint(2, 9999)
        plain = (sentence, sentence)
        return self.chance.choices(
            [
                plain,
                (rf"\emph{{{first}}} {rest}", sentence),
                (rf"\textbf{{{sentence}}}", sentence),
                (f"“{sentence}”", f"“{sentence}”"),
                (f"{first} --- {rest}", f"{first} — {rest}"),
                (rf"{sentence} (${number} + n = k$)", f"{sentence} ({number} + n = k)"),
                (rf"{sentence} It took {number}\,\% more.", f"{sentence} It took {number} % more."),
                (rf"\texttt{{unit\_{number}}}: {sentence}", f"unit_{number}: {sentence}"),
                (rf"{sentence} So $\alpha < \beta$ holds.", f"{sentence} So α < β holds."),
                (rf"{sentence} Let $x_{{{number}}}$ be $2^{{10}}$.", f"{sentence} Let x{number} be 210."),
                (rf"{sentence} The {number}\textsuperscript{{th}} time.", f"{sentence} The {number}th time."),
                # In small capitals the sharp s is two letters.
                plain if "ß" in sentence else (rf"\textsc{{{sentence}}}", sentence),
            ],
            [30, 3, 1, 2, 1, 2, 2, 1, 1, 1, 1, 1],
        )[0]

    # Blocks.

    def add(self, tex, text):
        self.tex.append(tex)
        self.text.append(text)

    def heading(self, level):
        lower = {"chapter": ["section", "subsection"], "section": ["subsection"], "subsection": []}[level]
        self.numbers[level] += 1
        for name in lower:
            self.numbers[name] = 0
        levels = ["section", "subsection"] if self.kind == "article" else ["chapter", "section", "subsection"]
        number = ".".join(str(self.numbers[name]) for name in levels[: levels.index(level) + 1])
        title = self.title()
        word = self.phrases["chapter"] + " " if level == "chapter" else ""
        self.add(rf"\{level}{{{title}}}", f"{word}{number} {title}")
        if level == "chapter":
            self.numbers["note"] = 0
            self.numbers["table"] = 0

    def paragraph(self):
        tex, text, notes = [], [], []
        for _ in range(self.chance.randint(2, 7)):
            sentence_tex, sentence = self.decorated(self.sentence())
            if self.chance.random() < 0.04:
                self.numbers["note"] += 1
                note = f"({self.sentence()[:-1]}.)"
                sentence_tex += rf"\footnote{{{note}}}"
                sentence += f" {self.numbers['note']}"
                notes.append(f"{self.numbers['note']} {note}")
            tex.append(sentence_tex)
            text.append(sentence)
        self.add("\n".join(tex), "\n".join([" ".join(text), *notes]))

    def list(self):
        numbered = self.chance.random() < 0.5
        items = [self.sentence() for _ in range(self.chance.randint(2, 6))]
        name = "enumerate" if numbered else "itemize"
        tex = "\n".join(rf"\item {item}" for item in items)
        marks = [f"{place + 1}. " if numbered else "• " for place in range(len(items))]
        text = "\n".join(mark + item for mark, item in zip(marks, items))
        self.add(rf"\begin{{{name}}}" + f"\n{tex}\n" + rf"\end{{{name}}}", text)

    def glossary(self):
        items = [(self.chance.choice(self.phrases["words"]), self.sentence()) for _ in range(self.chance.randint(2, 4))]
        tex = "\n".join(rf"\item[{word}] {sentence}" for word, sentence in items)
        text = "\n".join(f"{word} {sentence}" for word, sentence in items)
        self.add(r"\begin{description}" + f"\n{tex}\n" + r"\end{description}", text)

    def quotation(self):
        sentence = self.sentence()
        self.add(rf"\begin{{quote}}{sentence}\end{{quote}}", sentence)

    def table(self):
        columns = self.chance.randint(2, 3 if self.columns == 2 else 5)
        head = [self.chance.choice(self.phrases["words"]) for _ in range(columns)]
        rows = [
            [self.chance.choice(self.phrases["words"])]
            + [f"{self.chance.randint(1, 9999) / 10:.1f}" for _ in range(columns - 1)]
            for _ in range(self.chance.randint(2, 8))
        ]
        top, middle, bottom = self.chance.choice(
            [(r"\hline", r"\hline", r"\hline"), (r"\toprule", r"\midrule", r"\bottomrule")]
        )
        shape = "l" + self.chance.choice(["r", "c", "|r"]) * (columns - 1)
        lines = [top, " & ".join(head) + r" \\ " + middle]
        lines += [" & ".join(row) + r" \\" for row in rows] + [bottom]
        tex = rf"\begin{{tabular}}{{{shape}}}" + "\n" + "\n".join(lines) + "\n" + r"\end{tabular}"
        text = "\n".join(" ".join(row) for row in [head, *rows])
        if self.chance.random() < 0.5:
            self.add(r"\begin{center}" + tex + r"\end{center}", text)
            return
        self.numbers["table"] += 1
        chapter = "" if self.kind == "article" else f"{self.numbers['chapter']}."
        caption = self.title()
        self.add(
            rf"\begin{{table}}[ht]\centering {tex}\caption{{{caption}}}\end{{table}}",
            f"{text}\n{self.phrases['table']} {chapter}{self.numbers['table']}: {caption}",
        )

    def listing(self):
        lines = [f"if depth > {self.chance.randint(2, 40)}:", "    sound(signal)", "    retry_after = 2.5"]
        code = "\n".join(lines)
        self.add(r"\begin{verbatim}" + f"\n{code}\n" + r"\end{verbatim}", code)

    def body(self):
        blocks = [self.paragraph, self.list, self.glossary, self.quotation, self.table, self.listing]
        weights = [12, 2, 1, 1, 2, 1]
        article = self.kind == "article"
        for _ in range(1 if article else self.chance.randint(1, 3)):
            if not article:
                self.heading("chapter")
            for _ in range(self.chance.randint(3, 7) if article else self.chance.randint(1, 4)):
                self.heading("section")
                for _ in range(self.chance.randint(0, 2)):
                    self.paragraph()
                    self.heading("subsection")
                    for _ in range(self.chance.randint(2, 6)):
                        self.chance.choices(blocks, weights)[0]()
                self.paragraph()

    def source(self):
        """The LaTeX and the text of the whole document."""
        title, author, date = self.title(), self.chance.choice(["M. Fjord", "Ada Sufflé", "J. Griffin"]), "May 1887"
        self.body()
        size = self.chance.choice(["10pt", "11pt", "12pt"])
        paper = self.chance.choice(["a4paper", "letterpaper"])
        columns = ",twocolumn" if self.columns == 2 else ""
        preamble = [rf"\documentclass[{size},{paper}{columns}]{{{self.kind}}}"]
        if self.xelatex:
            preamble += [r"\usepackage{fontspec}", XELATEX_FONTS[self.font]]
        else:
            preamble += [r"\usepackage[utf8]{inputenc}", PDFLATEX_FONTS[self.font]]
            if self.chance.random() < 0.3:
                preamble.append(r"\input{glyphtounicode}\pdfgentounicode=1")
            if self.chance.random() < 0.3 and "bitmaps" not in self.font:
                preamble.append(r"\usepackage{microtype}")
        if self.language in BABEL:
            preamble.append(rf"\usepackage[{BABEL[self.language]}]{{babel}}")
        preamble.append(r"\usepackage{booktabs}")
        if self.chance.random() < 0.3:
            preamble.append(r"\usepackage[colorlinks]{hyperref}")
        preamble += [
            # No word twice: what stands at the head of a page is no part of the text.
            r"\makeatletter\let\ps@plain\ps@empty\makeatother\pagestyle{empty}",
            rf"\title{{{title}}}\author{{{author}}}\date{{{date}}}",
        ]
        tex = [*preamble, r"\begin{document}", r"\maketitle", *self.tex, r"\end{document}"]
        return "\n\n".join(tex) + "\n", "\n\n".join([f"{title}\n{author}\n{date}", *self.text]) + "\n"


def main():
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for number in range(count):
        # A document does not depend on how many others there are.
        document = Document(random.Random(f"{seed}/{number}"), number)
        tex, text = document.source()
        (folder / f"{number}.tex").write_text(tex, encoding="utf-8")
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
        print("xelatex" if document.xelatex else "pdflatex", number)


main()
