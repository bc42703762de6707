//! As much of HTTP/1.1 (RFC 9112) as UPnP needs: one request a connection, one bounded answer.

use super::url::Url;
use crate::portmap::event::Problem;

/// Heads and bodies of gateways are much shorter.
pub(super) const MAX_HEAD: usize = 8 * 1024;
pub(super) const MAX_BODY: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// A request for a document.
pub(super) fn get(url: &Url) -> Vec<u8> {
    let Url { addr, path } = url;
    format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A call of `action` of a service (UPnP Device Architecture 1.1 §3.1.1).
pub(super) fn call(url: &Url, service: &str, action: &str, body: &str) -> Vec<u8> {
    let (Url { addr, path }, length) = (url, body.len());
    format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: \"{service}#{action}\"\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An answer that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) body: Vec<u8>,
}

/// How the end of a body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// An answer as it comes in. It never holds more than a head and a body of the greatest length.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// What has not been understood yet.
    buf: Vec<u8>,
    head: Option<(u16, String, Framing)>,
    body: Vec<u8>,
    /// Of the present chunk.
    left: usize,
    /// The last chunk has come.
    is_whole: bool,
}

impl Incoming {
    /// Takes what has come; `Some` when the answer is complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Reply>, Problem> {
        if self.buf.len() + self.body.len() + bytes.len() > MAX_HEAD + 2 * MAX_BODY {
            return Err(Problem::TooLong(MAX_BODY));
        }
        self.buf.extend_from_slice(bytes);
        while self.head.is_none() {
            if !self.read_head()? {
                return Ok(None);
            }
        }
        match self.head.as_ref().map(|(.., framing)| *framing) {
            Some(Framing::Chunked) => self.read_chunks()?,
            Some(Framing::Length(length)) => {
                self.take_body();
                self.body.truncate(length);
                self.is_whole = self.body.len() == length;
            }
            _ => self.take_body(),
        }
        if self.body.len() > MAX_BODY {
            return Err(Problem::TooLong(MAX_BODY));
        }
        Ok(if self.is_whole { self.reply() } else { None })
    }

    /// The other side has closed the connection.
    pub(super) fn end(&mut self) -> Result<Reply, Problem> {
        let until_close = matches!(self.head, Some((.., Framing::UntilClose)));
        self.reply().filter(|_| until_close).ok_or(Problem::Malformed("an HTTP answer that breaks off"))
    }

    fn reply(&mut self) -> Option<Reply> {
        let (status, reason, _) = self.head.take()?;
        Some(Reply { status, reason, body: std::mem::take(&mut self.body) })
    }

    fn take_body(&mut self) {
        self.body.append(&mut self.buf);
    }

    /// Whether something was read: a head, or an interim one that is skipped (RFC 9110 §15.2).
    fn read_head(&mut self) -> Result<bool, Problem> {
        const MALFORMED: Problem = Problem::Malformed("the head of an HTTP answer");
        let Some(end) = self.buf.windows(4).take(MAX_HEAD).position(|window| window == b"\r\n\r\n") else {
            return if self.buf.len() > MAX_HEAD { Err(Problem::TooLong(MAX_HEAD)) } else { Ok(false) };
        };
        let rest = self.buf.split_off(end + 4);
        let head = std::mem::replace(&mut self.buf, rest);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&head).map_err(|_| MALFORMED)?;
        let (Some(status), true) = (response.code, parsed.is_complete()) else { return Err(MALFORMED) };
        if (100..200).contains(&status) {
            return Ok(true);
        }
        let mut framing = Framing::UntilClose;
        for header in response.headers.iter() {
            let value = std::str::from_utf8(header.value).map_err(|_| MALFORMED)?.trim();
            if header.name.eq_ignore_ascii_case("Transfer-Encoding") {
                let is_chunked = value.eq_ignore_ascii_case("chunked");
                framing = if is_chunked { Framing::Chunked } else { return Err(MALFORMED) };
            } else if header.name.eq_ignore_ascii_case("Content-Length") && framing != Framing::Chunked {
                let length = value.parse().map_err(|_| MALFORMED)?;
                if length > MAX_BODY {
                    return Err(Problem::TooLong(MAX_BODY));
                }
                framing = Framing::Length(length);
            }
        }
        let reason = response.reason.unwrap_or_default().chars().take(128).collect();
        self.head = Some((status, reason, framing));
        Ok(true)
    }

    fn read_chunks(&mut self) -> Result<(), Problem> {
        const MALFORMED: Problem = Problem::Malformed("a chunk of an HTTP answer");
        let mut at = 0;
        while !self.is_whole {
            if self.left > 0 {
                let some = self.left.min(self.buf.len() - at);
                self.body.extend_from_slice(&self.buf[at..at + some]);
                (at, self.left) = (at + some, self.left - some);
                if self.left > 0 || self.body.len() > MAX_BODY {
                    break;
                }
            }
            let mut rest = &self.buf[at..];
            // The line break behind a chunk; before the first one there is none.
            if !self.body.is_empty() {
                if rest.len() < 2 {
                    break;
                }
                rest = rest.strip_prefix(b"\r\n").ok_or(MALFORMED)?;
            }
            match httparse::parse_chunk_size(rest).map_err(|_| MALFORMED)? {
                httparse::Status::Complete((_, 0)) => self.is_whole = true,
                httparse::Status::Complete((used, size)) => {
                    at = self.buf.len() - rest.len() + used;
                    self.left = usize::try_from(size).unwrap_or(usize::MAX);
                }
                httparse::Status::Partial => break,
            }
        }
        self.buf.drain(..at);
        if self.left > MAX_BODY || self.buf.len() > MAX_HEAD {
            return Err(Problem::TooLong(MAX_BODY));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
