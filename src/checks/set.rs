//! The checklist set: one checklist a stream, and what they share (RFC 8445 §6.1.2).

use std::net::SocketAddr;

use smol_str::format_smolstr;

use super::bases::Bases;
use super::checklist::{Checklist, ChecklistState, RemoteCredentials};
use super::connect::Hold;
use super::freeze::Groups;
use super::likelihood::CheckOrder;
use super::limits::Limits;
use super::nominate::Nomination;
use super::pair::{LocalId, Pair, PairId, RemoteId};
use super::recheck::{Recheck, Rechecks};
use super::request::Check;
use super::role::{Role, Roles};
use crate::candidate::{BaseId, Candidate, TcpRank};
use crate::credentials::{Credentials, IceOption};
use crate::hash::Map;
use crate::io::ComponentId;
use crate::rng::Rng;
use crate::stun::Key;
use crate::stun::transaction::Transactions;
use crate::time::{Duration, Instant};

/// The longest Ta that is kept to.
pub const MAX_TA: Duration = Duration::from_secs(5);

/// A candidate of this agent.
#[derive(Debug, Clone)]
pub struct Local {
    /// As it is signalled.
    pub candidate: Candidate,
    /// Its base.
    pub base: BaseId,
    /// Its component.
    pub component: ComponentId,
}

/// A candidate of the peer.
#[derive(Debug, Clone)]
pub struct Remote {
    /// As it was signalled, or as it was learnt from a check.
    pub candidate: Candidate,
    /// Its transport address.
    pub addr: SocketAddr,
    /// Its component.
    pub component: ComponentId,
    /// What its pairs are ranked by: its own priority, or the PRIORITY of the check that came before the signal (RFC
    /// 8838 §11).
    pub priority: u32,
}

/// A place for a pair, and how often it was taken.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) stamp: u16,
    pub(super) pair: Option<Pair>,
}

/// What the set is told once.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The role to start with.
    pub role: Role,
    /// When to nominate.
    pub nomination: Nomination,
    /// The Ta that is proposed.
    pub pacing: Duration,
    /// What is checked first.
    pub order: CheckOrder,
    /// What is checked again.
    pub recheck: Recheck,
    /// Whether this agent is a full or a lite one.
    pub implementation: Implementation,
    /// How much it may hold.
    pub limits: Limits,
    /// How TCP candidates stand to UDP ones.
    pub tcp: TcpRank,
}

/// How much of ICE an agent does (RFC 8445 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// Everything.
    Full,
    /// It answers checks and sends none.
    Lite,
}

/// Counts the ICE sessions of an agent: a restart begins the next one (RFC 8445 §9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

/// Everything that RFC 8445 §6 to §8 works on.
#[derive(Debug)]
pub struct ChecklistSet {
    /// Which ICE session of the agent this is.
    pub generation: Generation,
    pub(super) implementation: Implementation,
    pub(super) roles: Roles,
    pub(super) nomination: Nomination,
    pub(super) limits: Limits,
    pub(super) tcp: TcpRank,
    /// Connections that are not to be opened now.
    pub(super) hold: Hold,
    pub(super) checklists: Vec<Checklist>,
    pub(super) locals: Vec<Local>,
    pub(super) remotes: Vec<Remote>,
    pub(super) bases: Bases,
    pub(super) places: Vec<Place>,
    /// The stamp of a new place: above those of places that were given back.
    pub(super) first_stamp: u16,
    /// A pair's identity is where a packet goes: its base and the remote transport address.
    pub(super) by_path: Map<(BaseId, SocketAddr), PairId>,
    pub(super) groups: Groups,
    pub(super) order: CheckOrder,
    pub(super) recheck: Recheck,
    pub(super) rechecks: Rechecks,
    pub(super) transactions: Transactions<Check>,
    /// The checklist whose turn it is (RFC 8445 §6.1.4.2).
    pub(super) turn: usize,
    /// Ours; the peer's arrives with its credentials.
    pub(super) pacing: Duration,
    /// Numbers the foundations of peer-reflexive candidates.
    pub(super) learnt: u32,
    /// Once patience is over (RFC 8863 §4): how many more candidates may be learnt where no pair is valid.
    pub(super) late: Option<usize>,
}

impl ChecklistSet {
    /// One checklist a stream, with fresh credentials.
    pub fn new(settings: Settings, components: &[u16], rng: &mut Rng) -> Self {
        let roles = Roles { role: settings.role, tiebreaker: rng.tiebreaker() };
        Self::with_roles(settings, roles, Generation::default(), components, rng)
    }

