//! Answers: the proxy's own, and the heads of servers' answers on their way to the client.

use super::Reason;

/// The longest head of an answer, in bytes: as much as Chromium takes.
const LONGEST_HEAD: usize = 256 << 10;

/// An answer of the proxy itself, whole. The text is plain: a host's name in it can do nothing to a page.
pub(crate) fn own(status: u16, refused: Option<Reason>, text: &str) -> Vec<u8> {
    let phrase = match status {
        400 => "Bad Request",
        403 => "Forbidden",
        408 => "Request Timeout",
        411 => "Length Required",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    };
    let refused =
        refused.map(|reason| format!("x-guard-refused: {}\r\n", reason.as_str())).unwrap_or_default();
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\n{refused}connection: close\r\n\r\n{text}\n"
    )
    .into_bytes()
}

/// The server does not answer in HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHttp;

/// A head of an answer, as the client gets it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    pub(crate) bytes: Vec<u8>,
    /// `100 Continue` and the like: another head follows.
    pub(crate) is_interim: bool,
}

/// Takes an answer's pieces as they come in, until its last head is whole. Read leniently, as browsers do, since
/// nothing is decided by it; only the fields of the connection are written anew.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    bytes: Vec<u8>,
    /// The head does not end before this.
    scanned: usize,
}

impl AnswerReader {
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The next whole head.
    pub(crate) fn next(&mut self) -> Result<Option<AnswerHead>, NotHttp> {
        let start = b"HTTP/1.";
        if self.bytes.iter().zip(start).any(|(byte, expected)| byte != expected) {
            return Err(NotHttp);
        }
        let fresh = self.bytes.get(self.scanned..).unwrap_or_default();
        let Some(found) = end_of_head(fresh) else {
            self.scanned = self.bytes.len().saturating_sub(3);
            return if self.bytes.len() >= LONGEST_HEAD { Err(NotHttp) } else { Ok(None) };
        };
        let rest = self.bytes.split_off(self.scanned + found);
        let head = std::mem::replace(&mut self.bytes, rest);
        self.scanned = 0;
        let is_interim = head.get(8..10) == Some(b" 1") && head.get(9..12) != Some(b"101");
        Ok(Some(AnswerHead { bytes: rewritten(&head, is_interim), is_interim }))
    }

    /// What came after the last head: the beginning of the body.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where the bytes after the empty line begin; lines may end without a carriage return.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    for at in line_ends {
        match bytes.get(at + 1..) {
            Some([b'\n', ..]) => return Some(at + 2),
            Some([b'\r', b'\n', ..]) => return Some(at + 3),
            _ => {}
        }
    }
    None
}

fn rewritten(head: &[u8], is_interim: bool) -> Vec<u8> {
    let mut written = Vec::with_capacity(head.len() + 32);
    let mut is_left_out = false;
    let lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.take_while(|line| !line.is_empty()) {
        // A line that begins with a space goes on with the field before it.
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
            is_left_out = ["connection", "proxy-connection", "keep-alive", "upgrade", "x-guard-refused"]
                .iter()
                .any(|own| own.as_bytes().eq_ignore_ascii_case(name));
        }
        if !is_left_out {
            written.extend(line.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
            written.extend_from_slice(b"\r\n");
        }
    }
    if !is_interim {
        written.extend_from_slice(b"Connection: close\r\n");
    }
    written.extend_from_slice(b"\r\n");
    written
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Read = Result<Option<(Vec<AnswerHead>, Vec<u8>)>, NotHttp>;

    /// All heads up to the last, and the rest, from pieces of the given size.
    fn read(bytes: &[u8], piece: usize) -> Read {
        let (mut reader, mut heads) = (AnswerReader::default(), Vec::new());
        let mut pieces = bytes.chunks(piece);
        while let Some(piece) = pieces.next() {
            reader.push(piece);
            while let Some(head) = reader.next()? {
                let last = !head.is_interim;
                heads.push(head);
                if last {
                    let rest = [reader.into_rest(), pieces.flatten().copied().collect()].concat();
                    return Ok(Some((heads, rest)));
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_connection_is_closed_after_the_answer() {
        let answer =
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nA: b\r\nKeep-Alive: 5\r\n more\r\n\r\nbody\n\n";
        let (heads, rest) = read(answer, 7).unwrap().unwrap();
        assert_eq!(heads.first().unwrap().bytes, b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n");
        assert_eq!(rest, b"body\n\n");
    }

    #[test]
    fn interim_answers_go_before_the_last() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\nA: b\n\nHTTP/1.0 404 No\n\nx";
        let (heads, rest) = read(answer, 1).unwrap().unwrap();
        assert_eq!(heads.iter().map(|head| head.is_interim).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(rest, b"x");
        let switched = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert!(!read(switched, 99).unwrap().unwrap().0.first().unwrap().is_interim);
    }

    #[test]
    fn other_protocols_are_known_by_their_first_bytes() {
        assert_eq!(read(b"SSH-2.0-OpenSSH_9.9\r\n", 99), Err(NotHttp));
        assert_eq!(read(&[b'H'; 20], 1), Err(NotHttp));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; LONGEST_HEAD]].concat();
        assert_eq!(read(&endless, 4096), Err(NotHttp));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn however_an_answer_is_cut_the_result_is_the_same(
            bytes in "(HTTP/1\\.1 (100|103|200) x(\r?\n[aC: ]{0,4}){0,4}(\r?\n){2}){0,3}[ab\r\n]{0,9}",
            piece in 1_usize..9,
        ) {
            prop_assert_eq!(read(bytes.as_bytes(), piece), read(bytes.as_bytes(), usize::MAX));
        }
    }
}
