//! Whether the pair in use still carries anything: a pure machine, which is told what arrives and says what to ask.
//!
//! Consent (RFC 7675) stays the hard stop after 30 s. This is the soft one: it suspects a pair within a quarter of a
//! second, and asks before it believes.
//!
//! ```text
//!          regular traffic falls silent (100 to 250 ms)           3 rounds unanswered
//! trusted ─ a consent request stays unanswered ────────► suspected ───────────────────► dead: the pair that answers
//!    ▲      the peer asks on another pair, twice            │ (5 for consent requests)        takes over
//!    └──── traffic, or an answer on the pair in use ────────┘
//! ```
//!
//! A round is a check on the pair in use and, from the second one on, one on another pair. Consent requests may not come
//! more often than every 4 s (RFC 7675 §5.1); these are checks (RFC 8445 §7.2), each a new transaction that is never
//! retransmitted, and paced as all transactions are (§14).
//!
//! A peer that hears nothing while we hear it has no other way to say so than its checks on another pair: those count as
//! a suspicion too, which our traffic cannot end, only an answer on the pair in use.

#[cfg(test)]
mod tests;

use crate::checks::PairId;
use crate::stun::TransactionId;
use crate::time::{Duration, Instant, earliest};

/// Traffic is regular while its packets are at most so far apart, on average and each.
const REGULAR_GAP: Duration = Duration::from_millis(200);
/// So many packets in a row make it regular.
const REGULAR: u8 = 8;
/// Regular traffic that pauses for less is not silent.
const MIN_SILENCE: Duration = Duration::from_millis(100);
/// And for longer always is.
const MAX_SILENCE: Duration = Duration::from_millis(250);
/// A consent request is unanswered after three round trips within these bounds.
const MIN_ANSWER: Duration = Duration::from_millis(200);
const MAX_ANSWER: Duration = Duration::from_secs(1);
/// From one round to the next: one round trip and a quarter, within these bounds.
const MIN_ROUND: Duration = Duration::from_millis(50);
const MAX_ROUND: Duration = Duration::from_millis(250);
/// After so many rounds they become rare.
const FREQUENT: u8 = 8;
/// As rare as that.
const RARE: Duration = Duration::from_secs(3);
/// The peer asks on other pairs for a reason if it does so twice within this time.
const ASKED_TWICE: Duration = Duration::from_millis(300);
/// And has stopped when it did not for so long.
const ASKED_LAST: Duration = Duration::from_millis(600);
/// A pair that has not answered again for so long is none to change to, if another one answers.
const ALIVE: Duration = Duration::from_millis(500);
/// A peer whose questions had no reason is not listened to for so long: some ask on all pairs all the time.
const DEAF: Duration = Duration::from_secs(5);
/// Probes that are remembered.
const MAX_OPEN: usize = 8;
/// The round trip of a pair that was not measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);

/// There is one liveness for each component.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// Whether there is another pair to ask, and the right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// There is.
    Probe,
    /// Only consent requests go out.
    Wait,
}

/// What to tell, or to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The pair in use does not answer.
    Suspected,
    /// It did not, and now it does.
    Recovered,
}

/// What a probe goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The pair in use.
    InUse,
    /// The next one of the others, in turn.
    Other(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Silence,
    Unanswered,
    Told,
}

impl Cause {
    /// Rounds without an answer until the pair counts as dead. Silence is evidence of its own, as are the peer's repeated
    /// questions; one lost consent request is none.
    fn rounds(self) -> u8 {
        match self {
            Self::Silence | Self::Told => 3,
            Self::Unanswered => 5,
        }
    }
}

/// A check of a suspicion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) id: TransactionId,
    pub(super) pair: PairId,
    pub(super) target: Target,
    sent: Instant,
}

#[derive(Debug)]
struct Suspicion {
    cause: Cause,
    /// Rounds that have begun.
    rounds: u8,
    next: Instant,
    /// What this round still has to send.
    in_use: bool,
    other: bool,
    turn: u8,
    open: [Option<Probe>; MAX_OPEN],
    at: usize,
    since: Instant,
    /// The other pair that takes over: the first one that answers, for as long as it does.
    alive: Option<(PairId, Instant)>,
}

/// The liveness of the pair that one component uses.
#[derive(Debug)]
pub(super) struct Liveness {
    /// When the last sign of life arrived.
    last: Instant,
    /// From one packet to the next, smoothed, in microseconds.
    gap: u32,
    /// Microseconds.
    rtt: u32,
    /// Packets in a row that came in time.
    regular: u8,
    /// The last consent request, while its answer may still come.
    asked: Option<Instant>,
    /// Consent requests without an answer or any other sign of life.
    unanswered: u8,
    /// When the peer asked last on another pair; a time to come: until then it is not listened to.
    told: Option<Instant>,
    suspicion: Option<Box<Suspicion>>,
    announced: bool,
}

