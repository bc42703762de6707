//! One checklist: the pairs of one data stream (RFC 8445 §6.1.2).

use std::cmp::Reverse;
use std::collections::VecDeque;

use smol_str::SmolStr;

use super::likelihood::Likelihood;
use super::pair::{Order, PairId};
use super::spare::Spare;
use crate::credentials::{Credentials, Pwd, Ufrag};
use crate::rng::Rng;
use crate::sorted::Sorted;
use crate::stun::Key;
use crate::time::{Instant, Timer};

/// The state of a checklist (RFC 8445 §6.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecklistState {
    /// Not concluded.
    Running,
    /// Every component has a nominated pair.
    Completed,
    /// No pair is left for some component.
    Failed,
    /// Its stream is not part of the session any more.
    Removed,
}

/// Whether the peer cannot know our credentials yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// They have not left.
    Yes,
    /// They have.
    No,
}

/// Our side of the short-term credential of one stream.
#[derive(Debug, Clone)]
pub struct LocalCredentials {
    /// Names this agent in checks sent to it.
    pub ufrag: Ufrag,
    /// As it is signalled.
    pub pwd: Pwd,
    /// Verifies checks of the peer and signs the answers.
    pub key: Key,
}

/// The peer's side.
#[derive(Debug, Clone)]
pub struct RemoteCredentials {
    /// As it was signalled.
    pub credentials: Credentials,
    /// `remote ufrag:local ufrag`, the USERNAME of our checks (RFC 8445 §7.2.2).
    pub username: SmolStr,
    /// Signs our checks and verifies their answers.
    pub key: Key,
    /// The peer offers the ICE option `renomination`.
    pub(super) renominates: bool,
}

/// What a checklist knows of one component.
#[derive(Debug, Default)]
pub struct Component {
    /// Valid pairs, best first (RFC 8445 §7.2.5.3.2).
    pub(super) valid: Sorted<(Reverse<u64>, PairId)>,
    /// Pairs that are Frozen, Waiting or In-Progress, best first.
    pub(super) open: Sorted<(Reverse<u64>, PairId)>,
    /// How many of them there are of each likelihood.
    pub(super) likely: [u16; Likelihood::COUNT],
    /// Pairs that are Failed, best first.
    pub(super) failed: Sorted<(Reverse<u64>, PairId)>,
    /// When the first pair became valid.
    pub(super) first_valid: Option<Instant>,
    /// A check of the peer was authenticated on one of its pairs.
    pub(super) is_heard: bool,
    /// The pair that our nominating check is on.
    pub(super) nominating: Option<PairId>,
    /// The nominated pair (RFC 8445 §8.1.1).
    pub selected: Option<PairId>,
    /// A pair was selected once: without renomination no other one will be nominated (RFC 8445 §8.1.1).
    pub(super) decided: bool,
    /// The next one, with renomination.
    pub(super) spare: Option<Spare>,
    /// The selected pair lost consent, which both ends notice: the controlling one nominates another.
    pub(super) forsaken: bool,
    /// The highest value of a nomination so far, ours or the peer's.
    pub(super) nomination: u32,
    /// When pairs that were selected once and have failed are checked again, and how often they were.
    pub(super) retry: Timer,
    pub(super) retries: u8,
    /// When nomination is due to be decided again.
    pub(super) settle: Timer,
}

impl Component {
    /// The valid pairs, best first (RFC 8445 §7.2.5.3.2).
    pub fn valid(&self) -> impl Iterator<Item = PairId> + '_ {
        self.valid.iter().map(|(_, id)| *id)
    }

    /// The pairs that are not decided yet, best first.
    pub(super) fn open(&self) -> impl Iterator<Item = PairId> + '_ {
        self.open.iter().map(|(_, id)| *id)
    }

    /// How likely the likeliest of the pairs works that are not decided yet.
    pub(super) fn likeliest(&self) -> Likelihood {
        let likeliest = self.likely.iter().rposition(|pairs| *pairs > 0);
        likeliest.map_or(Likelihood::Unlikely, |at| Likelihood::ALL[at])
    }

    /// The pair that data uses now: the selected one, or the best valid one (RFC 8445 §12.1).
    pub fn usable(&self) -> Option<PairId> {
        self.selected.or_else(|| self.valid.first().map(|(_, id)| *id))
    }
}

