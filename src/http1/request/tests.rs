//! Heads that are read, and heads that are none.

use super::*;
use proptest::prelude::*;

fn read(text: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    Search::default().take_head(&mut BytesMut::from(text), &mut HeaderMap::new())
}

fn fields(fields: &str) -> Result<RequestHead, HeadError> {
    read(format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
        .map(|head| head.expect("the head is complete"))
}

#[test]
fn a_head_is_read_as_it_stands() {
    let head = read(b"GET /a?b HTTP/1.1\r\nHost: a\r\nX:\t b c \r\nY:\r\n\r\n").unwrap().unwrap();
    assert_eq!((head.method, &*head.target), (Method::GET, &b"/a?b"[..]));
    assert_eq!(head.headers["x"], "b c");
    assert_eq!(head.headers["y"], "");
    assert!(head.keeps_open && head.content.is_at_end() && !head.awaits_continue);
    assert!(read(b"\r\nGET / HTTP/1.0\r\n\r\n").unwrap().is_some_and(|head| !head.keeps_open));
    assert!(!fields("Connection: a, Close\r\n").unwrap().keeps_open);
    assert!(fields("Content-Length: 1\r\nExpect: 100-Continue\r\n").unwrap().awaits_continue);
    assert!(!fields("Expect: 100-continue\r\n").unwrap().awaits_continue, "nothing will come");
    for short in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r", "\r\n", "\r"] {
        assert!(matches!(read(short.as_bytes()), Ok(None)), "{short:?}");
    }
}

#[test]
fn log_01_a_head_shows_nothing_of_what_a_visitor_sent() {
    let head = read(b"GET /a?canary HTTP/1.1\r\nHost: a\r\nCookie: canary\r\n\r\n").unwrap();
    let shown = format!("{head:?} {:?}", crate::http1::content::Piece::Data("canary".into()));
    assert!(!shown.contains("canary") && shown.contains("GET"), "{shown}");
}

#[test]
fn http_02_a_request_says_in_one_way_where_it_ends() {
    assert_eq!(fields("Content-Length: 12\r\n").unwrap().content, Content::Length(12));
    let chunked = fields("Transfer-Encoding: Chunked\r\n").unwrap();
    assert_eq!(chunked.content, Content::Chunks(Chunks::Size));
    for ambiguous in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        assert_eq!(fields(ambiguous).err(), Some(HeadError::Framing), "{ambiguous}");
    }
    let old = read(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(old.err(), Some(HeadError::Framing));
}

#[test]
fn http_03_a_head_that_is_malformed_is_none() {
    for bad in [
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET\t/ HTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.1x\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET /\r HTTP/1.1\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET /\u{7f} HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\r\n",
        "GET / HTTP/1.1\r\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\n\r\n",
        "GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rB: c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\t: b\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\nA(: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\u{e4}: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\n",
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "\nGET / HTTP/1.1\r\n\r\n",
        "\r\n GET / HTTP/1.1\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "\0",
    ] {
        assert_eq!(read(bad.as_bytes()).err(), Some(HeadError::Malformed), "{bad:?}");
    }
}

#[test]
fn http_09_only_100_continue_can_be_expected() {
    for odd in ["Expect: 200-ok\r\n", "Expect:\r\n", "Expect: 100-continue, x\r\n"] {
        assert_eq!(fields(odd).err(), Some(HeadError::Expectation), "{odd}");
    }
}

#[test]
fn lim_01_heads_are_bounded() {
    let line = |size: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(size - 1));
    assert!(read(line(LONGEST_TARGET).as_bytes()).is_ok());
    let long = line(LONGEST_TARGET + 1);
    assert_eq!(read(long.as_bytes()).err(), Some(HeadError::TargetTooLong));
    let endless = "A".repeat(LONGEST_LINE + 2);
    assert_eq!(read(endless.as_bytes()).err(), Some(HeadError::TargetTooLong));
    assert!(fields(&"A: b\r\n".repeat(MOST_FIELDS - 1)).is_ok());
    let many = fields(&"A: b\r\n".repeat(MOST_FIELDS));
    assert_eq!(many.err(), Some(HeadError::TooLarge));
    let large = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(LONGEST_HEAD));
    assert_eq!(read(large.as_bytes()).err(), Some(HeadError::TooLarge));
    assert_eq!(read(format!("{large}\r\n\r\n").as_bytes()).err(), Some(HeadError::TooLarge));
}

/// Reads what arrives in these portions, and says all there is to say about it.
fn told(portions: &[&[u8]]) -> String {
    let (mut search, mut read) = (Search::default(), BytesMut::new());
    for portion in portions {
        read.extend_from_slice(portion);
        match search.take_head(&mut read, &mut HeaderMap::new()) {
            Ok(None) => {}
            Ok(Some(head)) => return format!("{head:?}"),
            Err(error) => return error.to_string(),
        }
    }
    "more".to_owned()
}

fn odd_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"\r\n"[..],
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b": ",
        b"\0",
        b"A: b",
        b"A: b",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Expect: x",
    ]);
    let line = prop::sample::select(vec![&b""[..], b"\r\n", b"GET / HTTP/1.1\r\n"]);
    (line, prop::collection::vec(piece, 0..12))
        .prop_map(|(line, pieces)| [line, &pieces.concat(), b"\r\n\r\n"].concat())
}

proptest! {
    #[test]
    fn a_head_is_the_same_however_it_is_cut(
        head in odd_heads(), cuts in prop::collection::vec(0usize..300, 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (head.len() + 1)).collect();
        cuts.extend([0, head.len()]);
        cuts.sort_unstable();
        let portions: Vec<&[u8]> = cuts.windows(2).map(|cut| &head[cut[0]..cut[1]]).collect();
        prop_assert_eq!(told(&portions), told(&[&head]));
    }

    #[test]
    fn arbitrary_heads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = told(&[&bytes]);
        let _ = told(&[b"GET / HTTP/1.1\r\n", &bytes, b"\r\n\r\n"]);
    }
}
