//! Calls of a service (UPnP WANIPConnection:1 §2.4, WANIPConnection:2 §2.5), and their answers.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::http::Reply;
use super::xml::{Step, walk};
use crate::io::Transport;
use crate::portmap::event::Problem;

/// What a service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// GetExternalIPAddress.
    ExternalAddress,
    /// AddPortMapping, which fails if the port is not free.
    Add(Rule),
    /// AddAnyPortMapping, which takes another one then.
    AddAny(Rule),
    /// DeletePortMapping.
    Delete { transport: Transport, external: u16 },
}

/// A mapping to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) transport: Transport,
    pub(super) external: u16,
    pub(super) internal: (Ipv4Addr, u16),
    /// In seconds; 0 is without an end.
    pub(super) lease: u32,
}

/// What a service has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// GetExternalIPAddress; `None` if there is none.
    ExternalAddress(Option<Ipv4Addr>),
    /// AddAnyPortMapping: the port that it took.
    Added(u16),
    Error {
        code: u16,
        text: String,
    },
}

/// The errors that are answered by another call.
pub(super) const INVALID_ACTION: u16 = 401;
pub(super) const INVALID_ARGS: u16 = 402;
pub(super) const NOT_IMPLEMENTED: u16 = 602;
pub(super) const CONFLICT: u16 = 718;
pub(super) const SAME_PORTS: u16 = 724;
pub(super) const ONLY_PERMANENT: u16 = 725;
pub(super) const OTHER_MECHANISM: u16 = 729;

impl Call {
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::ExternalAddress => "GetExternalIPAddress",
            Self::Add(_) => "AddPortMapping",
            Self::AddAny(_) => "AddAnyPortMapping",
            Self::Delete { .. } => "DeletePortMapping",
        }
    }

    /// The body of the request. All in it is of this file, or a number.
    pub(super) fn body(&self, service: &str) -> String {
        let mut arguments = String::new();
        let mut add = |name: &str, value: &dyn std::fmt::Display| {
            let _ = write!(arguments, "<{name}>{value}</{name}>");
        };
        match self {
            Self::ExternalAddress => {}
            Self::Add(rule) | Self::AddAny(rule) => {
                add("NewRemoteHost", &"");
                add("NewExternalPort", &rule.external);
                add("NewProtocol", &name(rule.transport));
                add("NewInternalPort", &rule.internal.1);
                add("NewInternalClient", &rule.internal.0);
                add("NewEnabled", &1);
                add("NewPortMappingDescription", &"floe");
                add("NewLeaseDuration", &rule.lease);
            }
            Self::Delete { transport, external } => {
                add("NewRemoteHost", &"");
                add("NewExternalPort", external);
                add("NewProtocol", &name(*transport));
            }
        }
        let action = self.action();
        format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{action} xmlns:u=\"{service}\">{arguments}</u:{action}></s:Body></s:Envelope>\r\n"
        )
    }

    /// Reads the answer to this call.
    pub(super) fn answer(&self, reply: &Reply) -> Result<Answer, Problem> {
        let text = String::from_utf8_lossy(&reply.body);
        match reply.status {
            200 => self.read(&text),
            // A fault (UPnP Device Architecture 1.1 §3.2.2).
            500 => fault(&text),
            code => Err(Problem::Refused { code, text: reply.reason.clone() }),
        }
    }

    fn read(&self, text: &str) -> Result<Answer, Problem> {
        let wanted = format!("{}Response", self.action());
        let (mut is_it, mut address, mut port) = (false, None, None);
        walk(text, |step| match step {
            Step::Open(name) if name == wanted => is_it = true,
            Step::Close("NewExternalIPAddress", text) => address = Some(text.parse::<Ipv4Addr>().ok()),
            Step::Close("NewReservedPort", text) => port = text.parse::<u16>().ok(),
            _ => {}
        })?;
        match self {
            _ if !is_it => Err(Problem::Malformed("no answer to the call")),
            Self::ExternalAddress => {
                let address = address.ok_or(Problem::Malformed("no external address"))?;
                Ok(Answer::ExternalAddress(address.filter(|ip| !ip.is_unspecified())))
            }
            Self::AddAny(_) => {
                let port = port.filter(|port| *port != 0).ok_or(Problem::Malformed("no reserved port"))?;
                Ok(Answer::Added(port))
            }
            Self::Add(_) | Self::Delete { .. } => Ok(Answer::Done),
        }
    }
}