    /// The set of the next ICE session: everything is flushed but the roles (RFC 8445 §9).
    #[must_use]
    pub fn next_generation(&self, settings: Settings, components: &[u16], rng: &mut Rng) -> Self {
        let generation = Generation(self.generation.0 + 1);
        let mut next = Self::with_roles(settings, self.roles, generation, components, rng);
        for (list, before) in next.checklists.iter_mut().zip(&self.checklists) {
            if before.is_removed() {
                list.state = ChecklistState::Removed;
            }
        }
        next
    }

    fn with_roles(
        settings: Settings,
        roles: Roles,
        generation: Generation,
        components: &[u16],
        rng: &mut Rng,
    ) -> Self {
        let checklists = components.iter().map(|count| Checklist::fresh(rng, *count));
        Self {
            generation,
            implementation: settings.implementation,
            roles,
            nomination: settings.nomination,
            limits: settings.limits,
            tcp: settings.tcp,
            hold: Hold::default(),
            checklists: checklists.collect(),
            locals: Vec::new(),
            remotes: Vec::new(),
            bases: Bases::default(),
            places: Vec::new(),
            first_stamp: 0,
            by_path: Map::default(),
            groups: Groups::default(),
            order: settings.order,
            recheck: settings.recheck,
            rechecks: Rechecks::default(),
            transactions: Transactions::default(),
            turn: 0,
            pacing: settings.pacing,
            learnt: 0,
            late: None,
        }
    }

    /// A data stream joins the session: a checklist that is Running, without pairs and valid pairs (RFC 8839 §4.4.3.1).
    pub fn add_stream(&mut self, components: u16, rng: &mut Rng) {
        let checklist = Checklist { is_added: true, ..Checklist::fresh(rng, components) };
        self.checklists.push(checklist);
    }

    /// The present role.
    pub fn role(&self) -> Role {
        self.roles.role
    }

    /// All checklists, by stream.
    pub fn checklists(&self) -> &[Checklist] {
        &self.checklists
    }

    /// The checklist of a stream.
    pub fn checklist(&self, stream: u16) -> Option<&Checklist> {
        self.checklists.get(usize::from(stream))
    }

    pub(super) fn checklist_mut(&mut self, stream: u16) -> Option<&mut Checklist> {
        self.checklists.get_mut(usize::from(stream))
    }

