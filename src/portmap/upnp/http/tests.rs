use super::*;

/// What becomes of an answer that comes in pieces of `size` bytes, and then ends.
fn read(bytes: &[u8], size: usize) -> Result<Reply, Problem> {
    let mut incoming = Incoming::default();
    for piece in bytes.chunks(size) {
        if let Some(reply) = incoming.feed(piece)? {
            return Ok(reply);
        }
    }
    incoming.end()
}

fn body(bytes: &[u8]) -> Result<String, Problem> {
    let whole = read(bytes, bytes.len()).map(|reply| String::from_utf8(reply.body).unwrap());
    for size in [1, 2, 7] {
        assert_eq!(read(bytes, size).map(|reply| String::from_utf8(reply.body).unwrap()), whole, "{size}");
    }
    whole
}

#[test]
fn an_answer_ends_where_its_head_says() {
    assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more"), Ok("hello".to_owned()));
    assert_eq!(body(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nto the end"), Ok("to the end".to_owned()));
    assert_eq!(
        body(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"),
        Ok("hello world".to_owned())
    );
    assert_eq!(
        body(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Ok("ok".to_owned())
    );
}

#[test]
fn the_status_is_kept() {
    let reply = read(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", 100).unwrap();
    assert_eq!((reply.status, reply.reason.as_str()), (500, "Internal Server Error"));
}

#[test]
fn what_is_no_answer_is_refused() {
    for bytes in [
        &b"garbage\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ] {
        let read = read(bytes, 1000);
        assert!(matches!(read, Err(Problem::Malformed(_))), "{read:?}");
    }
}

#[test]
fn an_answer_that_is_too_long_is_refused_before_it_is_held() {
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n";
    assert_eq!(read(length, 100), Err(Problem::TooLong(MAX_BODY)));
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'x'; 10_000_000]].concat();
    assert_eq!(read(&endless, 1000), Err(Problem::TooLong(MAX_BODY)));
    let head = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; 10_000_000]].concat();
    assert_eq!(read(&head, 1000), Err(Problem::TooLong(MAX_HEAD)));
    let chunks = b"1\r\nx\r\n".repeat(1_000_000);
    let chunks = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &chunks].concat();
    assert_eq!(read(&chunks, 1000), Err(Problem::TooLong(MAX_BODY)));
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    assert_eq!(read(chunk, 1000), Err(Problem::TooLong(MAX_BODY)));
}
