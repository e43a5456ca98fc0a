//! A hundred thousand texts that are no attack: lines and paragraphs of this repository, and what people type into forms.

use std::collections::HashSet;
use std::path::Path;

/// All of them, each once.
pub fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts = Vec::new();
    for folder in [
        "docs",
        "crates",
        "examples",
        "benches",
        "xtask",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "deny.toml",
    ] {
        walk(&root.join(folder), &mut texts);
    }
    written(&mut texts);
    let mut seen = HashSet::new();
    texts.retain(|text| !text.trim().is_empty() && seen.insert(text.clone()));
    texts
}

fn walk(path: &Path, texts: &mut Vec<String>) {
    // Tests and pages hold attacks and scripts on purpose.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.ends_with("crates/validate") || ["target", "tests", "page", "tests.rs", "testing"].contains(&name)
    {
        return;
    }
    if path.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            walk(&entry, texts);
        }
        return;
    }
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    if !["rs", "md", "toml", "txt", "json", "yaml", "yml", "csv", "sh"].contains(&kind) {
        return;
    }
    let Ok(text) = std::fs::read_to_string(path) else { return };
    texts.extend(text.lines().map(|line| line.trim().to_owned()).filter(|line| line.len() > 2));
    texts.extend(
        text.split("\n\n")
            .filter(|paragraph| paragraph.contains('\n'))
            .map(|paragraph| paragraph.trim().to_owned()),
    );
}

/// Picks by multiplication (Knuth's MMIX), so that every run has the same texts.
struct Pick(u64);

impl Pick {
    fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % below
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.number(list.len())]
    }
}

fn written(texts: &mut Vec<String>) {
    let mut pick = Pick(7);
    for _ in 0..60_000 {
        let form = pick.of(FORMS);
        let mut text = String::new();
        let mut rest = form;
        while let Some((before, after)) = rest.split_once('@') {
            text.push_str(before);
            let (kind, after) = after.split_at(1);
            match kind {
                "f" => text.push_str(pick.of(FIRST)),
                "l" => text.push_str(pick.of(LAST)),
                "n" => text.push_str(&pick.number(5_000).to_string()),
                "w" => text.push_str(pick.of(WORDS)),
                "s" => text.push_str(pick.of(SENTENCES)),
                "h" => text.push_str(&format!("{:08x}", pick.number(1 << 31))),
                "d" => text.push_str(&format!(
                    "{}-{:02}-{:02}",
                    1950 + pick.number(90),
                    1 + pick.number(12),
                    1 + pick.number(28)
                )),
                _ => text.push('@'),
            }
            rest = after;
        }
        text.push_str(rest);
        texts.push(text);
    }
}

const FIRST: &[&str] = &[
    "Seán",
    "D'Arcy",
    "Aoife",
    "Renée",
    "Jean-Luc",
    "N'Golo",
    "Ta'Quan",
    "Zoë",
    "Łukasz",
    "Nguyễn",
    "Søren",
    "María José",
    "Олег",
    "Ελένη",
    "יעל",
    "فاطمة",
    "山田",
    "지훈",
    "अनिल",
    "สมชาย",
    "Select",
    "Union",
    "Drew",
    "Mx.",
    "Ol'",
    "Kʼinich",
    "'Abd",
    "Null",
    "Or",
    "And",
    "Robert",
    "Alice",
    "Bob",
];

const LAST: &[&str] = &[
    "O'Brien",
    "O'Connor-Smith",
    "D'Angelo",
    "de l'Église",
    "van 't Hoff",
    "'t Hart",
    "Mc'Allister",
    "Müller",
    "Öztürk",
    "Đặng",
    "Иванов",
    "Παπαδόπουλος",
    "כהן",
    "الحسن",
    "太郎",
    "김",
    "शर्मा",
    "Drop",
    "Table",
    "Null",
    "Order",
    "Group",
    "Having",
    "Script",
    "Wright & Sons",
    "Smith (Jr.)",
    "True",
    "Like",
    "Between",
];

const WORDS: &[&str] = &[
    "select",
    "union",
    "order",
    "group",
    "drop",
    "table",
    "insert",
    "update",
    "delete",
    "where",
    "from",
    "script",
    "alert",
    "house",
    "harbour",
    "piano",
    "rain",
    "exec",
    "having",
    "like",
    "sleep",
    "benchmark",
    "cat",
    "id",
    "ping",
    "echo",
    "type",
    "host",
    "find",
    "head",
    "tail",
    "more",
    "less",
    "sort",
    "price",
    "budget",
    "colour",
    "naïve",
    "façade",
    "Straße",
    "東京",
    "привет",
    "مرحبا",
    "नमस्ते",
    "שלום",
    "γειά",
    "안녕",
    "สวัสดี",
    "👍",
];