    /// Local candidates, in the order they were learnt.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// Remote candidates, in the order they were learnt.
    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// A local candidate.
    pub fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.get(usize::from(id.0))
    }

    /// The candidate that is its own base: host or relayed.
    pub(super) fn local_at(&self, base: BaseId) -> Option<&Local> {
        self.local(self.bases.get(base)?.local)
    }

    /// A remote candidate.
    pub fn remote(&self, id: RemoteId) -> Option<&Remote> {
        self.remotes.get(usize::from(id.0))
    }

    /// A pair that exists.
    pub fn pair(&self, id: PairId) -> Option<&Pair> {
        let place = self.places.get(usize::from(id.index))?;
        place.pair.as_ref().filter(|_| place.stamp == id.stamp)
    }

    pub(super) fn pair_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        let place = self.places.get_mut(usize::from(id.index))?;
        place.pair.as_mut().filter(|_| place.stamp == id.stamp)
    }

    /// All pairs, in no order that means anything.
    pub fn pairs(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let id = PairId { index: index as u16, stamp: place.stamp };
            place.pair.as_ref().map(|pair| (id, pair))
        })
    }

    /// The pair that a packet from `source` to `base` belongs to.
    pub fn pair_of(&self, base: BaseId, source: SocketAddr) -> Option<PairId> {
        self.by_path.get(&(base, source)).copied()
    }

    /// The Ta in force: the larger of both proposals; a peer that proposes none means 50 ms (RFC 8445 §14.2). Beyond
    /// [`MAX_TA`] a proposal is an accident or an attack: no session would come of it.
    pub fn ta(&self) -> Duration {
        let proposals = self.checklists.iter().filter_map(|checklist| checklist.remote.as_ref());
        proposals
            .map(|remote| remote.credentials.pacing.unwrap_or(Duration::from_millis(50)))
            .fold(self.pacing, Duration::max)
            .min(MAX_TA)
    }

    /// Takes the peer's credentials of a stream. A full agent controls a lite one, whoever began (RFC 8445 §6.1.1);
    /// returns the role if it changed.
    pub fn set_remote_credentials(&mut self, stream: u16, credentials: Credentials) -> Option<Role> {
        let role = match (self.implementation, credentials.lite) {
            (Implementation::Full, true) => Role::Controlling,
            (Implementation::Lite, false) => Role::Controlled,
            _ => self.roles.role,
        };
        if let Some(checklist) = self.checklist_mut(stream) {
            let username = format_smolstr!("{}:{}", credentials.ufrag, checklist.local.ufrag);
            let key = Key::short_term(credentials.pwd.as_str());
            let renominates = credentials.has_option(&IceOption::RENOMINATION);
            checklist.remote = Some(RemoteCredentials { credentials, username, key, renominates });
        }
        let changed = role != self.roles.role;
        if changed {
            self.roles.role = role;
            self.reprioritize();
        }
        changed.then_some(role)
    }

    /// Whether this agent sends checks: a lite one does not.
    pub fn sends_checks(&self) -> bool {
        self.implementation == Implementation::Full
    }

    /// The peer will not send further candidates for this stream (RFC 8838 §14).
    pub fn end_remote_candidates(&mut self, stream: u16) {
        if let Some(checklist) = self.checklist_mut(stream) {
            checklist.remote_ended = true;
        }
    }

    /// The peer has signalled a candidate of this component, of use or not.
    pub fn note_component(&mut self, at: ComponentId) {
        if let Some(checklist) = self.checklist_mut(at.stream) {
            checklist.highest = checklist.highest.max(at.component);
        }
    }

    /// Whether both agents have this component, as far as is known.
    pub fn is_shared(&self, at: ComponentId) -> bool {
        let list = self.checklist(at.stream).filter(|list| !list.is_removed());
        list.is_some_and(|list| usize::from(at.component) <= list.shared().len())
    }

    /// There will be no further local candidate of the streams that there are.
    pub fn end_local_candidates(&mut self) {
        for checklist in &mut self.checklists {
            checklist.local_ended = true;
        }
    }

    /// The peer has taken in a stream that was added: it has as long as the others had.
    pub fn regain_patience(&mut self) {
        self.late = None;
    }

    /// Patience is over: between two NATs that let everything in and map each destination anew, candidates would be
    /// learnt, and the session go on, for ever.
    pub fn lose_patience(&mut self) {
        self.late = Some(usize::from(self.limits.peer_reflexive));
    }

    /// A restart ends this session: no check of it goes on. Its pairs stay, for the data that they carry.
    pub fn cease(&mut self) {
        self.transactions = Transactions::default();
        for checklist in &mut self.checklists {
            checklist.triggered.clear();
            checklist.waiting.clear();
        }
    }

    /// Marks checklists that are spent (RFC 8445 §7.2.5.4), and returns their streams. The caller asks only when the PAC
    /// timer is over (RFC 8863 §4); the peer's end-of-candidates may then be missing (RFC 8863 §5).
    pub fn conclude_exhausted(&mut self, now: Instant) -> Vec<u16> {
        // One that was added begins with the peer's answer, whenever that comes.
        let has_begun = |list: &Checklist| list.local_ended && !list.joins();
        let spent = |list: &Checklist| list.state == ChecklistState::Running && self.is_exhausted(now, list);
        let lists = self.checklists.iter().enumerate().filter(|(_, list)| has_begun(list) && spent(list));
        let spent: Vec<u16> = lists.map(|(stream, _)| stream as u16).collect();
        for stream in &spent {
            if let Some(list) = self.checklist_mut(*stream) {
                list.state = ChecklistState::Failed;
            }
        }
        spent
    }

    /// Whether some component has neither a valid pair nor one that may become valid (RFC 8445 §7.2.5.4). A peer whose
    /// checks arrive, and that never answers ours, is no hope however often it checks; nor is a valid pair whose consent
    /// ended before it was used and is not asked for again, which only an agent that checks can tell.
    fn is_exhausted(&self, now: Instant, list: &Checklist) -> bool {
        // What two lite agents have not agreed on by now they never will.
        let is_checked = self.sends_checks() || !list.is_peer_lite();
        let hope = |id: PairId| is_checked && self.pair(id).is_some_and(|pair| !pair.is_one_way(now));
        let lives = |id: PairId| {
            let lives = |pair: &Pair| pair.has_consent(now) || pair.is_under_check();
            !self.sends_checks() || self.pair(id).is_some_and(lives)
        };
        list.shared().iter().any(|component| {
            component.selected.is_none() && !component.valid().any(lives) && !component.open().any(hope)
        })
    }
}