/// The pairs of one data stream.
#[derive(Debug)]
pub struct Checklist {
    /// The state.
    pub state: ChecklistState,
    /// Ours.
    pub local: LocalCredentials,
    /// The peer's, once signalled.
    pub remote: Option<RemoteCredentials>,
    /// Neither sockets nor servers will give further local candidates.
    pub local_ended: bool,
    /// The peer ended its candidates (RFC 8838 §14).
    pub remote_ended: bool,
    /// It joined a session that had begun, and the peer may not know of it yet.
    pub(super) is_added: bool,
    /// Our credentials have not been signalled yet, so that the peer cannot know who checks it.
    pub(super) is_withheld: bool,
    /// The highest component that the peer has signalled a candidate of.
    pub(super) highest: u16,
    /// By component number, from 1.
    pub(super) components: Vec<Component>,
    /// Waiting pairs that may be checked, in their order.
    pub(super) waiting: Sorted<Order>,
    /// Pairs that the peer checked, first in first out (RFC 8445 §6.1.4.1). A pair is in it once at most.
    pub(super) triggered: VecDeque<PairId>,
    /// Triggered checks since the last ordinary one.
    pub(super) in_a_row: u8,
    /// How many pairs it has.
    pub(super) pairs: usize,
}

impl Checklist {
    /// One with credentials of its own.
    pub(super) fn fresh(rng: &mut Rng, components: u16) -> Self {
        let (ufrag, pwd) = (rng.ufrag(), rng.pwd());
        let key = Key::short_term(pwd.as_str());
        Self::new(LocalCredentials { ufrag, pwd, key }, components)
    }

    fn new(local: LocalCredentials, components: u16) -> Self {
        Self {
            state: ChecklistState::Running,
            local,
            remote: None,
            local_ended: false,
            remote_ended: false,
            is_added: false,
            is_withheld: false,
            highest: 0,
            components: (0..components).map(|_| Component::default()).collect(),
            waiting: Sorted::default(),
            triggered: VecDeque::new(),
            in_a_row: 0,
            pairs: 0,
        }
    }

    /// The component of this number.
    pub fn component(&self, number: u16) -> Option<&Component> {
        self.components.get(usize::from(number).checked_sub(1)?)
    }

    pub(super) fn component_mut(&mut self, number: u16) -> Option<&mut Component> {
        self.components.get_mut(usize::from(number).checked_sub(1)?)
    }

    /// All components, from number 1.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The components that both agents have: once the peer has ended its candidates, none above its last one (RFC 8445
    /// §6.1.2.2).
    pub(super) fn shared(&self) -> &[Component] {
        let all = self.components.len();
        let last = if self.remote_ended && self.highest > 0 { usize::from(self.highest) } else { all };
        &self.components[..last.min(all)]
    }

    /// Whether data can flow on every component.
    pub fn is_usable(&self) -> bool {
        self.shared().iter().all(|component| component.usable().is_some())
    }

    /// Whether every component has a nominated pair (RFC 8445 §8.1.2).
    pub fn is_selected(&self) -> bool {
        self.is_removed() || self.shared().iter().all(|component| component.selected.is_some())
    }

    /// Whether it was added to a session that had begun, and waits for the peer.
    pub fn joins(&self) -> bool {
        self.is_added && self.remote.is_none()
    }

    /// Whether its checks may begin: each side has the credentials of the other.
    pub(super) fn may_check(&self) -> bool {
        self.remote.is_some() && !self.is_withheld
    }

    /// Whether the peer is a lite agent, as far as is known.
    pub(super) fn is_peer_lite(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.credentials.lite)
    }

    /// Whether its stream is not part of the session any more.
    pub fn is_removed(&self) -> bool {
        self.state == ChecklistState::Removed
    }
}
