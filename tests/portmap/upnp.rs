//! UPnP IGD: what the gateway says, and what others say in its place.

use std::net::IpAddr;

use floe::io::{CloseReason, Transport};
use floe::portmap::{Event, Problem, Protocol, Wish};

use crate::bench::{Bench, GATEWAY, OUTSIDE, Pages, outside};

const UPNP: &[Protocol] = &[Protocol::Upnp];
const ELSEWHERE: &str = "198.51.100.1";

/// An answer to a search.
pub(crate) fn location(url: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: {url}\r\n\r\n"
    )
}

fn page(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Reason\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn description(service: u8, inner: &str, control: &str) -> String {
    format!(
        "<root>{inner}<device><serviceList><service>\
         <serviceType>urn:schemas-upnp-org:service:WANIPConnection:{service}</serviceType>\
         <controlURL>{control}</controlURL></service></serviceList></device></root>"
    )
}

fn external(ip: &str) -> Vec<u8> {
    page(
        200,
        &format!(
            "<e><GetExternalIPAddressResponse><NewExternalIPAddress>{ip}</NewExternalIPAddress>\
             </GetExternalIPAddressResponse></e>"
        ),
    )
}

fn error(code: u16) -> Vec<u8> {
    page(500, &format!("<f><UPnPError><errorCode>{code}</errorCode></UPnPError></f>"))
}

fn field<'a>(request: &'a str, name: &str) -> &'a str {
    request.split_once(&format!("<{name}>")).unwrap().1.split('<').next().unwrap()
}

/// A device of this version whose service answers as `calls` says, and else well.
fn device(version: u8, mut calls: impl FnMut(&str) -> Option<Vec<u8>> + 'static) -> Pages {
    Box::new(move |request| {
        if request.starts_with("GET ") {
            return Some(page(200, &description(version, "", "/ctl")));
        }
        if let Some(answer) = calls(request) {
            return Some(answer);
        }
        Some(if request.contains("GetExternalIPAddress") {
            external(&OUTSIDE.to_string())
        } else if request.contains("AddAnyPortMapping") {
            page(
                200,
                "<AddAnyPortMappingResponse><NewReservedPort>4242</NewReservedPort></AddAnyPortMappingResponse>",
            )
        } else if request.contains("DeletePortMapping") {
            page(200, "<DeletePortMappingResponse/>")
        } else {
            page(200, "<AddPortMappingResponse/>")
        })
    })
}

/// One where everything works.
pub(crate) fn igd(version: u8) -> Pages {
    device(version, |_| None)
}

fn bench(pages: Pages) -> Bench {
    let mut bench = Bench::new(UPNP);
    bench.ssdp = vec![(GATEWAY, location("http://192.168.1.1:5000/d.xml"))];
    bench.pages = pages;
    bench
}

/// Never anything but the gateway.
fn assert_asked_only_the_gateway(bench: &Bench) {
    assert!(bench.connects.iter().all(|addr| addr.ip() == GATEWAY), "{:?}", bench.connects);
}

#[test]
fn a_mapping_is_made_renewed_and_deleted() {
    let mut bench = bench(igd(1));
    let id = bench.wish(Wish::new(Transport::Tcp, 5000).external(4000));
    let mapping = bench.mapped()[0];
    assert_eq!((mapping.external, mapping.protocol), (outside(4000), Protocol::Upnp));
    let add = bench.requests.last().unwrap().clone();
    assert_eq!((field(&add, "NewInternalClient"), field(&add, "NewInternalPort")), ("192.168.1.7", "5000"));
    assert_eq!((field(&add, "NewProtocol"), field(&add, "NewLeaseDuration")), ("TCP", "7200"));
    assert!(add.contains("SOAPAction: \"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\""));
    bench.requests.clear();
    bench.run_secs(4501);
    assert!(bench.requests.iter().any(|it| it.contains("<u:AddPortMapping")));
    assert!(matches!(bench.events.last(), Some(Event::Renewed { .. })));
    bench.close();
    assert!(bench.requests.last().unwrap().contains("<u:DeletePortMapping"));
    assert!(bench.has(&Event::Unmapped { id }) && bench.mapper.is_over());
    assert_asked_only_the_gateway(&bench);
}

