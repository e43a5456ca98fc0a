//! Commands behind a value that a shell would run.

use super::Best;
use super::text::{Cursor, contains, find, is_one_of, is_space, is_word, starts_with};

/// Commands that say by themselves what an attacker wants to know.
const TELLING: &[&str] = &[
    "whoami",
    "uname",
    "ifconfig",
    "ipconfig",
    "systeminfo",
    "tasklist",
    "hostname",
    "netstat",
    "nslookup",
    "getent",
];

/// Words that are commands, and also words.
const SHORT: &[&str] = &[
    "id", "ls", "dir", "ps", "w", "env", "set", "ver", "pwd", "type", "who", "date", "sh", "bash", "arp",
    "last", "vol",
];

/// Commands that are attacks only with what they are told.
const WITH: &[&str] = &[
    "cat",
    "ping",
    "sleep",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "dig",
    "host",
    "bash",
    "sh",
    "zsh",
    "python",
    "python3",
    "perl",
    "php",
    "ruby",
    "powershell",
    "cmd",
    "cmd.exe",
    "powershell.exe",
    "certutil",
    "bitsadmin",
    "net",
    "type",
    "echo",
    "rm",
    "chmod",
    "touch",
    "tail",
    "head",
    "less",
    "more",
    "tac",
    "nl",
    "od",
    "xxd",
    "base64",
    "find",
    "grep",
    "awk",
    "sed",
    "tee",
    "cp",
    "mv",
    "kill",
    "shutdown",
    "reboot",
    "timeout",
    "mkfifo",
    "socat",
    "ftp",
    "tftp",
    "scp",
    "ssh",
    "reg",
    "wmic",
    "printf",
    "ls",
    "id",
    "dir",
    "ps",
    "env",
    "uname",
    "whoami",
    "ifconfig",
    "ipconfig",
    "netstat",
    "nslookup",
    "hostname",
    "eval",
    "exec",
    "sudo",
    "su",
    "useradd",
    "passwd",
    "iptables",
    "mail",
    "sendmail",
    "xterm",
    "busybox",
    "del",
    "copy",
    "start",
    "mshta",
    "rundll32",
    "regsvr32",
    "lynx",
    "nmap",
    "which",
    "openssl",
    "gcc",
    "node",
    "lua",
    "route",
    "dmesg",
    "ss",
    "ip",
];

/// What no command line says that is not an attack's.
const STRONG: &[(&str, u8, &str)] = &[
    ("/dev/tcp/", 86, "a connection of a shell"),
    ("/dev/udp/", 80, "a connection of a shell"),
    ("() { :", 88, "a function that a shell runs"),
    ("() {:", 88, "a function that a shell runs"),
    ("${ifs", 78, "spaces that are none"),
    ("$ifs", 74, "spaces that are none"),
    ("{cat,", 80, "spaces that are none"),
    ("nc -e", 82, "a connection of a shell"),
    ("ncat -e", 82, "a connection of a shell"),
    ("nc -c", 70, "a connection of a shell"),
    ("bash -i", 66, "a connection of a shell"),
    ("cat</etc", 82, "a command that reads a file"),
    ("<!--#exec", 84, "a command in a page"),
    ("powershell -enc", 78, "a hidden command"),
    ("powershell -e ", 70, "a hidden command"),
    ("certutil -urlcache", 80, "a command that loads a file"),
];

pub(super) fn read(text: &[u8], best: &mut Best) {
    for (needle, score, reason) in STRONG {
        if let Some(at) = find(text, needle) {
            // In a long text it is likely written about.
            let score = if text.len() > 400 { score.saturating_sub(26) } else { *score };
            best.note(score, at..at + needle.len(), reason);
        }
    }
    separators(text, best);
    substitutions(text, best);
}

/// `; id`, `| cat /etc/passwd`, `x && whoami`.
fn separators(text: &[u8], best: &mut Best) {
    let first = text.iter().position(|byte| !is_space(*byte)).unwrap_or_default();
    for (at, byte) in text.iter().enumerate().take(160) {
        if !matches!(byte, b';' | b'|' | b'&' | b'\n' | b'\r') {
            continue;
        }
        let Some(before) = value_before(text.get(first..at).unwrap_or_default()) else { return };
        if matches!(byte, b'\n' | b'\r') && before == Before::Words {
            return;
        }
        let mut cursor = Cursor::new(text, at);
        cursor.take(|byte| matches!(byte, b';' | b'|' | b'&' | b'\n' | b'\r') || is_space(byte));
        cursor.take(|byte| matches!(byte, b'{' | b'(' | b'!' | b'@') || is_space(byte));
        if let Some(score) = command(cursor, before, *byte) {
            best.note(score, at..text.len().min(cursor.at + 24), "a command after a separator");
        }
    }
}

/// What stands before a separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A number, an address, a path, a quote: what a form's field holds.
    Value,
    /// Another single word.
    Word,
    /// Some words.
    Words,
}

