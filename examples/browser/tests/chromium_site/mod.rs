//! Pages for the driver's tests, served on a loopback address, and a browser to look at them.

// Each test program uses its share.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use browser::chromium::{Browser, ChromiumConfig, Target};
use buttress_core::Ctx;

/// Against hanging only; nothing is measured by it.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Long enough for one look.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

pub(crate) async fn launch() -> Browser {
    Browser::launch(&ChromiumConfig::default(), None, &Ctx::default()).await.unwrap()
}

/// A server of fixed pages.
pub(crate) struct Site(SocketAddr);

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        Self(address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }

    /// The same server under another name, which is another site to the browser.
    pub(crate) fn foreign_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.0.port())
    }
}

/// Answers one request. A browser that goes away is no concern.
fn answer(mut stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    let host = lines
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned))?;
    let path = request.split(' ').nth(1)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let port = host.rsplit(':').next()?;
    let (head, body) = match path {
        "/" => ("200 OK", INDEX.to_owned()),
        "/form" => ("200 OK", FORM.to_owned()),
        "/sent" => ("200 OK", SENT.replace("QUERY", &query.replace('&', "&amp;"))),
        // Whoever does not wait for the page to load sees it without this.
        "/slow" => {
            std::thread::sleep(Duration::from_millis(200));
            ("200 OK", "picture".to_owned())
        }
        "/late" => ("200 OK", LATE.to_owned()),
        "/frames" => ("200 OK", FRAMES.replace("FOREIGN", &format!("http://localhost:{port}"))),
        "/inner" => ("200 OK", INNER.to_owned()),
        "/dialogs" => ("200 OK", DIALOGS.to_owned()),
        "/files" => ("200 OK", FILES.to_owned()),
        "/report" => (
            "200 OK\r\nContent-Disposition: attachment; filename=\"../the report.csv\"",
            "a;b\n1;2\n".to_owned(),
        ),
        "/loop" => ("200 OK", "<title>Loop</title><script>while (true) {}</script>".to_owned()),
        "/empty" => ("500 Broken", String::new()),
        "/to-metadata" => ("302 Found\r\nLocation: http://169.254.169.254/latest/meta-data", String::new()),
        "/moved" => ("302 Found\r\nLocation: /", String::new()),
        "/none" => ("204 No Content", String::new()),
        "/endless" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>Endless</title>";
            stream.write_all(head.as_bytes()).ok()?;
            loop {
                stream.write_all(b"<p>more</p>").ok()?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        _ => ("404 Not Found", "<title>Nothing</title>".to_owned()),
    };
    let length = body.len();
    let kind = "text/html; charset=utf-8";
    write!(stream, "HTTP/1.1 {head}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").ok()
}

const INDEX: &str = r#"<!doctype html><title>Tide tables</title>
<h1>Tide   tables</h1>
<a href="/sent?by=link">Harbour list</a> <a href="mailto:a@example.com">Write</a>
<ul><li class=port data-code=A>Aberdeen</li><li class=port data-code=B>Brest</li><li class=port>Cork</li></ul>
<table id=tides><tr><th>Port<th>High</tr><tr><td>Brest</td><td>06:12</td></tr></table>
<div id=hidden style="display:none">secret</div>
<div style="height:3000px"></div><button id=deep onclick="document.title='Deep'">Far below</button>"#;

const FORM: &str = r#"<!doctype html><title>Form</title>
<form action="/sent"><input name=querySelector value=clobbered type=hidden>
<label for=name>Full name</label><input id=name name=name value="old">
<textarea id=note name=note>one</textarea>
<select id=port name=port><option value=a>Aberdeen</option><option value=b>Brest</option></select>
<input type=date id=day name=day>
<label><input type=checkbox id=agree name=agree> I agree</label>
<button type=button>Send later</button><button id=send>Send</button></form>
<button id=off disabled>Off</button>
<div style="position:relative;width:200px;height:40px"><button id=under style="width:200px;height:40px">Under</button>
<div class="veil thick" style="position:absolute;inset:0"></div></div>
<div id=editable contenteditable>text</div>"#;

const SENT: &str = "<!doctype html><title>Sent</title><p id=query>QUERY</p><img src=/slow>";

const LATE: &str = r"<!doctype html><title>Late</title><p id=wait>waiting</p><script>
setTimeout(() => { const b = document.createElement('button'); b.id = 'late'; b.textContent = 'Ready NOW';
b.onclick = () => b.remove(); document.body.append(b); document.getElementById('wait').style.display = 'none';
history.pushState({}, '', '/late/done'); }, 300);</script>";

const FRAMES: &str = r#"<!doctype html><title>Outer</title><script>window.word = 'outer';</script>
<div style="height:1500px">tall</div>
<iframe id=near src="/inner" style="border:7px solid;padding:5px" width=400 height=300></iframe>
<iframe id=far src="FOREIGN/inner" style="border:3px solid" width=400 height=300></iframe>"#;

const INNER: &str = r#"<!doctype html><title>Inner</title><script>window.word = 'inner';</script>
<div style="height:500px">tall</div><input id=field><button id=b onclick="this.textContent = field.value">press</button>"#;

const DIALOGS: &str = r#"<!doctype html><title>Dialogs</title>
<button id=alert onclick="alert('watch out')">a</button>
<button id=confirm onclick="document.title = confirm('sure?') ? 'yes' : 'no'">b</button>
<button id=prompt onclick="document.title = prompt('name?', 'nobody')">c</button>
<script>addEventListener('beforeunload', (event) => { event.preventDefault(); event.returnValue = 'stay'; });</script>"#;

const FILES: &str = r#"<!doctype html><title>Files</title><a id=get href="/report">Get</a>
<input type=file id=put onchange="this.files[0].text().then((text) => { document.title = text })">
<a id=popup href="/sent" target=_blank>Open</a>"#;
