//! The NATs, as `nat.py` makes them, and what is true of them.

use serde_json::{Value, json};

pub(super) const EIM: &str = "endpoint-independent";
pub(super) const AD: &str = "address-dependent";
pub(super) const APD: &str = "address-and-port-dependent";

/// A NAT, or several from the host outward, and what is true of them.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) nats: Vec<Value>,
    pub(super) is_v6: bool,
    pub(super) truth: Vec<(&'static str, &'static str)>,
    pub(super) lifetime: Option<f64>,
}

impl Kind {
    /// What `nat.py` makes of this, and what `floe nat` has to tell where it tells anything.
    pub(super) fn new(
        name: &'static str,
        nat: Value,
        mapping: &'static str,
        filtering: &'static str,
        ports: &'static str,
    ) -> Self {
        let truth = vec![
            ("translation", "translated"),
            ("mapping", mapping),
            ("filtering", filtering),
            ("ports", ports),
            ("pooling", "paired"),
            ("payload", "untouched"),
            ("hairpinning", "none"),
        ];
        Self { name, nats: vec![nat], is_v6: false, truth, lifetime: None }
    }

    fn but(mut self, fact: &'static str, truth: &'static str) -> Self {
        self.truth.retain(|(known, _)| *known != fact);
        self.truth.push((fact, truth));
        self
    }

    fn v6(self) -> Self {
        Self { is_v6: true, ..self }
    }

    pub(super) fn truth(&self, fact: &str) -> Option<&'static str> {
        self.truth.iter().find(|(known, _)| *known == fact).map(|(_, truth)| *truth)
    }

    pub(super) fn family(&self) -> usize {
        usize::from(self.is_v6)
    }

    /// The address of the host, which is that of the public network if nothing is translated.
    pub(super) fn host(&self, number: usize) -> String {
        if self.is_v6 { format!("2001:db8:{number:x}::2") } else { format!("10.0.{number}.2") }
    }
}

/// The table.
pub(super) fn kinds() -> Vec<Kind> {
    [cones(), by_destination(), odd(), short_and_v6()].into_iter().flatten().collect()
}

const PORT: &str = "address-and-port";

fn cone(filtering: &str, ports: &str) -> Value {
    json!({ "filtering": filtering, "ports": ports })
}

fn by(mapping: &str, filtering: &str, ports: &str) -> Value {
    json!({ "mapping": mapping, "filtering": filtering, "ports": ports })
}

fn with(mut nat: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    nat.as_object_mut().unwrap().extend(more);
    nat
}

fn symmetric() -> Value {
    by("endpoint-and-port", PORT, "random")
}

/// What maps independently of the destination.
fn cones() -> Vec<Kind> {
    vec![
        Kind::new("open", by("none", "any", "preserve"), EIM, EIM, "preserving")
            .but("translation", "none")
            .but("pooling", "unknown")
            .but("hairpinning", "unknown"),
        Kind::new("firewall", by("none", PORT, "preserve"), EIM, APD, "preserving")
            .but("translation", "none")
            .but("pooling", "unknown")
            .but("hairpinning", "unknown"),
        Kind::new("full cone", cone("any", "preserve"), EIM, EIM, "preserving"),
        Kind::new("full cone, random", cone("any", "random"), EIM, EIM, "random"),
        Kind::new("restricted cone", cone("address", "preserve"), EIM, AD, "preserving"),
        Kind::new("restricted cone, sequential", cone("address", "sequential"), EIM, AD, "sequential"),
        Kind::new("port-restricted", cone(PORT, "preserve"), EIM, APD, "preserving"),
        Kind::new("port-restricted, random", cone(PORT, "random"), EIM, APD, "random"),
        Kind::new("overloading", by("endpoint-and-port", PORT, "overload"), EIM, APD, "preserving"),
    ]
}

