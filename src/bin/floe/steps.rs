//! The steps of a test, as text and as JSON.

use floe::io::Transport;
use floe::net::probe::{Failure, Report, Rtt, Step, Via, Whose};
use floe::net::resolve::Lookup;
use serde_json::{Map, Value, json};

use crate::lines::millis;

/// One line a fact: milliseconds since the beginning, what it is about, what there is to say.
pub(crate) fn text(report: &Report) -> Vec<String> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    match &report.step {
        Step::Resolved(resolution) => {
            rows.extend(resolution.lookups.iter().map(|lookup| ("dns", looked_up(lookup))));
            let addrs: Vec<_> = resolution.addrs.iter().map(ToString::to_string).collect();
            rows.push(("address", addrs.join("  ")));
        }
        Step::Connected { local, server, transport } => {
            rows.push((of_transport(*transport), format!("{local} → {server}")));
        }
        Step::Secured { server_name, version } => {
            rows.push(("tls", format!("{version}, the certificate of {server_name}")));
        }
        Step::Unusable { server, why } => rows.push(("skipped", format!("{server}: {why}"))),
        Step::Mapped { mapped, origin, other, software, took } => {
            rows.push(("mapped", format!("{mapped} in {} ms", millis(*took))));
            rows.extend(origin.map(|origin| ("origin", origin.to_string())));
            rows.extend(other.map(|other| ("other", other.to_string())));
            rows.extend(software.as_ref().map(|software| ("software", printable(software))));
        }
        Step::Challenged { whose, realm, took } => {
            let realm = realm.as_ref().map_or_else(|| "no realm".to_owned(), |realm| printable(realm));
            rows.push(("challenge", format!("realm {realm} in {} ms{}", millis(*took), of_whom(*whose))));
        }
        Step::Allocated { whose, relayed, mapped, lifetime, algorithm, software, took } => {
            let whom = of_whom(*whose);
            rows.push(("relayed", format!("{relayed} in {} ms{whom}", millis(*took))));
            if *whose == Whose::Own {
                rows.push(("mapped", mapped.to_string()));
                rows.push(("lifetime", format!("{} s", lifetime.as_secs())));
                rows.extend(algorithm.map(|algorithm| ("password", format!("hashed with {algorithm}"))));
                rows.extend(software.as_ref().map(|software| ("software", printable(software))));
            }
        }
        Step::Permitted { peer } => rows.push(("permission", format!("for {}", peer.ip()))),
        Step::Bound { peer, number } => rows.push(("channel", format!("{number:#06x} to {peer}"))),
        Step::Echoed { via, sent, received, rtt } => {
            let lost = sent.saturating_sub(*received);
            let times = rtt.map(|rtt| {
                let Rtt { min, mean, max, .. } = rtt;
                format!(", round trip {}/{}/{} ms", millis(min), millis(mean), millis(max))
            });
            let via = of_via(*via);
            let times = times.unwrap_or_default();
            rows.push(("data", format!("{received} of {sent} came back in {via}, {lost} lost{times}")));
        }
        Step::Refreshed { lifetime, took } => {
            let lifetime = lifetime.map_or(0, |lifetime| lifetime.as_secs());
            rows.push(("refresh", format!("{lifetime} s more, in {} ms", millis(*took))));
        }
        Step::Deleted => rows.push(("deleted", "the server took the allocations back".to_owned())),
        _ => {}
    }
    let ms = millis(report.at);
    rows.into_iter().map(|(what, text)| format!("{ms:10.3}  {what:10}  {text}")).collect()
}

/// One object: `type`, `ms` since the beginning, `took_ms` since the step before, and what the step has.
pub(crate) fn json(report: &Report) -> Value {
    let (kind, body) = match &report.step {
        Step::Resolved(resolution) => {
            let lookups: Vec<_> = resolution.lookups.iter().map(lookup_json).collect();
            ("resolved", json!({ "addresses": resolution.addrs, "lookups": lookups }))
        }
        Step::Connected { local, server, transport } => {
            let transport = of_transport(*transport);
            ("connected", json!({ "local": local, "server": server, "transport": transport }))
        }
        Step::Secured { server_name, version } => {
            ("secured", json!({ "server_name": server_name, "version": version }))
        }
        Step::Unusable { server, why } => ("unusable", json!({ "server": server, "message": why })),
        Step::Mapped { mapped, origin, other, software, took } => (
            "mapped",
            json!({
                "mapped": mapped, "origin": origin, "other": other, "software": software,
                "rtt_ms": millis(*took),
            }),
        ),
        Step::Challenged { whose, realm, took } => {
            ("challenged", json!({ "whose": name(*whose), "realm": realm, "rtt_ms": millis(*took) }))
        }
        Step::Allocated { whose, relayed, mapped, lifetime, algorithm, software, took } => (
            "allocated",
            json!({
                "whose": name(*whose), "relayed": relayed, "mapped": mapped, "lifetime_s": lifetime.as_secs(),
                "algorithm": algorithm, "software": software, "rtt_ms": millis(*took),
            }),
        ),
        Step::Permitted { peer } => ("permitted", json!({ "peer": peer.ip() })),
        Step::Bound { peer, number } => ("bound", json!({ "peer": peer, "number": number })),
        Step::Echoed { via, sent, received, rtt } => {
            let rtt = rtt.map(
                |rtt| json!({ "min": millis(rtt.min), "mean": millis(rtt.mean), "max": millis(rtt.max) }),
            );
            ("echoed", json!({ "via": of_via(*via), "sent": sent, "received": received, "rtt_ms": rtt }))
        }
        Step::Refreshed { lifetime, took } => {
            let lifetime = lifetime.map(|lifetime| lifetime.as_secs());
            ("refreshed", json!({ "lifetime_s": lifetime, "rtt_ms": millis(*took) }))
        }
        Step::Deleted => ("deleted", json!({})),
        _ => ("other", json!({})),
    };
    let mut object = Map::new();
    object.insert("type".to_owned(), kind.into());
    object.insert("ms".to_owned(), millis(report.at).into());
    object.insert("took_ms".to_owned(), millis(report.took).into());
    if let Value::Object(body) = body {
        object.extend(body);
    }
    object.into()
}

/// How a test failed, as JSON.
pub(crate) fn failure(failure: &Failure) -> Value {
    json!({
        "type": "error", "where": failure.place(), "code": failure.code(), "message": failure.to_string(),
    })
}

fn lookup_json(lookup: &Lookup) -> Value {
    let (records, error) = match &lookup.answer {
        Ok(records) => (records.as_slice(), None),
        Err(error) => (&[][..], Some(error)),
    };
    json!({ "name": lookup.name, "record": lookup.record.to_string(), "records": records, "error": error })
}

fn looked_up(lookup: &Lookup) -> String {
    let answer = match &lookup.answer {
        Ok(records) => records.join(", "),
        Err(error) => error.clone(),
    };
    format!("{} {}: {answer}", lookup.record, lookup.name)
}

/// What a server says goes to a terminal without its control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

fn of_transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

fn of_via(via: Via) -> &'static str {
    match via {
        Via::Indications => "indications",
        Via::Channel => "channel",
    }
}

fn of_whom(whose: Whose) -> &'static str {
    match whose {
        Whose::Own => "",
        Whose::Peer => " (the peer's)",
    }
}

fn name(whose: Whose) -> &'static str {
    match whose {
        Whose::Own => "own",
        Whose::Peer => "peer",
    }
}