#[test]
fn version_2_takes_any_port_and_the_reserved_one_counts() {
    let mut bench = bench(igd(2));
    bench.map(5000);
    assert_eq!(bench.mapped()[0].external, outside(4242));
    bench.requests.clear();
    bench.run_secs(4501);
    let add = bench.requests.last().unwrap();
    assert!(add.contains("<u:AddPortMapping"), "a renewal is of that port: {add}");
    assert_eq!(field(add, "NewExternalPort"), "4242");
}

#[test]
fn a_gateway_that_knows_only_permanent_leases_gets_one_and_it_is_deleted() {
    let mut bench = bench(device(1, |request| {
        (request.contains("<u:Add") && field(request, "NewLeaseDuration") != "0").then(|| error(725))
    }));
    let id = bench.map(5000);
    assert_eq!(bench.mapped()[0].lifetime, None);
    bench.close();
    assert!(bench.requests.last().unwrap().contains("<u:DeletePortMapping"));
    assert!(bench.has(&Event::Unmapped { id }));
}

#[test]
fn a_port_that_is_taken_leads_to_another_one_but_not_for_ever() {
    let mut bench = bench(device(1, |request| {
        (request.contains("<u:Add") && field(request, "NewExternalPort") == "5000").then(|| error(718))
    }));
    bench.map(5000);
    assert!(bench.mapped()[0].external.port() >= 49_152);
    let mut full = self::bench(device(1, |request| request.contains("<u:Add").then(|| error(718))));
    let id = full.map(5000);
    assert!(matches!(full.problems()[..], [Problem::Refused { code: 718, .. }]));
    assert!(full.has(&Event::Unavailable { id }));
    assert_eq!(full.requests.iter().filter(|it| it.contains("<u:Add")).count(), 5);
}

#[test]
fn a_gateway_that_wants_equal_ports_gets_them() {
    let mut bench = bench(device(1, |request| {
        let differs = |it| field(it, "NewExternalPort") != field(it, "NewInternalPort");
        (request.contains("<u:Add") && differs(request)).then(|| error(724))
    }));
    bench.wish(Wish::new(Transport::Udp, 5000).external(4000));
    assert_eq!(bench.mapped()[0].external, outside(5000));
}

#[test]
fn a_private_external_address_is_a_gateway_behind_a_nat() {
    let private = |refuses: bool| {
        device(1, move |request| {
            if request.contains("GetExternalIPAddress") {
                return Some(external("100.64.0.9"));
            }
            (refuses && request.contains("<u:Add")).then(|| error(501))
        })
    };
    for refuses in [false, true] {
        let mut bench = bench(private(refuses));
        bench.map(5000);
        assert_eq!(bench.problems(), [Problem::GatewayBehindNat("100.64.0.9".parse().unwrap())]);
        assert_eq!(bench.mapped().len(), usize::from(!refuses));
    }
}

#[test]
fn a_gateway_without_an_address_outside_is_told() {
    for answer in [external("0.0.0.0"), external(""), error(501)] {
        let mut bench =
            bench(device(1, move |request| request.contains("GetExternalIPAddress").then(|| answer.clone())));
        let id = bench.map(5000);
        assert_eq!(bench.problems(), [Problem::NoExternalAddress]);
        assert!(bench.has(&Event::Unavailable { id }));
    }
}

#[test]
fn an_answer_of_another_host_is_ignored() {
    let mut bench = bench(igd(1));
    let other: IpAddr = "192.168.1.66".parse().unwrap();
    bench.ssdp =
        vec![(other, location("http://192.168.1.66/d.xml")), (other, location("http://192.168.1.1/d.xml"))];
    let id = bench.map(5000);
    bench.run_secs(20);
    assert!(bench.connects.is_empty() && bench.has(&Event::Unavailable { id }));
    assert_eq!(bench.problems(), [Problem::NoAnswer]);
}