impl Liveness {
    /// Of a pair that is taken into use, and whose round-trip time may be known.
    pub(super) fn new(now: Instant, rtt: Option<Duration>) -> Self {
        Self {
            last: now,
            gap: micros(REGULAR_GAP),
            rtt: micros(rtt.unwrap_or(UNKNOWN_RTT)),
            regular: 0,
            asked: None,
            unanswered: 0,
            told: None,
            suspicion: None,
            announced: false,
        }
    }

    /// Data of the peer arrived on the pair in use. Returns whether something is due earlier than before, or over: on the
    /// common path nothing is.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        let gap = now.saturating_duration_since(self.last);
        (self.last, self.unanswered) = (now, 0);
        if gap > REGULAR_GAP {
            (self.gap, self.regular) = (micros(REGULAR_GAP), 0);
        } else {
            self.gap = (self.gap * 7 + micros(gap)) / 8;
            self.regular = self.regular.saturating_add(1);
        }
        self.regular == REGULAR || self.suspicion.is_some() || self.announced
    }

    /// A check of the peer arrived on the pair in use, or it answered one: it lives, whatever data does.
    pub(super) fn alive(&mut self, now: Instant) {
        (self.last, self.unanswered) = (now, 0);
    }

    /// A consent request left.
    pub(super) fn asked(&mut self, now: Instant) {
        let answered = self.asked.is_some_and(|asked| self.last >= asked);
        self.unanswered = if answered { 1 } else { self.unanswered.saturating_add(1) };
        self.asked = Some(now);
    }

    /// The pair in use has answered: whatever was suspected is over.
    pub(super) fn answered(&mut self, now: Instant, rtt: Option<Duration>) -> Option<News> {
        self.last = now;
        self.rtt = rtt.map_or(self.rtt, |rtt| micros((self.rtt() * 3 + rtt) / 4));
        self.asked = None;
        self.unanswered = 0;
        self.end()
    }

    /// The peer asked on another pair.
    pub(super) fn told(&mut self, now: Instant) {
        if self.told.is_some_and(|until| now < until) {
            return;
        }
        let before = self.told.replace(now);
        let again = before.is_some_and(|before| now.saturating_duration_since(before) < ASKED_TWICE);
        if again && self.suspicion.is_none() {
            self.suspect(now, Cause::Told);
        }
    }

    /// Ends a suspicion that traffic has refuted; to be called when [`Self::heard`] said so.
    pub(super) fn refute(&mut self) -> Option<News> {
        let told = self.suspicion.as_ref().is_some_and(|suspicion| suspicion.cause == Cause::Told);
        if told { None } else { self.end() }
    }

    fn end(&mut self) -> Option<News> {
        if let Some(suspicion) = self.suspicion.take() {
            // Only traffic that has become regular again can fall silent again.
            self.regular = 0;
            self.told = (suspicion.cause == Cause::Told).then(|| self.last + DEAF);
        }
        std::mem::take(&mut self.announced).then_some(News::Recovered)
    }

    /// The pair has been silent, and now there is another one to ask.
    pub(super) fn doubt(&mut self, now: Instant) {
        if self.suspicion.is_none() {
            self.suspect(now, Cause::Silence);
        }
    }

    fn suspect(&mut self, now: Instant, cause: Cause) {
        (self.asked, self.unanswered) = (None, 0);
        self.suspicion = Some(Box::new(Suspicion {
            cause,
            rounds: 0,
            next: now,
            in_use: false,
            other: false,
            turn: 0,
            open: [None; MAX_OPEN],
            at: 0,
            since: now,
            alive: None,
        }));
    }

    fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt.into())
    }

    pub(super) fn silence(&self) -> Option<Instant> {
        let patience =
            (Duration::from_micros(self.gap.into()) * 4).max(self.rtt() * 2).clamp(MIN_SILENCE, MAX_SILENCE);
        (self.regular >= REGULAR).then(|| self.last + patience)
    }

    pub(super) fn answer(&self) -> Option<Instant> {
        let patience = (self.rtt() * 3).clamp(MIN_ANSWER, MAX_ANSWER);
        self.asked.filter(|asked| self.last < *asked).map(|asked| asked + patience)
    }

    /// When [`Self::poll`] has something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.suspicion {
            Some(suspicion) => Some(suspicion.next),
            None => earliest(self.silence(), self.answer()),
        }
    }

    /// What time has brought. `ta`: no two rounds are nearer than their two checks.
    pub(super) fn poll(&mut self, now: Instant, means: Means, ta: Duration) -> Option<News> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if means == Means::Wait {
            return self.wait(is_due(self.silence()), is_due(self.answer()));
        }
        if self.suspicion.is_none() {
            if is_due(self.silence()) {
                self.suspect(now, Cause::Silence);
            } else if is_due(self.answer()) {
                self.suspect(now, Cause::Unanswered);
            }
        }
        let stopped = self.told.is_none_or(|told| now.saturating_duration_since(told) >= ASKED_LAST);
        let round = (self.rtt() * 5 / 4).clamp(MIN_ROUND, MAX_ROUND).max(ta * 2);
        let suspicion = self.suspicion.as_mut().filter(|suspicion| suspicion.next <= now)?;
        if suspicion.cause == Cause::Told && stopped {
            return self.end();
        }
        let rare = RARE.min(round * (1 << suspicion.rounds.saturating_sub(FREQUENT).min(6)));
        suspicion.rounds = suspicion.rounds.saturating_add(1);
        suspicion.next = now + if suspicion.rounds > FREQUENT { rare } else { round };
        (suspicion.in_use, suspicion.other) = (true, suspicion.rounds > 1);
        let dead = suspicion.rounds > suspicion.cause.rounds();
        (dead && !std::mem::replace(&mut self.announced, true)).then_some(News::Suspected)
    }

    /// Without another pair nothing is asked; two consent requests in vain are a suspicion, one may be lost.
    fn wait(&mut self, silent: bool, unanswered: bool) -> Option<News> {
        self.suspicion = None;
        if silent {
            self.regular = 0;
        }
        if !unanswered {
            return None;
        }
        self.asked = None;
        (self.unanswered > 1 && !std::mem::replace(&mut self.announced, true)).then_some(News::Suspected)
    }

    /// The other pair that answers while the one in use does not, and since when that is so.
    pub(super) fn replacement(&self) -> Option<(PairId, Instant)> {
        let suspicion = self.suspicion.as_ref().filter(|it| it.rounds > it.cause.rounds())?;
        suspicion.alive.map(|(pair, _)| (pair, suspicion.since))
    }

    /// Whether a probe waits for its slot.
    pub(super) fn wants_slot(&self) -> bool {
        self.suspicion.as_ref().is_some_and(|suspicion| suspicion.in_use || suspicion.other)
    }

    /// What the next slot is for.
    pub(super) fn next_target(&mut self) -> Option<Target> {
        let suspicion = self.suspicion.as_mut()?;
        if std::mem::take(&mut suspicion.in_use) {
            return Some(Target::InUse);
        }
        std::mem::take(&mut suspicion.other).then(|| {
            let turn = suspicion.turn;
            suspicion.turn = turn.wrapping_add(1);
            Target::Other(turn)
        })
    }

    /// A probe leaves.
    pub(super) fn sent(&mut self, now: Instant, id: TransactionId, pair: PairId, target: Target) {
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.open[suspicion.at] = Some(Probe { id, pair, target, sent: now });
            suspicion.at = (suspicion.at + 1) % MAX_OPEN;
        }
    }

    /// The probe of this id, while it is open.
    pub(super) fn probe(&self, id: TransactionId) -> Option<Probe> {
        self.suspicion.as_ref()?.open.iter().flatten().find(|probe| probe.id == id).copied()
    }

    /// A probe was answered. Returns its round-trip time, and what it changed.
    pub(super) fn take_answer(&mut self, now: Instant, probe: &Probe) -> (Duration, Option<News>) {
        let rtt = now.saturating_duration_since(probe.sent);
        if probe.target == Target::InUse {
            return (rtt, self.answered(now, Some(rtt)));
        }
        if let Some(suspicion) = &mut self.suspicion {
            if let Some(open) =
                suspicion.open.iter_mut().find(|open| open.is_some_and(|it| it.id == probe.id))
            {
                *open = None;
            }
            let stays = |(pair, at)| pair != probe.pair && now < at + ALIVE;
            if !suspicion.alive.is_some_and(stays) {
                suspicion.alive = Some((probe.pair, now));
            }
        }
        (rtt, None)
    }

    /// Whether its suspicion was told to the application.
    pub(super) fn is_announced(&self) -> bool {
        self.announced
    }
}