/// What maps by destination.
fn by_destination() -> Vec<Kind> {
    vec![
        Kind::new("by address", by("address", "address", "random"), AD, AD, "random"),
        Kind::new("by address, open", by("address", "any", "sequential"), AD, EIM, "sequential"),
        Kind::new("by address, closed", by("address", PORT, "preserve"), AD, APD, "preserving"),
        Kind::new("symmetric", symmetric(), APD, APD, "random"),
        Kind::new(
            "symmetric, sequential",
            by("endpoint-and-port", PORT, "sequential"),
            APD,
            APD,
            "sequential",
        ),
        Kind::new(
            "symmetric, in steps of 2",
            with(by("endpoint-and-port", PORT, "sequential"), json!({ "step": 2 })),
            APD,
            APD,
            "sequential",
        ),
        Kind::new("symmetric, to addresses", by("endpoint-and-port", "address", "random"), APD, AD, "random"),
        Kind::new("symmetric, open", by("endpoint-and-port", "any", "random"), APD, EIM, "random"),
        Kind::new(
            "symmetric, first port kept",
            by("endpoint-and-port", PORT, "preserve"),
            APD,
            APD,
            "preserving",
        ),
        Kind::new("by port", by("port", PORT, "random"), "port-dependent", APD, "random"),
    ]
}

/// Ports, pools, hairpins, payloads, loss.
fn odd() -> Vec<Kind> {
    vec![
        Kind::new("parity", with(cone(PORT, "random"), json!({ "parity": true })), EIM, APD, "random")
            .but("parity", "preserved"),
        Kind::new(
            "small block",
            with(cone(PORT, "random"), json!({ "range": [2048, 2303] })),
            EIM,
            APD,
            "random",
        ),
        Kind::new(
            "arbitrary pooling",
            with(cone("any", "random"), json!({ "pooling": "arbitrary", "addresses": 4 })),
            EIM,
            EIM,
            "random",
        )
        .but("pooling", "arbitrary"),
        Kind::new(
            "hairpinning",
            with(cone(PORT, "preserve"), json!({ "hairpin": "external" })),
            EIM,
            APD,
            "preserving",
        )
        .but("hairpinning", "external-source"),
        // Linux drops what comes from its own address: this host cannot see it.
        Kind::new(
            "hairpinning from inside",
            with(cone("any", "preserve"), json!({ "hairpin": "internal" })),
            EIM,
            EIM,
            "preserving",
        ),
        Kind::new("ALG", with(cone(PORT, "preserve"), json!({ "alg": true })), EIM, APD, "preserving")
            .but("payload", "rewritten"),
        Kind::new("loss", with(cone("address", "random"), json!({ "loss": 0.1 })), EIM, AD, "random"),
    ]
}

/// Short lifetimes, IPv6, and two NATs in a row.
fn short_and_v6() -> Vec<Kind> {
    let mut all = vec![
        Kind {
            lifetime: Some(12.0),
            ..Kind::new(
                "12 s",
                with(cone(PORT, "preserve"), json!({ "lifetime": 12 })),
                EIM,
                APD,
                "preserving",
            )
            .but("refresh", "outbound")
        },
        Kind {
            lifetime: Some(12.0),
            ..Kind::new(
                "12 s, refreshed by both",
                with(symmetric(), json!({ "lifetime": 12, "refresh": ["in", "out"] })),
                APD,
                APD,
                "random",
            )
            .but("refresh", "inbound")
        },
        Kind::new(
            "NPTv6",
            json!({ "filtering": "any", "prefix": "2001:db8:a000::/48" }),
            EIM,
            EIM,
            "preserving",
        )
        .v6(),
        Kind::new("IPv6 firewall", by("none", PORT, "preserve"), EIM, APD, "preserving")
            .but("translation", "none")
            .but("pooling", "unknown")
            .but("hairpinning", "unknown")
            .v6(),
    ];
    // Two NATs in a row: the one at home, and that of the provider.
    let mut two = Kind::new("two NATs", cone(PORT, "preserve"), APD, APD, "random");
    two.nats.push(with(symmetric(), json!({ "filtering": "any" })));
    all.push(two);
    all
}