#[test]
fn a_location_elsewhere_is_not_visited() {
    for url in ["http://198.51.100.1/d.xml", "http://gateway.example/d.xml", "http://127.0.0.1/d.xml"] {
        let mut bench = bench(igd(1));
        bench.ssdp = vec![(GATEWAY, location(url))];
        bench.map(5000);
        bench.run_secs(20);
        assert!(bench.connects.is_empty());
        assert_eq!(bench.problems(), [Problem::Elsewhere(url.to_owned())]);
    }
}

#[test]
fn a_description_that_leads_elsewhere_is_not_followed() {
    let elsewhere = format!("http://{ELSEWHERE}/ctl");
    for body in [
        description(1, "", &elsewhere),
        description(1, &format!("<URLBase>{elsewhere}</URLBase>"), "/ctl"),
        description(1, "", &format!("//{ELSEWHERE}/ctl")),
    ] {
        let mut bench = bench(Box::new(move |_| Some(page(200, &body))));
        bench.map(5000);
        bench.run_secs(20);
        assert_asked_only_the_gateway(&bench);
        assert_eq!(bench.connects.len(), 1);
        assert!(matches!(&bench.problems()[..], [Problem::Elsewhere(_)]), "{:?}", bench.problems());
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let redirect =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{ELSEWHERE}/\r\nContent-Length: 0\r\n\r\n");
    let mut bench = bench(Box::new(move |_| Some(redirect.clone().into_bytes())));
    bench.map(5000);
    bench.run_secs(20);
    assert_eq!(bench.connects.len(), 1);
    assert!(matches!(bench.problems()[..], [Problem::Refused { code: 302, .. }]));
}

#[test]
fn a_description_of_10_megabytes_is_cut_off() {
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n<root>".as_slice(), &vec![b'x'; 10_000_000]].concat();
    let mut bench = bench(Box::new(move |_| Some(endless.clone())));
    let id = bench.map(5000);
    assert!(matches!(bench.problems()[..], [Problem::TooLong(_)]), "{:?}", bench.problems());
    assert!(bench.has(&Event::Unavailable { id }));
}

#[test]
fn a_connection_that_hangs_or_breaks_is_told() {
    let mut hanging = bench(Box::new(|_| None));
    hanging.map(5000);
    hanging.run_secs(6);
    assert_eq!(hanging.problems(), [Problem::Connection(CloseReason::TimedOut)]);
    for (body, problem) in [
        (&b"garbage\r\n\r\n"[..], Problem::Malformed("the head of an HTTP answer")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<root>x", Problem::Malformed("XML")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<root/>", Problem::NoService),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<root>",
            Problem::Malformed("an HTTP answer that breaks off"),
        ),
    ] {
        let mut bench = bench(Box::new(move |_| Some(body.to_vec())));
        bench.map(5000);
        assert_eq!(bench.problems(), [problem]);
    }
}

#[test]
fn a_search_is_repeated_and_then_given_up() {
    let mut bench = Bench::new(UPNP);
    let id = bench.map(5000);
    bench.run_secs(100);
    let times: Vec<u64> = bench.searches.iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [0, 0, 1000, 1000, 3000, 3000]);
    assert!(bench.searches.iter().all(|(_, to)| *to == "239.255.255.250:1900".parse().unwrap()));
    assert!(bench.has(&Event::Unavailable { id }));
    assert_eq!(bench.problems(), [Problem::NoAnswer]);
}

#[test]
fn a_flood_of_locations_costs_four_connections() {
    let mut bench = bench(Box::new(|_| Some(page(404, ""))));
    bench.ssdp = (0..1000).map(|at| (GATEWAY, location(&format!("http://192.168.1.1/{at}")))).collect();
    bench.map(5000);
    bench.run_secs(60);
    assert!(bench.connects.len() <= 4, "{}", bench.connects.len());
}
