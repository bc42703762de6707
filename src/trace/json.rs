//! A trace as JSON lines: one object a record.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use super::{Class, Content, MessageSummary, Side, Trace, What, millis};
use crate::time::Instant;

/// Prints a trace as JSON lines, each ended by a line feed:
///
/// ```text
/// {"agent":"alice","ms":12.345,"event":"sent","base":"10.0.0.2:5000","remote":"198.51.100.7:6000",
///  "stun":{"class":"request","method":"Binding","transaction":"0102…","use_candidate":true}}    (one line)
/// ```
#[derive(Debug, Clone, Copy)]
pub struct JsonLines<'a> {
    name: &'a str,
    trace: &'a Trace,
    epoch: Instant,
}

impl<'a> JsonLines<'a> {
    /// The trace of the agent `name`; `ms` counts from `epoch`.
    pub fn new(epoch: Instant, name: &'a str, trace: &'a Trace) -> Self {
        Self { name, trace, epoch }
    }
}

impl fmt::Display for JsonLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for record in self.trace.records() {
            write!(f, "{{\"agent\":{},\"ms\":{:.3}", Text(self.name), millis(self.epoch, record.at))?;
            write_what(f, &record.what)?;
            f.write_str("}\n")?;
        }
        Ok(())
    }
}

fn write_what(f: &mut fmt::Formatter<'_>, what: &What) -> fmt::Result {
    match what {
        What::Sent { base, remote, content } => {
            datagram(f, "sent", *base, *remote)?;
            write_content(f, content)
        }
        What::Received { base, remote, content } => {
            datagram(f, "received", *base, *remote)?;
            write_content(f, content)
        }
        What::Dropped { base, remote, why } => {
            datagram(f, "dropped", *base, *remote)?;
            write!(f, ",\"why\":{}", Text(why))
        }
        What::Candidate { side, kind, address, priority } => {
            let side = match side {
                Side::Local => "local",
                Side::Remote => "remote",
            };
            write!(
                f,
                ",\"event\":\"candidate\",\"side\":\"{side}\",\"candidate_type\":\"{}\"",
                kind.as_str()
            )?;
            write!(f, ",\"address\":\"{address}\",\"priority\":{priority}")
        }
        What::Unresolved { kind, priority, port } => {
            write!(f, ",\"event\":\"unresolved\",\"candidate_type\":\"{}\"", kind.as_str())?;
            write!(f, ",\"port\":{port},\"priority\":{priority}")
        }
        What::Pair { local, remote, state } => {
            write!(f, ",\"event\":\"pair\",\"local\":\"{local}\",\"remote\":\"{remote}\"")?;
            write!(f, ",\"state\":{}", Text(state))
        }
        What::Nominated { local, remote } => {
            write!(f, ",\"event\":\"nominated\",\"local\":\"{local}\",\"remote\":\"{remote}\"")
        }
        What::State(state) => write!(f, ",\"event\":\"state\",\"state\":{}", Text(state)),
        What::Path { component, destination } => {
            write!(f, ",\"event\":\"path\",\"stream\":{}", component.stream)?;
            write!(f, ",\"component\":{},\"destination\":", component.component)?;
            match destination {
                Some(destination) => write!(f, "\"{destination}\""),
                None => f.write_str("null"),
            }
        }
    }
}

fn datagram(f: &mut fmt::Formatter<'_>, event: &str, base: SocketAddr, remote: SocketAddr) -> fmt::Result {
    write!(f, ",\"event\":\"{event}\",\"base\":\"{base}\",\"remote\":\"{remote}\"")
}

fn write_content(f: &mut fmt::Formatter<'_>, content: &Content) -> fmt::Result {
    match content {
        Content::Data(length) => write!(f, ",\"bytes\":{length}"),
        Content::Stun(summary) => write_summary(f, summary),
    }
}

fn write_summary(f: &mut fmt::Formatter<'_>, summary: &MessageSummary) -> fmt::Result {
    let class = match summary.class {
        Class::Request => "request",
        Class::Indication => "indication",
        Class::Success => "success",
        Class::Error(_) => "error",
    };
    write!(f, ",\"stun\":{{\"class\":\"{class}\",\"method\":")?;
    match summary.method_name() {
        Some(name) => write!(f, "\"{name}\"")?,
        None => write!(f, "{}", summary.method)?,
    }
    f.write_str(",\"transaction\":\"")?;
    for byte in summary.transaction_id {
        write!(f, "{byte:02x}")?;
    }
    write!(f, "\",\"use_candidate\":{}", summary.nominates)?;
    if let Class::Error(code) = summary.class {
        write!(f, ",\"code\":{code}")?;
    }
    f.write_str("}")
}

/// A JSON string (RFC 8259 §7).
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                '\0'..='\x1F' => write!(f, "\\u{:04x}", u32::from(char))?,
                _ => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::ComponentId;
    use crate::time::{Duration, test_epoch};

    #[test]
    fn every_line_is_json_whatever_the_name() {
        let (base, remote) = ("10.0.0.2:5000".parse().unwrap(), "[2001:db8::7]:6000".parse().unwrap());
        let summary =
            MessageSummary { class: Class::Error(487), method: 1, transaction_id: [7; 12], nominates: false };
        let all = [
            What::Sent { base, remote, content: Content::Stun(summary) },
            What::Received { base, remote, content: Content::Data(1200) },
            What::Dropped { base, remote, why: "a \"quoted\" reason" },
            What::Pair { local: base, remote, state: "failed" },
            What::Nominated { local: base, remote },
            What::State("checking"),
            What::Path { component: ComponentId::FIRST, destination: None },
            What::Path { component: ComponentId::FIRST, destination: Some(remote) },
        ];
        let (mut trace, epoch, name) = (Trace::new(99), test_epoch(), "al\"ice\\\n\u{1}é");
        for what in all {
            trace.push(epoch + Duration::from_micros(12_345), what);
        }
        let text = JsonLines::new(epoch, name, &trace).to_string();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines.len(), all.len());
        assert!(lines.iter().all(|line| line["agent"] == name && line["ms"] == 12.345));
        assert_eq!(lines[0]["stun"]["code"], 487);
        assert_eq!(lines[2]["why"], "a \"quoted\" reason");
    }
}
