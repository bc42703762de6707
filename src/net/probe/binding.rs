//! One Binding request and its answer (RFC 8489 §2, §6).

use std::borrow::Cow;
use std::time::Duration;

use crate::net::clock;
use crate::net::seed::seed;
use crate::rng::Rng;
use crate::stun::transaction::{RTO, TI, Transactions};
use crate::stun::wire::{Class, Method, Plain, attr};
use crate::stun::{Message, TransactionId, Writer};
use crate::turn::Problem;

use super::failure::Failure;
use super::link::Link;
use super::step::{Step, Teller, Telling};

/// Attributes of an answer that have to be understood, and are.
const KNOWN: [u16; 4] =
    [attr::MAPPED_ADDRESS, attr::XOR_MAPPED_ADDRESS, attr::ERROR_CODE, attr::UNKNOWN_ATTRIBUTES];

/// What the request is called in failures.
const STEP: &str = "the Binding request";

pub(super) async fn ask<T: Telling>(
    mut link: Link,
    teller: &mut Teller<T>,
    patience: Duration,
) -> Result<(), Failure> {
    let asked = tokio::time::timeout(patience, exchange(&mut link)).await;
    let silent = Failure::Silent { server: link.server(), step: STEP };
    teller.tell(asked.unwrap_or(Err(silent))?);
    Ok(())
}

/// Sends it, again where it may get lost, until there is an answer.
pub(super) async fn exchange(link: &mut Link) -> Result<Step, Failure> {
    let start = clock::now();
    let id = TransactionId(Rng::new(seed()).transaction_id());
    let mut room = [0; 64];
    let mut writer = Writer::new(&mut room, Class::Request, Method::BINDING, id);
    writer.fingerprint();
    let Ok(request) = writer.finish() else { unreachable!("28 bytes fit into 64") };
    let mut transactions = Transactions::default();
    if link.is_reliable() {
        transactions.start_reliable(start, id, (), TI);
    } else {
        transactions.start(start, id, (), RTO);
    }
    link.send(request)?;
    loop {
        let Some(deadline) = transactions.deadline() else {
            return Err(Failure::Silent { server: link.server(), step: STEP });
        };
        tokio::select! {
            message = link.receive() => {
                let message = message?;
                let Ok(message) = Message::parse(&message) else { continue };
                if message.transaction_id() == id && message.method() == Method::BINDING {
                    let took = clock::now().saturating_duration_since(start);
                    return read(&message.plain(), took);
                }
            }
            () = tokio::time::sleep_until(deadline.into()) => {
                while let Some(due) = transactions.poll_due(clock::now()) {
                    if matches!(due, crate::stun::transaction::Due::Retransmit(..)) {
                        link.send(request)?;
                    }
                }
            }
        }
    }
}

fn read(answer: &Plain<'_>, took: Duration) -> Result<Step, Failure> {
    let attributes = answer.attributes();
    let wrong = |problem| Failure::Answer { step: STEP, problem };
    if attributes.unknown_required(&KNOWN).next().is_some() {
        return Err(wrong(Problem::Unsupported("an attribute")));
    }
    if answer.message().class() == Class::Error {
        let error = attributes.error_code();
        return Err(wrong(error.map_or(Problem::Incomplete("an ERROR-CODE"), Problem::from)));
    }
    let mapped = attributes.xor_address(attr::XOR_MAPPED_ADDRESS);
    let mapped = mapped.or_else(|| attributes.address(attr::MAPPED_ADDRESS));
    Ok(Step::Mapped {
        mapped: mapped.ok_or_else(|| wrong(Problem::Incomplete("a mapped address")))?,
        origin: attributes.address(attr::RESPONSE_ORIGIN),
        other: attributes.address(attr::OTHER_ADDRESS),
        software: attributes.software().map(Cow::into_owned),
        took,
    })
}