fn fault(xml: &str) -> Result<Answer, Problem> {
    let (mut code, mut text) = (None, String::new());
    walk(xml, |step| match step {
        Step::Close("errorCode", number) => code = number.parse().ok(),
        Step::Close("errorDescription", words) => {
            text = words.chars().filter(|c| !c.is_control()).take(128).collect();
        }
        _ => {}
    })?;
    let code = code.ok_or(Problem::Malformed("a fault without a code"))?;
    Ok(Answer::Error { code, text })
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
    }
}

/// Reads an answer to each call.
pub(super) fn parse(reply: &Reply) {
    let internal = (Ipv4Addr::LOCALHOST, 1);
    let rule = Rule { transport: Transport::Udp, external: 1, internal, lease: 0 };
    for call in [Call::ExternalAddress, Call::Add(rule), Call::AddAny(rule)] {
        let _ = call.answer(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        transport: Transport::Tcp,
        external: 4000,
        internal: (Ipv4Addr::new(192, 168, 1, 7), 5000),
        lease: 7200,
    };

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, reason: "why".to_owned(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_call_is_an_envelope_with_all_arguments_in_their_order() {
        let body = Call::Add(RULE).body("urn:s");
        let names: Vec<_> = body.split("<New").skip(1).map(|it| it.split('>').next().unwrap()).collect();
        let expected = [
            "RemoteHost",
            "ExternalPort",
            "Protocol",
            "InternalPort",
            "InternalClient",
            "Enabled",
            "PortMappingDescription",
            "LeaseDuration",
        ];
        assert_eq!(names, expected);
        assert!(body.contains("<u:AddPortMapping xmlns:u=\"urn:s\">"), "{body}");
        assert!(walk(&body, |_| {}).is_ok(), "{body}");
    }

    #[test]
    fn answers_are_read() {
        let address = |text: &str| {
            let body = format!(
                "<e><u:GetExternalIPAddressResponse><NewExternalIPAddress>{text}</NewExternalIPAddress>\
                 </u:GetExternalIPAddressResponse></e>"
            );
            Call::ExternalAddress.answer(&reply(200, &body))
        };
        let ip = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(address("192.0.2.1"), Ok(Answer::ExternalAddress(Some(ip))));
        for none in ["", "0.0.0.0", "unknown"] {
            assert_eq!(address(none), Ok(Answer::ExternalAddress(None)), "{none}");
        }
        let body =
            "<AddAnyPortMappingResponse><NewReservedPort>4001</NewReservedPort></AddAnyPortMappingResponse>";
        assert_eq!(Call::AddAny(RULE).answer(&reply(200, body)), Ok(Answer::Added(4001)));
        assert_eq!(Call::Add(RULE).answer(&reply(200, "<AddPortMappingResponse/>")), Ok(Answer::Done));
        let fault = "<f><UPnPError><errorCode>725</errorCode><errorDescription>Only\u{7}</errorDescription></UPnPError></f>";
        let error = Answer::Error { code: ONLY_PERMANENT, text: "Only".to_owned() };
        assert_eq!(Call::Add(RULE).answer(&reply(500, fault)), Ok(error));
    }

    #[test]
    fn what_is_no_answer_to_the_call_is_refused() {
        let of = |status, body: &str| Call::AddAny(RULE).answer(&reply(status, body));
        assert!(matches!(of(200, "<AddPortMappingResponse/>"), Err(Problem::Malformed(_))));
        assert!(matches!(of(200, "<AddAnyPortMappingResponse/>"), Err(Problem::Malformed(_))));
        assert!(matches!(of(200, "garbage"), Err(Problem::Malformed(_))));
        assert!(matches!(of(500, "<a/>"), Err(Problem::Malformed(_))));
        assert_eq!(of(302, ""), Err(Problem::Refused { code: 302, text: "why".to_owned() }));
    }
}
