//! What `floe nat` prints.

use serde_json::{Value, json};

use floe::discovery::{
    Connectivity, Filtering, Finding, Hairpinning, Lifetime, Mapping, Parity, Payload, Pooling,
    PortAllocation, Refresh, Report, Test, Translation, Verdict,
};

use crate::known_nat;

/// The rows of a table that a test fills.
pub(crate) fn rows(test: Test, report: &Report) -> Vec<String> {
    let row = |name: &str, text: String| format!("  {name:<14} {text}");
    match test {
        Test::Connectivity => {
            let mut rows = vec![row("reaches", text(report.connectivity, connectivity))];
            if let (Some(server), Some(mapped)) = (report.server, report.mapped) {
                rows.push(row("seen as", format!("{mapped} by {server}")));
            }
            rows
        }
        Test::Filtering => vec![row("filtering", text(report.filtering, filtering))],
        Test::Mapping => vec![row("mapping", text(report.mapping, mapping))],
        Test::Ports => {
            let mut rows = Vec::new();
            let name = report.popular_name().map(|name| format!(" ({name})")).unwrap_or_default();
            rows.push(row("NAT", text(report.translation, translation) + &name));
            rows.push(row("ports", text(report.ports, ports)));
            if report.translation == Finding::Known(Translation::Translated) {
                rows.push(row("port parity", text(report.parity, parity)));
                rows.push(row("addresses", text(report.pooling, pooling)));
            }
            rows.push(row("payloads", text(report.payload, payload)));
            rows
        }
        Test::Hairpinning => vec![row("hairpinning", text(report.hairpinning, hairpinning))],
        Test::Fragments => vec![row("fragments", text(report.fragments_pass, |()| "get out".to_owned()))],
        Test::Lifetime => vec![
            row("lifetime", text(report.lifetime, lifetime)),
            row("kept alive by", text(report.refresh, refresh)),
        ],
        _ => Vec::new(),
    }
}

/// That a test begins.
pub(crate) fn began(family: &str, test: Test) -> Value {
    json!({ "type": "measuring", "family": family, "test": test.to_string() })
}

/// The whole report.
pub(crate) fn json(family: &str, report: &Report) -> Value {
    let verdict = Verdict::of(report);
    json!({
        "type": "nat",
        "family": family,
        "local": report.local,
        "server": report.server,
        "other": report.other,
        "mapped": report.mapped,
        "connectivity": value(report.connectivity, connectivity_word),
        "translation": value(report.translation, translation_word),
        "mapping": value(report.mapping, mapping_word),
        "filtering": value(report.filtering, filtering_word),
        "popular_name": report.popular_name(),
        "hairpinning": value(report.hairpinning, hairpinning_word),
        "ports": value(report.ports, ports_word),
        "port_delta": match report.ports {
            Finding::Known(PortAllocation::Sequential { delta }) => Some(delta),
            _ => None,
        },
        "port_deltas": report.port_deltas,
        "parity": value(report.parity, |it| if it == Parity::Preserved { "preserved" } else { "not-preserved" }),
        "pooling": value(report.pooling, |it| if it == Pooling::Paired { "paired" } else { "arbitrary" }),
        "payload": value(report.payload, |it| if it == Payload::Untouched { "untouched" } else { "rewritten" }),
        "fragments": value(report.fragments_pass, |()| "pass"),
        "lifetime_s": match report.lifetime {
            Finding::Known(Lifetime::Between(low, high)) => json!([low.as_secs_f64(), high.as_secs_f64()]),
            Finding::Known(Lifetime::LongerThan(low)) => json!([low.as_secs_f64(), null]),
            Finding::Unknown(_) => Value::Null,
        },
        "lifetime": value(report.lifetime, |it| match it {
            Lifetime::Between(..) => "between",
            Lifetime::LongerThan(_) => "longer",
        }),
        "refresh": value(report.refresh, refresh_word),
        "peer_options": known_nat::options(&report.behavior()),
        "verdict": verdict.name(),
        "text": verdict.to_string(),
    })
}

fn text<T: Copy>(finding: Finding<T>, words: impl FnOnce(T) -> String) -> String {
    match finding {
        Finding::Known(fact) => words(fact),
        Finding::Unknown(why) => format!("unknown: {why}"),
    }
}

/// A word, or `unknown` with the reason.
fn value<T: Copy>(finding: Finding<T>, word: impl FnOnce(T) -> &'static str) -> Value {
    match finding {
        Finding::Known(fact) => json!({ "is": word(fact) }),
        Finding::Unknown(why) => json!({ "is": "unknown", "why": why.name(), "text": why.to_string() }),
    }
}

