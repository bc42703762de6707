//! Transactions (RFC 8489 §6.2). Over UDP: retransmission at RTO, 3 RTO, 7 RTO … after the first request, `Rc`
//! requests in total, and `Rm × RTO` of patience after the last one. Over TCP and TLS: one request, and `Ti`.
//!
//! The caller gives the RTO. In ICE it follows from the number of checks (RFC 8445 §14.3) and is never below
//! 500 ms, so an estimate from measured round trips (RFC 8489 §6.2.1, a SHOULD) would hardly ever differ.

use super::wire::TransactionId;
use crate::hash::Map;
use crate::sorted::Sorted;
use crate::time::{Duration, Instant};

/// The least RTO in ICE, and the initial one elsewhere (RFC 8445 §14.3, RFC 8489 §6.2.1).
pub const RTO: Duration = Duration::from_millis(500);
/// Requests in total (RFC 8489 §6.2.1).
pub const RC: u8 = 7;
/// How many RTOs the last request is waited for (RFC 8489 §6.2.1).
pub const RM: u32 = 16;
/// How long an answer over TCP or TLS is waited for (RFC 8489 §6.2.2).
pub const TI: Duration = Duration::from_millis(39_500);

/// One transaction that has not been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction<K> {
    /// Whose it is.
    pub owner: K,
    /// When the first request left.
    pub started: Instant,
    /// Requests so far, 1..=7.
    pub sent: u8,
    repeat: Repeat,
    /// When something is due: its entry in [`Transactions::due`].
    next: Instant,
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// UDP, with this RTO, and this time from the first request until failure.
    After(Duration, Duration),
    /// A reliable transport, with this Ti.
    Never(Duration),
}

impl Repeat {
    /// From the first request until failure.
    fn patience(self) -> Duration {
        match self {
            Self::After(_, patience) | Self::Never(patience) => patience,
        }
    }
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

/// The open transactions of one owner. Work for each call is a search and at most one move of what lies behind in a list of
/// 32 bytes an open one, whose number the owner limits; what is due at the same instant comes in the order of ids.
#[derive(Debug)]
pub struct Transactions<K> {
    open: Map<TransactionId, Transaction<K>>,
    /// One entry for each open transaction.
    due: Sorted<(Instant, TransactionId)>,
}

impl<K> Default for Transactions<K> {
    fn default() -> Self {
        Self { open: Map::default(), due: Sorted::default() }
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

    /// Starts one over UDP; its first request leaves now. It takes the place of one with the same id.
    pub fn start(&mut self, now: Instant, id: TransactionId, owner: K, rto: Duration) {
        self.insert(now, id, owner, Repeat::After(rto, lifetime(rto)), rto);
    }

    /// The same, but it fails after `patience` at the latest: with a longer RTO there are fewer requests than [`RC`]. The
    /// number of requests and the last wait are configurable (RFC 8489 §6.2.1).
    pub fn start_within(
        &mut self,
        now: Instant,
        id: TransactionId,
        owner: K,
        rto: Duration,
        patience: Duration,
    ) {
        let patience = lifetime(rto).min(patience);
        self.insert(now, id, owner, Repeat::After(rto, patience), rto.min(patience));
    }

    /// Starts one over a reliable transport: it is never sent again, and fails after `ti`, such as [`TI`]
    /// (RFC 8489 §6.2.2).
    pub fn start_reliable(&mut self, now: Instant, id: TransactionId, owner: K, ti: Duration) {
        self.insert(now, id, owner, Repeat::Never(ti), ti);
    }

    fn insert(&mut self, now: Instant, id: TransactionId, owner: K, repeat: Repeat, wait: Duration) {
        self.end(id);
        let next = now + wait;
        self.open.insert(id, Transaction { owner, started: now, sent: 1, repeat, next, cancelled: false });
        self.due.insert((next, id));
    }

    /// Gives back what is allocated, but room for so many.
    pub fn shrink_to(&mut self, room: usize) {
        self.open.shrink_to(room);
        self.due.shrink_to(room);
    }

    /// The open transaction of this id.
    pub fn find(&self, id: TransactionId) -> Option<&Transaction<K>> {
        self.open.get(&id)
    }

    /// Ends it: the answer came, or nobody waits for it any more.
    pub fn end(&mut self, id: TransactionId) -> Option<Transaction<K>> {
        let ended = self.open.remove(&id)?;
        self.due.remove(&(ended.next, id));
        Some(ended)
    }

    /// Ends those whose owner is gone.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let due = &mut self.due;
        self.open.retain(|id, transaction| {
            let kept = keep(&transaction.owner);
            if !kept {
                due.remove(&(transaction.next, *id));
            }
            kept
        });
    }

    /// No more retransmissions and no failure, but an answer still counts (RFC 8445 §7.3.1.4). It is forgotten
    /// when it would have timed out.
    pub fn cancel(&mut self, id: TransactionId) {
        if let Some(transaction) = self.open.get_mut(&id)
            && !transaction.cancelled
        {
            self.due.remove(&(transaction.next, id));
            transaction.cancelled = true;
            transaction.next = transaction.started + transaction.repeat.patience();
            self.due.insert((transaction.next, id));
        }
    }

