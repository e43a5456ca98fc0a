//! How the proxy reads the head of a request.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::Ipv4Addr;

use browser::guard::{Ask, HeadError, HeadReader, Host, LONGEST_HEAD, RequestHead};
use proptest::prelude::*;

/// Reads a head in pieces that end at `cuts`; the head, and what came after it.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Option<(RequestHead, Vec<u8>)>, HeadError> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut reader = HeadReader::default();
    for pair in cuts.windows(2) {
        if let Some(head) = reader.push(&bytes[pair[0]..pair[1]])? {
            return Ok(Some((head, [reader.into_rest(), bytes[pair[1]..].to_vec()].concat())));
        }
    }
    Ok(None)
}

fn forwarded(text: &str) -> String {
    match read(text.as_bytes(), &[]).unwrap().unwrap().0.ask {
        Ask::Forward { head, .. } => String::from_utf8(head).unwrap(),
        Ask::Tunnel => panic!("a tunnel"),
    }
}

#[test]
fn a_head_is_written_anew_without_what_is_for_the_proxy() {
    let text = "GET http://A.Example:8080/p?q HTTP/1.1\r\nHost: evil.example\r\nAccept:  */* \r\n\
        Proxy-Connection: keep-alive\r\nProxy-Authorization: x\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n\
        Upgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n";
    let expected = "GET /p?q HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    assert_eq!(forwarded(text), expected);
    let bare = forwarded("GET http://a.example?q HTTP/1.0\r\n\r\n");
    assert_eq!(bare, "GET /?q HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    // `Connection` cannot take the length of the body away.
    let post = "POST http://a.example/ HTTP/1.1\r\nContent-Length: 3\r\nConnection: content-length\r\n\r\n";
    assert!(forwarded(post).contains("\r\nContent-Length: 3\r\n"));
}

#[test]
fn a_tunnel_names_its_host_and_port() {
    let read = |target: &str| read(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes(), &[]);
    let head = read("[::1]:443").unwrap().unwrap().0;
    assert_eq!((head.host.to_string().as_str(), head.port, head.ask), ("[::1]", 443, Ask::Tunnel));
    assert_eq!(read("0x7f.1:443").unwrap().unwrap().0.host, Host::<String>::Ipv4(Ipv4Addr::LOCALHOST));
    assert_eq!(read("A.example.:443").unwrap().unwrap().0.host, Host::Domain("a.example".to_owned()));
    let hosts = ["a.example", "a.example:", ":443", "a@b:443", "::1:443", "a..b:1", "[::1%25lo]:1"];
    for wrong in hosts.iter().chain(&["a.example:0", "a.example:70000", "a.example:+80", "a.example::80"]) {
        assert!(matches!(read(wrong), Err(HeadError::Malformed(_))), "{wrong}");
    }
}

#[test]
fn heads_that_two_programs_might_read_differently_are_refused() {
    for text in [
        "GET http://a.example/ HTTP/1.1\nA: b\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nA : b\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nA: b\0\r\n\r\n",
        "GET  http://a.example/ HTTP/1.1\r\n\r\n",
        "GET /path HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET http://user@a.example/ HTTP/1.1\r\n\r\n",
        "GET http://a.example\\@b/ HTTP/1.1\r\n\r\n",
        "GET http://a.example/#f HTTP/1.1\r\n\r\n",
        "G\tT http://a.example/ HTTP/1.1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
    ] {
        assert!(matches!(read(text.as_bytes(), &[]), Err(HeadError::Malformed(_))), "{text:?}");
    }
    let error = |text: &str| read(text.as_bytes(), &[7, 9000]).unwrap_err();
    let chunked = "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(chunked), HeadError::NoLength);
    assert_eq!(error("GET https://a.example/ HTTP/1.1\r\n\r\n"), HeadError::Scheme);
    assert_eq!(error("GET http://a.example/ HTTP/2.0\r\n\r\n"), HeadError::Version);
    let long = format!("GET http://a.example/ HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(LONGEST_HEAD));
    assert_eq!(error(&long), HeadError::TooLong);
}

#[test]
fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
    let of = |length: usize| {
        let start = "GET http://a.example/ HTTP/1.1\r\nA: ";
        format!("{start}{}\r\n\r\nbody", "a".repeat(length - start.len() - 4)).into_bytes()
    };
    for cuts in [vec![], vec![LONGEST_HEAD - 1], (0..64).map(|at| LONGEST_HEAD - at).collect()] {
        assert_eq!(read(&of(LONGEST_HEAD), &cuts).unwrap().unwrap().1, b"body");
        assert_eq!(read(&of(LONGEST_HEAD + 1), &cuts).unwrap_err(), HeadError::TooLong);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn however_a_head_is_cut_the_result_is_the_same(
        line in "(GET|POST|CONNECT) (http://)?[a-z.:@/0-9]{0,12} HTTP/1\\.[01]",
        fields in "(\r\n[A-C]: ?[a-z]{0,3}){0,3}\r\n\r\n[x\r\n]{0,5}",
        cuts in proptest::collection::vec(0_usize..200, 0..8),
    ) {
        let text = line + &fields;
        prop_assert_eq!(read(text.as_bytes(), &cuts), read(text.as_bytes(), &[]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, cuts in proptest::collection::vec(0_usize..100, 0..8)) {
        let ended = [bytes, b"\r\n\r\n".to_vec()].concat();
        prop_assert_eq!(read(&ended, &cuts), read(&ended, &[]));
    }
}