fn connectivity_word(it: Connectivity) -> &'static str {
    match it {
        Connectivity::Udp => "udp",
        Connectivity::TcpOnly => "tcp-only",
        Connectivity::Captive => "captive",
        Connectivity::Nothing => "nothing",
    }
}

fn connectivity(it: Connectivity) -> String {
    match it {
        Connectivity::Udp => "servers over UDP",
        Connectivity::TcpOnly => "servers over TCP only: UDP is blocked",
        Connectivity::Captive => "nothing over UDP; TCP is answered, but not with STUN",
        Connectivity::Nothing => "nothing: neither UDP nor TCP is answered",
    }
    .to_owned()
}

fn translation_word(it: Translation) -> &'static str {
    if it == Translation::None { "none" } else { "translated" }
}

fn translation(it: Translation) -> String {
    if it == Translation::None { "none: servers see this host's own address" } else { "yes" }.to_owned()
}

fn mapping_word(it: Mapping) -> &'static str {
    match it {
        Mapping::EndpointIndependent => "endpoint-independent",
        Mapping::AddressDependent => "address-dependent",
        Mapping::AddressAndPortDependent => "address-and-port-dependent",
        Mapping::PortDependent => "port-dependent",
        Mapping::Dependent => "dependent",
    }
}

fn mapping(it: Mapping) -> String {
    let more = match it {
        Mapping::Dependent => " (address- or port-dependent: a server with RFC 5780 would tell)",
        Mapping::PortDependent => " (on the destination's port only)",
        _ => "",
    };
    mapping_word(it).to_owned() + more
}

fn filtering_word(it: Filtering) -> &'static str {
    match it {
        Filtering::EndpointIndependent => "endpoint-independent",
        Filtering::AddressDependent => "address-dependent",
        Filtering::AddressAndPortDependent => "address-and-port-dependent",
    }
}

fn filtering(it: Filtering) -> String {
    filtering_word(it).to_owned()
}

fn hairpinning_word(it: Hairpinning) -> &'static str {
    match it {
        Hairpinning::None => "none",
        Hairpinning::ExternalSource => "external-source",
        Hairpinning::InternalSource => "internal-source",
        Hairpinning::OtherSource => "other-source",
    }
}

fn hairpinning(it: Hairpinning) -> String {
    match it {
        Hairpinning::None => "nothing comes back to this host",
        Hairpinning::ExternalSource => "yes, with the external source address",
        Hairpinning::InternalSource => "yes, with the internal source address",
        Hairpinning::OtherSource => "yes, with another source address",
    }
    .to_owned()
}

fn ports_word(it: PortAllocation) -> &'static str {
    match it {
        PortAllocation::Preserving => "preserving",
        PortAllocation::PreservingIfFree => "preserving-if-free",
        PortAllocation::Sequential { .. } => "sequential",
        PortAllocation::Random => "random",
    }
}

fn ports(it: PortAllocation) -> String {
    match it {
        PortAllocation::Preserving => "preserved".to_owned(),
        PortAllocation::PreservingIfFree => "preserved where they are free".to_owned(),
        PortAllocation::Sequential { delta } => format!("sequential, mostly {delta:+}: predictable"),
        PortAllocation::Random => "random: not predictable".to_owned(),
    }
}

fn parity(it: Parity) -> String {
    if it == Parity::Preserved { "preserved" } else { "not preserved" }.to_owned()
}

fn pooling(it: Pooling) -> String {
    if it == Pooling::Paired { "the same for all mappings" } else { "several, arbitrary" }.to_owned()
}

fn payload(it: Payload) -> String {
    if it == Payload::Untouched { "untouched" } else { "addresses in them are rewritten (ALG)" }.to_owned()
}

fn lifetime(it: Lifetime) -> String {
    match it {
        Lifetime::Between(low, high) => format!("{:.0} to {:.0} s", low.as_secs_f64(), high.as_secs_f64()),
        Lifetime::LongerThan(low) => format!("longer than {:.0} s", low.as_secs_f64()),
    }
}

fn refresh_word(it: Refresh) -> &'static str {
    match it {
        Refresh::Outbound => "outbound",
        Refresh::Inbound => "inbound",
        Refresh::InboundOnly => "inbound-only",
        Refresh::Neither => "neither",
    }
}

fn refresh(it: Refresh) -> String {
    match it {
        Refresh::Outbound => "outbound traffic only",
        Refresh::Inbound => "traffic in both directions",
        Refresh::InboundOnly => "inbound traffic only",
        Refresh::Neither => "nothing: it ends in its time",
    }
    .to_owned()
}
