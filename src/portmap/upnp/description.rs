//! The description of a device (UPnP Device Architecture 1.1 §2): which of its services make mappings, and where they
//! are controlled.

use std::net::Ipv4Addr;

use super::url::Url;
use super::xml::{Step, walk};
use crate::portmap::event::Problem;

/// The services that make mappings, best first: the second version of the first one knows
/// AddAnyPortMapping.
pub(super) const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
/// A gateway with several connections has a service for each one.
const MAX_SERVICES: usize = 8;

/// A service to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// One of [`SERVICES`].
    pub(super) kind: &'static str,
    pub(super) control: Url,
}

impl Service {
    /// Whether it finds a free port by itself.
    pub(super) fn finds_ports(&self) -> bool {
        self.kind == SERVICES[0]
    }
}

/// The services in the description at `url`, best first.
pub(super) fn services(text: &str, url: &Url, gateway: Ipv4Addr) -> Result<Vec<Service>, Problem> {
    let mut base = None;
    let (mut kind, mut control) = (None, None);
    let mut found: Vec<(usize, String)> = Vec::new();
    walk(text, |step| match step {
        Step::Open("service") => (kind, control) = (None, None),
        Step::Close("serviceType", text) => kind = SERVICES.iter().position(|known| *known == text),
        Step::Close("controlURL", text) => control = Some(text.to_owned()),
        Step::Close("URLBase", text) if !text.is_empty() => base = Some(text.to_owned()),
        Step::Close("service", _) => {
            if let (Some(kind), Some(control)) = (kind.take(), control.take())
                && found.len() < MAX_SERVICES
            {
                found.push((kind, control));
            }
        }
        _ => {}
    })?;
    if found.is_empty() {
        return Err(Problem::NoService);
    }
    let base = match base {
        Some(base) => Url::absolute(&base, gateway)?,
        None => url.clone(),
    };
    found.sort_by_key(|(kind, _)| *kind);
    let service = |(kind, control): (usize, String)| {
        Ok(Service { kind: SERVICES[kind], control: base.join(&control, gateway)? })
    };
    found.into_iter().map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn read(inner: &str) -> Result<Vec<(usize, String)>, Problem> {
        let url = Url::absolute("http://192.168.1.1:5000/d/root.xml", GATEWAY).unwrap();
        let services = services(&format!("<root>{inner}</root>"), &url, GATEWAY)?;
        let rank = |kind| SERVICES.iter().position(|known| *known == kind).unwrap();
        let text = |service: Service| {
            (rank(service.kind), format!("{}{}", service.control.addr, service.control.path))
        };
        Ok(services.into_iter().map(text).collect())
    }

    fn service(rank: usize, control: &str) -> String {
        let kind = SERVICES[rank];
        format!("<service><serviceType>{kind}</serviceType><controlURL>{control}</controlURL></service>")
    }

    #[test]
    fn the_best_service_comes_first_however_deep_it_is() {
        let other = "<service><serviceType>urn:x:Layer3Forwarding:1</serviceType><controlURL>/l</controlURL></service>";
        let deep = format!(
            "<device>{other}<deviceList><device>{}</device><device>{}{}</device></deviceList></device>",
            service(2, "/ppp"),
            service(1, "ip?1&amp;2"),
            service(0, "http://192.168.1.1:80/ip2"),
        );
        let expected = [
            (0, "192.168.1.1:80/ip2".to_owned()),
            (1, "192.168.1.1:5000/d/ip?1&2".to_owned()),
            (2, "192.168.1.1:5000/ppp".to_owned()),
        ];
        assert_eq!(read(&deep).unwrap(), expected);
    }

    #[test]
    fn a_description_that_leads_elsewhere_is_refused() {
        let base = "<URLBase>http://198.51.100.1/</URLBase>";
        assert_eq!(
            read(&format!("{base}{}", service(0, "/ctl"))),
            Err(Problem::Elsewhere("http://198.51.100.1/".to_owned()))
        );
        let control = "http://198.51.100.1/ctl";
        assert_eq!(read(&service(1, control)), Err(Problem::Elsewhere(control.to_owned())));
        let own = "<URLBase>http://192.168.1.1:80/</URLBase>";
        let found = read(&format!("{own}{}", service(0, "ctl"))).unwrap();
        assert_eq!(found, [(0, "192.168.1.1:80/ctl".to_owned())]);
    }

    #[test]
    fn a_description_without_a_service_for_mappings_is_told_apart_from_none() {
        assert_eq!(read("<device/>"), Err(Problem::NoService));
        assert_eq!(read("<device>"), Err(Problem::Malformed("XML")));
        let many: String = (0..1000).map(|_| service(1, "/c")).collect();
        assert_eq!(read(&many).unwrap().len(), MAX_SERVICES);
    }
}