const SENTENCES: &[&str] = &[
    "select the best from the union and drop us a line",
    "the union selected a new leader from three candidates",
    "it's 5 o'clock or 6 o'clock, isn't it?",
    "the boys' and girls' teams won 3-2",
    "rock 'n' roll isn't dead -- it's asleep",
    "'Twas brillig, and the slithy toves",
    "She said: \"Don't or won't?\" -- and left.",
    "order by phone or by mail; delivery from Monday",
    "insert the coin, select a drink and update your score",
    "1 or 2 = 3 in his book, he's that bad at maths",
    "either x = 1 or y = 2 holds",
    "the table was dropped; the lamp, too",
    "tom & jerry | a cartoon",
    "R&D; Q&A; B&B",
    "use the `id` field and the `cat` command",
    "see ../README.md and ./docs/STATUS.md",
    "C:\\Users\\me\\Documents\\letter.docx",
    "a < b and b > c, so a <> c",
    "I <3 you",
    "if (a < b && c > d) return x || y;",
    "let s = 'a' + \"b\" + `c`;",
    "50% off & free delivery!",
    "100%25 is 100% twice encoded",
    "he wrote 'or' instead of 'and' in the law",
    "the price is $5 (or 4 for members)",
    "javascript: the good parts",
    "read JavaScript: The Definitive Guide",
    "the onload event fires when the image has loaded",
    "on error = retry, on success = stop",
    "onion = vegetable; one = 1",
    "SELECT is a keyword of SQL, like FROM and WHERE",
    "what does SELECT name FROM users WHERE id = 1 return?",
    "git log --oneline -- src | head",
    "cd build && cmake .. && make -j4",
    "cargo build --release; ls target",
    "cat notes.txt | sort | uniq -c",
    "the 80's and '90s were 'great' or so they say",
    "Question #5: who's there?",
    "C# or F#? I'd say 'C#'",
    "-- signature below --",
    "/* a comment */ and // another",
    "Bobby's little sister's name is 'Tables'",
    "wait for it... delay is 5s",
    "5' 10\" tall and 6'2\" wide",
    "f(x) = x' - x''",
    "don't; can't; won't",
    "the cat sat; id say it's mine",
    "He's \"the one\"; and she's \"two\"",
    "a=1&b=2&c=3",
    "x=\"1\" y='2'",
    "<b>bold</b> and <i>italic</i> text",
    "<p class=\"note\">A paragraph</p>",
    "<a href=\"https://example.org/?a=1&amp;b=2\">link</a>",
    "see https://example.org/a/../b?x='1'",
    "L'été, c'est l'heure d'aller à l'île",
    "dell'arte e un po' d'acqua",
    "'s ochtends en 's avonds",
    "Das geht's? Wie geht's 'nem alten Mann?",
    "它说：“好的”，或者“不”",
    "「はい」または「いいえ」",
    "«да» или «нет»",
    "\u{2018}quoted\u{2019} \u{2014} and so on",
    "Ｆｕｌｌ ｗｉｄｔｈ ｔｅｘｔ",
    "1/2 cup; 3/4 tsp.",
    "etc/passwd is a file on Unix, /etc/shadow another",
    "edit /etc/hosts and reboot",
    "..., or so I've heard",
    "wait.. what../ever",
    "{\"name\":\"O'Neil\",\"tags\":[\"a\",\"b\"],\"n\":null}",
    "[x] done; [ ] open",
    "| id | name |\n|---|---|\n| 1 | O'Hara |",
    "> quoted\n> text",
    "- item 'one'\n- item \"two\"",
    "def f(x): return x if x == 1 or x == 2 else None",
    "while true; do echo hi; sleep 1; done",
    "for i in $(seq 1 3); do echo $i; done",
    "export PATH=$HOME/bin:$PATH",
    "echo \"$USER\" > /tmp/me",
];

const FORMS: &[&str] = &[
    "@f @l",
    "@l, @f",
    "@f @l, born @d",
    "Dear @f @l, @s",
    "@s",
    "@s (@n)",
    "@s. @s!",
    "@w @w @w",
    "@f's @w or @l's @w",
    "'@w' or '@w'",
    "\"@w\" and \"@w\"",
    "@w; @w",
    "@w & @w",
    "@w | @w",
    "#@n @w",
    "@w=@n",
    "@n @w and @n @w",
    "@n or @n",
    "@h-4a1b-@n-@h",
    "https://example.org/@w/@n?q=@w&p=@n#@w",
    "@w@@example.org",
    "re: @s",
    "@d: @s",
    "@f wrote: \"@s\"",
    "{\"id\": @n, \"name\": \"@f @l\", \"note\": \"@s\"}",
    "@w -- @w",
    "@n% of @w",
    "`@w` is @n",
    "* @w: @s",
    "@l & @l v. @l",
    "The @l's @w, @n",
    "@n'@n\" x @n'@n\"",
    "C:\\@w\\@w.txt",
    "../@w/@w.md",
    "/@w/@w/@n",
    "@w/../@w",
    "$@n.@n",
    "(@w or @w) and not @w",
    "@w > @n and @w < @n",
    "if @w = @n then @w",
    "@f “@w” @l",
    "@s\n@s\n\n-- \n@f",
    "@n @w Street, Apt #@n",
    "+49 (0)@n-@n",
    "v@n.@n.@n-rc@n",
    "@w 'n' @w",
    "1=@n",
    "@w's",
    "o'@w",
    "<@w@@example.org>",
    "@w?@w=@n&amp;@w=@n",
    "@s @s @s",
];