/// `None` where the text before is itself a command line, or prose.
fn value_before(before: &[u8]) -> Option<Before> {
    let before = before.trim_ascii();
    if before.is_empty() || before.iter().all(|byte| matches!(byte, b'"' | b'\'' | b')' | b'`')) {
        return Some(Before::Nothing);
    }
    let first = Cursor::new(before, 0).take(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    let words = before.split(|byte| is_space(*byte)).filter(|word| !word.is_empty()).count();
    if words > 4
        || before.starts_with(b"$ ")
        || before.starts_with(b"#")
        || (words > 1 && is_one_of(first, WITH))
    {
        return None;
    }
    if words > 1 {
        return Some(Before::Words);
    }
    let value = before
        .iter()
        .any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/' | b'@' | b'=' | b'"' | b'\'' | b')'));
    Some(if value { Before::Value } else { Before::Word })
}

/// The score of a command at the cursor.
fn command(cursor: Cursor<'_>, before: Before, separator: u8) -> Option<u8> {
    // `/bin/cat`, `c'a't`, `w\hoami`: what a shell makes one word of.
    let mut name = [0_u8; 16];
    let mut length = 0;
    let mut broken = false;
    let mut cursor = cursor;
    let rooted = matches!(cursor.peek(), Some(b'/' | b'.'));
    if rooted {
        let word = Cursor::new(cursor.text, cursor.at).take(|byte| !is_space(byte));
        let last = word.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        if !(starts_with(word, "/bin/")
            || starts_with(word, "/usr/bin/")
            || starts_with(word, "/sbin/")
            || starts_with(word, "/usr/sbin/")
            || starts_with(word, "/???/"))
        {
            return None;
        }
        cursor.at += last + 1;
    }
    while let Some(byte) = cursor.peek() {
        match byte {
            b'\'' | b'"' | b'\\' | b'^' if length > 0 => broken = true,
            b'$' if cursor.peek_at(1) == Some(b'@') => {
                broken = true;
                cursor.at += 1;
            }
            _ if is_word(byte) || matches!(byte, b'.' | b'?' | b'-') => {
                *name.get_mut(length)? = byte.to_ascii_lowercase();
                length += 1;
            }
            _ => break,
        }
        cursor.at += 1;
    }
    let name = name.get(..length)?;
    let next = cursor.peek();
    if next.is_some_and(|byte| byte == b'=' || byte == b'(' || byte == b':') {
        return None;
    }
    let mut rest = cursor;
    rest.take(|byte| byte == b' ' || byte == b'\t');
    let arguments = rest.rest();
    // Closed by the attack: a comment, another separator, a quote.
    let ends = arguments.trim_ascii_end().is_empty()
        || matches!(
            arguments.first(),
            Some(b'#' | b';' | b'&' | b'\n' | b'\r' | b'"' | b'\'' | b')' | b'}' | b'`')
        )
        || (arguments.first() == Some(&b'|') && arguments.get(1) == Some(&b'|'));
    let known = is_one_of(name, TELLING) || is_one_of(name, WITH) || is_one_of(name, SHORT);
    if !known {
        return (rooted && starts_with(name, "?")).then_some(70);
    }
    let field = matches!(before, Before::Nothing | Before::Value);
    let base: u8 = match before {
        Before::Nothing => 8,
        Before::Value => 6,
        Before::Word => 0,
        Before::Words => {
            return (is_one_of(name, TELLING) && ends && separator != b'\n')
                .then_some(46)
                .or_else(|| tells(name, arguments).then_some(64));
        }
    };
    if broken && ends {
        return Some(70);
    }
    if is_one_of(name, TELLING)
        && (ends || arguments.first() == Some(&b'-') || arguments.first() == Some(&b'/'))
    {
        return Some(68 + base);
    }
    if tells(name, arguments) {
        return Some(72 + base);
    }
    if is_one_of(name, SHORT) && ends {
        return field.then_some(60 + base).or(Some(45));
    }
    if is_one_of(name, SHORT) && (arguments.first() == Some(&b'-') || arguments.first() == Some(&b'/')) {
        return Some(if field { 62 } else { 40 });
    }
    None
}

/// Whether a command is told what attackers tell it.
fn tells(name: &[u8], arguments: &[u8]) -> bool {
    let line = arguments
        .get(..arguments.iter().position(|byte| *byte == b'\n').unwrap_or(arguments.len()))
        .unwrap_or(arguments);
    let number = line.first().is_some_and(u8::is_ascii_digit);
    match name {
        b"sleep" => {
            number
                && Cursor::new(line, 0).take(|byte| byte.is_ascii_digit() || byte == b'.').len() <= 4
                && line.len() <= 24
        }
        b"timeout" => (number || starts_with(line, "/t")) && line.len() < 24,
        b"ping" => {
            line.first() == Some(&b'-')
                || starts_with(line, "/n")
                || line.iter().any(|byte| *byte == b'.' || *byte == b'_')
                || contains(line, "localhost")
        }
        b"curl" | b"wget" | b"lynx" | b"ftp" | b"tftp" | b"bitsadmin" | b"mshta" => {
            line.contains(&b'.') || contains(line, "://") || contains(line, "_")
        }
        b"nslookup" | b"dig" | b"host" => !line.is_empty(),
        b"nc" | b"ncat" | b"netcat" | b"telnet" | b"socat" => line.iter().any(u8::is_ascii_digit),
        b"cat" | b"tac" | b"nl" | b"less" | b"more" | b"head" | b"tail" | b"od" | b"xxd" | b"grep"
        | b"sed" | b"awk" | b"find" | b"cp" | b"base64" | b"ls" | b"dir" => {
            line.contains(&b'/') && contains(line, "etc/")
                || contains(line, "passwd")
                || contains(line, "/proc")
                || starts_with(line, "/") && name != b"find"
                || contains(line, ".ssh")
                || starts_with(line, "<")
                || starts_with(line, "c:\\")
                || contains(line, "../")
        }
        b"type" => contains(line, ":\\") || contains(line, "win.ini") || contains(line, "boot.ini"),
        b"net" => {
            starts_with(line, "user")
                || starts_with(line, "localgroup")
                || starts_with(line, "view")
                || starts_with(line, "share")
        }
        b"rm" => {
            starts_with(line, "-rf /")
                || starts_with(line, "-r /")
                || starts_with(line, "-rf *")
                || starts_with(line, "-rf ~")
        }
        b"del" => contains(line, "/q") || contains(line, "/f") || contains(line, "*.*"),
        b"bash" | b"sh" | b"zsh" => starts_with(line, "-i") || starts_with(line, "-c"),
        b"python" | b"python3" | b"perl" | b"ruby" | b"php" | b"node" | b"lua" => {
            starts_with(line, "-c") || starts_with(line, "-e") || starts_with(line, "-r")
        }
        b"cmd" | b"cmd.exe" => starts_with(line, "/c") || starts_with(line, "/k"),
        b"powershell" | b"powershell.exe" => {
            starts_with(line, "-") || starts_with(line, "iex") || contains(line, "invoke")
        }
        b"echo" | b"printf" => {
            contains(line, "%username%")
                || contains(line, "$(")
                || contains(line, "$user")
                || contains(line, "vulnerable")
                || contains(line, "%os%")
                || contains(line, "<?php")
                || contains(line, "/tmp/")
                || contains(line, "$((")
                || contains(line, "base64")
        }
        b"id" | b"uname" | b"whoami" | b"ps" | b"env" => {
            starts_with(line, "-") && line.len() < 12
                || starts_with(line, "/all")
                || starts_with(line, "|") && !line.ends_with(b"|")
        }
        b"certutil" | b"wmic" | b"reg" | b"rundll32" | b"regsvr32" => !line.is_empty(),
        b"mkfifo" | b"touch" | b"chmod" => contains(line, "/tmp/") || contains(line, "/var/"),
        b"shutdown" => line.is_empty() || starts_with(line, "-") || starts_with(line, "/"),
        _ => false,
    }
}

/// `$(id)`, `` `whoami` ``.
fn substitutions(text: &[u8], best: &mut Best) {
    let mut at = 0;
    // Each opening is looked at, and none of the text behind it twice.
    for _ in 0..64 {
        let Some(found) = text
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| matches!(byte, b'$' | b'`' | b'<' | b'>')))
        else {
            return;
        };
        let start = at + found;
        at = start + 1;
        let opening = text.get(start..start + 2).unwrap_or_default();
        let back = opening.first() == Some(&b'`');
        if !back && !matches!(opening, b"$(" | b"<(" | b">(") {
            continue;
        }
        let mut cursor = Cursor::new(text, start + if back { 1 } else { 2 });
        cursor.skip_space();
        let close = if back { b'`' } else { b')' };
        let Some(length) = cursor.rest().iter().take(200).position(|byte| *byte == close) else { continue };
        let inside = cursor.rest().get(..length).unwrap_or_default();
        let before = text.get(..start).unwrap_or_default().trim_ascii();
        let after = text.get(cursor.at + length + 1..).unwrap_or_default().trim_ascii();
        // A field holds a value and the substitution; a script or a page of documentation holds more.
        let alone = before.len() <= 24 && !before.iter().any(|byte| is_space(*byte)) && after.len() <= 8;
        let name = Cursor::new(inside, 0).take(|byte| is_word(byte) || byte == b'.');
        let arguments = inside.get(name.len()..).unwrap_or_default().trim_ascii();
        let told = is_one_of(name, WITH) && tells(name, arguments);
        let telling = is_one_of(name, TELLING) && (arguments.is_empty() || arguments.starts_with(b"-"));
        let score = match (alone, told || telling) {
            (true, true) => 74,
            (true, false) if is_one_of(name, SHORT) && arguments.is_empty() => {
                if back {
                    56
                } else {
                    66
                }
            }
            (true, false) if contains(inside, "ifs") || contains(inside, "<") => 62,
            (false, true) if !back && text.len() < 100 && told => 60,
            _ => 15,
        };
        best.note(score, start..cursor.at + length + 1, "a command in place of a value");
        at = cursor.at;
    }
}