    /// Forgets the cancelled one that would be forgotten next, if there is one: for an owner that has too many.
    pub fn forget_cancelled(&mut self) {
        let cancelled = |id: &TransactionId| self.open.get(id).is_some_and(|open| open.cancelled);
        if let Some(id) = self.due.iter().map(|(_, id)| *id).find(cancelled) {
            self.end(id);
        }
    }

    /// The next thing that is due, until `None`.
    pub fn poll_due(&mut self, now: Instant) -> Option<Due<K>> {
        loop {
            let &(at, id) = self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.remove(&(at, id));
            let transaction = self.open.get_mut(&id)?;
            let owner = transaction.owner;
            match transaction.repeat {
                Repeat::After(rto, patience)
                    if transaction.sent < RC
                        && at < transaction.started + patience
                        && !transaction.cancelled =>
                {
                    transaction.sent += 1;
                    let times = if transaction.sent == RC { RM } else { 1 << (transaction.sent - 1) };
                    let wait = rto * times;
                    // From the planned instant, not from `now`: a late call does not stretch the schedule. But
                    // one that missed the next instant too, as after a suspend, must not send a burst.
                    let end = transaction.started + patience;
                    transaction.next = if at + wait > now { (at + wait).min(end) } else { now + wait };
                    self.due.insert((transaction.next, id));
                    return Some(Due::Retransmit(id, owner));
                }
                _ => {
                    let cancelled = transaction.cancelled;
                    self.open.remove(&id);
                    if !cancelled {
                        return Some(Due::TimedOut(id, owner));
                    }
                }
            }
        }
    }

    /// The owners of all that was not cancelled, in the order of their deadlines.
    pub fn owners(&self) -> impl Iterator<Item = K> + '_ {
        self.due.iter().filter_map(|(_, id)| {
            let transaction = self.open.get(id)?;
            (!transaction.cancelled).then_some(transaction.owner)
        })
    }

    /// When [`Self::poll_due`] has something next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
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

    /// With a longer RTO there are fewer requests; with a shorter one it ends before.
    #[test]
    fn patience_ends_a_transaction_whatever_its_rto() {
        let start = crate::time::test_epoch();
        for (rto, ends) in [(100, 7_900), (500, 39_500), (2_000, 39_500), (60_000, 39_500)] {
            let mut transactions = Transactions::default();
            let id = TransactionId([7; 12]);
            transactions.start_within(start, id, (), Duration::from_millis(rto), lifetime(RTO));
            let mut last = None;
            while let Some(at) = transactions.deadline() {
                while let Some(due) = transactions.poll_due(at) {
                    last = Some(((at - start).as_millis(), due == Due::TimedOut(id, ())));
                }
            }
            assert_eq!(last, Some((ends, true)), "RTO {rto} ms");
        }
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

    /// RFC 8489 §6.2.2.
    #[test]
    fn over_a_reliable_transport_nothing_is_sent_again() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let id = TransactionId([7; 12]);
        transactions.start_reliable(start, id, (), TI);
        assert_eq!(transactions.deadline(), Some(start + TI));
        assert_eq!(transactions.poll_due(start + TI / 2), None);
        assert_eq!(transactions.poll_due(start + TI), Some(Due::TimedOut(id, ())));
        assert!(transactions.is_empty());
    }

    #[test]
    fn a_call_after_a_long_sleep_sends_one_request_and_then_waits() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let id = TransactionId([7; 12]);
        transactions.start(start, id, (), RTO);
        let woken = start + Duration::from_secs(3600);
        assert_eq!(transactions.poll_due(woken), Some(Due::Retransmit(id, ())));
        assert_eq!(transactions.poll_due(woken), None);
        assert_eq!(transactions.deadline(), Some(woken + RTO * 2));
    }

    /// RFC 8489 §6.2.1, Karn's rule.
    #[test]
    fn a_retransmitted_transaction_measures_no_round_trip() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let id = TransactionId([7; 12]);
        transactions.start(start, id, (), RTO);
        let rtt = |transactions: &Transactions<()>, at| transactions.find(id).and_then(|open| open.rtt(at));
        assert_eq!(rtt(&transactions, start + RTO / 5), Some(RTO / 5));
        assert!(transactions.poll_due(start + RTO).is_some());
        assert_eq!(rtt(&transactions, start + RTO), None);
    }

    #[test]
    fn owners_come_in_the_order_of_their_deadlines_without_the_cancelled_and_the_gone() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        for (number, rto) in [(1, RTO * 3), (2, RTO), (3, RTO * 2), (4, RTO)] {
            transactions.start(start, TransactionId([number; 12]), number, rto);
        }
        transactions.cancel(TransactionId([3; 12]));
        transactions.retain(|owner| *owner != 4);
        assert_eq!(transactions.owners().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn ended_transactions_leave_nothing_behind() {
        let start = crate::time::test_epoch();
        let mut transactions = Transactions::default();
        let id = |number: u16| {
            let mut id = [0; 12];
            id[..2].copy_from_slice(&number.to_be_bytes());
            TransactionId(id)
        };
        transactions.start(start, id(0), 0, RTO);
        transactions.cancel(id(0));
        for number in 1..=1000 {
            transactions.start(start, id(number), number, RTO * 4);
            transactions.start(start, id(number), number, RTO);
            transactions.cancel(id(number));
            assert!(transactions.end(id(number)).is_some());
            assert_eq!(transactions.due.iter().count(), 1);
        }
        assert_eq!(transactions.deadline(), Some(start + lifetime(RTO)));
    }
}
