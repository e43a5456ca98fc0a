//! Commands, and what attackers tell them.

use super::text::{Cursor, contains, starts_with};

/// Commands that say by themselves what an attacker wants to know.
pub(super) const TELLING: &[&str] = &[
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
pub(super) const SHORT: &[&str] = &[
    "id", "ls", "dir", "ps", "w", "env", "set", "ver", "pwd", "type", "who", "date", "sh", "bash", "arp",
    "last", "vol",
];

/// Commands that are attacks only with what they are told.
pub(super) const WITH: &[&str] = &[
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
pub(super) const STRONG: &[(&str, u8, &str)] = &[
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

/// Whether a command is told what attackers tell it.
pub(super) fn tells(name: &[u8], arguments: &[u8]) -> bool {
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
        b"nslookup" | b"dig" | b"host" => {
            line.iter().any(|byte| matches!(byte, b'.' | b'_'))
                && !line.contains(&b'|')
                && !line.starts_with(b".")
        }
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
                || starts_with(line, "-") && contains(line, " /")
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
