//! Transactions over UDP (RFC 8489 §6.2.1): retransmission at RTO, 3 RTO, 7 RTO … after the first request,
//! `Rc` requests in total, and `Rm × RTO` of patience after the last one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::wire::TransactionId;
use crate::time::{Duration, Instant};

/// The least RTO in ICE, and the initial one elsewhere (RFC 8445 §14.3, RFC 8489 §6.2.1).
pub const RTO: Duration = Duration::from_millis(500);
/// Requests in total.
pub const RC: u8 = 7;
/// How many RTOs the last request is waited for.
pub const RM: u32 = 16;

/// One transaction that has not been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction<K> {
    /// Whose it is.
    pub owner: K,
    /// When the first request left.
    pub started: Instant,
    /// Requests so far, 1..=7.
    pub sent: u8,
    rto: Duration,
    next: Instant,
    cancelled: bool,
}

impl<K> Transaction<K> {
    /// The round-trip time if the answer comes `now`; `None` after a retransmission, since it is unknown which
    /// request was answered (Karn's rule, RFC 8489 §6.2.1).
    pub fn rtt(&self, now: Instant) -> Option<Duration> {
        (self.sent == 1).then(|| now.saturating_duration_since(self.started))
    }

    /// Whether it was cancelled before.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

/// What became due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due<K> {
    /// Send the request again, byte for byte.
    Retransmit(TransactionId, K),
    /// It failed: no answer to the last request.
    TimedOut(TransactionId, K),
}

/// The open transactions of one owner, by id. Work for each call is logarithmic at most.
#[derive(Debug)]
pub struct Transactions<K> {
    open: HashMap<TransactionId, Transaction<K>>,
    /// May hold entries that are overtaken: those whose instant is not the transaction's `next`.
    due: BinaryHeap<Reverse<(Instant, TransactionId)>>,
}

impl<K> Default for Transactions<K> {
    fn default() -> Self {
        Self { open: HashMap::new(), due: BinaryHeap::new() }
    }
}

impl<K: Copy> Transactions<K> {
    /// How many are open, cancelled ones included.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Starts one; its first request leaves now.
    pub fn start(&mut self, now: Instant, id: TransactionId, owner: K, rto: Duration) {
        let next = now + rto;
        self.open.insert(id, Transaction { owner, started: now, sent: 1, rto, next, cancelled: false });
        self.due.push(Reverse((next, id)));
    }

    /// The open transaction of this id.
    pub fn find(&self, id: TransactionId) -> Option<&Transaction<K>> {
        self.open.get(&id)
    }

    /// Ends it: the answer came, or nobody waits for it any more.
    pub fn end(&mut self, id: TransactionId) -> Option<Transaction<K>> {
        let ended = self.open.remove(&id);
        self.drop_overtaken();
        ended
    }

    /// No more retransmissions and no failure, but an answer still counts (RFC 8445 §7.3.1.4). It is forgotten
    /// when it would have timed out.
    pub fn cancel(&mut self, id: TransactionId) {
        if let Some(transaction) = self.open.get_mut(&id)
            && !transaction.cancelled
        {
            transaction.cancelled = true;
            transaction.next = transaction.started + lifetime(transaction.rto);
            self.due.push(Reverse((transaction.next, id)));
            self.drop_overtaken();
        }
    }

    /// The next thing that is due, until `None`.
    pub fn poll_due(&mut self, now: Instant) -> Option<Due<K>> {
        loop {
            self.drop_overtaken();
            let &Reverse((at, id)) = self.due.peek()?;
            if at > now {
                return None;
            }
            self.due.pop();
            let transaction = self.open.get_mut(&id)?;
            let owner = transaction.owner;
            if transaction.cancelled {
                self.open.remove(&id);
                continue;
            }
            if transaction.sent >= RC {
                self.open.remove(&id);
                return Some(Due::TimedOut(id, owner));
            }
            transaction.sent += 1;
            let wait = if transaction.sent == RC {
                transaction.rto * RM
            } else {
                transaction.rto * (1 << (transaction.sent - 1))
            };
            // From the planned instant, not from `now`: a late call does not stretch the schedule.
            transaction.next = at + wait;
            self.due.push(Reverse((transaction.next, id)));
            return Some(Due::Retransmit(id, owner));
        }
    }

    /// The owners of all that was not cancelled, in the order of their deadlines.
    pub fn into_owners(self) -> Vec<K> {
        let order = self.due.into_sorted_vec().into_iter().rev();
        let live = order.filter_map(|Reverse((at, id))| {
            let transaction = self.open.get(&id)?;
            (transaction.next == at && !transaction.cancelled).then_some(transaction.owner)
        });
        live.collect()
    }

    /// When [`Self::poll_due`] has something next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Keeps the top of the heap a live entry, so that `deadline` is exact.
    fn drop_overtaken(&mut self) {
        while let Some(Reverse((at, id))) = self.due.peek() {
            if self.open.get(id).is_some_and(|transaction| transaction.next == *at) {
                break;
            }
            self.due.pop();
        }
    }
}

/// From the first request until failure: 39.5 s with an RTO of 500 ms.
pub fn lifetime(rto: Duration) -> Duration {
    rto * ((1 << (RC - 1)) - 1 + RM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmits_at_the_instants_of_rfc_8489_6_2_1() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let id = TransactionId([7; 12]);
        transactions.start(start, id, (), RTO);
        let mut seen = Vec::new();
        while let Some(at) = transactions.deadline() {
            while let Some(due) = transactions.poll_due(at) {
                seen.push(((at - start).as_millis(), due == Due::TimedOut(id, ())));
            }
        }
        assert_eq!(
            seen,
            [
                (500, false),
                (1500, false),
                (3500, false),
                (7500, false),
                (15500, false),
                (31500, false),
                (39500, true)
            ]
        );
        assert_eq!(lifetime(RTO), Duration::from_millis(39_500));
    }

    #[test]
    fn a_cancelled_transaction_still_takes_its_answer_and_never_fails() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let (kept, forgotten) = (TransactionId([1; 12]), TransactionId([2; 12]));
        transactions.start(start, kept, 1, RTO);
        transactions.start(start, forgotten, 2, RTO);
        transactions.cancel(kept);
        transactions.cancel(forgotten);
        assert_eq!(transactions.poll_due(start + RTO * 10), None);
        assert!(transactions.end(kept).is_some_and(|ended| ended.is_cancelled()));
        assert_eq!(transactions.poll_due(start + lifetime(RTO)), None);
        assert!(transactions.is_empty());
        assert_eq!(transactions.deadline(), None);
    }
}
