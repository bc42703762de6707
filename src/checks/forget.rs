//! What a stream knows of its peer ends: another peer answers, or the stream leaves the session.

use std::collections::BTreeSet;

use super::checklist::{ChecklistState, Component};
use super::form::Permission;
use super::pair::{PairId, PairState, RemoteId};
use super::role::Role;
use super::set::{ChecklistSet, Remote};

impl ChecklistSet {
    /// Forgets what a stream knows of the peer, whose next credentials are at hand; our own side stays as it was
    /// signalled. A pair that was checked with our credentials stays: those checks are of the generation that comes, and
    /// what they asked for, a nomination perhaps, is asked once.
    pub fn forget_peer(&mut self, stream: u16) {
        let of_stream = self.pairs().filter(|(_, pair)| pair.component.stream == stream);
        let (heard, others): (Vec<_>, Vec<_>) =
            of_stream.map(|(id, pair)| (id, pair.state, pair.authenticated)).partition(|(.., heard)| *heard);
        for (id, ..) in others {
            self.remove_pair(id);
        }
        if let Some(list) = self.checklist_mut(stream) {
            list.remote = None;
            list.remote_ended = false;
            list.highest = 0;
            list.state = ChecklistState::Running;
        }
        for (id, state, _) in heard {
            match (state, self.roles.role) {
                (PairState::Succeeded, Role::Controlled) => {}
                // Whoever answered the nomination is gone.
                (PairState::Succeeded, Role::Controlling) => self.check_anew(id),
                _ => self.check_back(id, state),
            }
        }
        if let Some(list) = self.checklist_mut(stream) {
            for component in &mut list.components {
                component.decided = component.selected.is_some();
            }
        }
        self.drop_unpaired_remotes(stream);
    }

    /// Checks a pair as if it had just been learnt.
    fn check_anew(&mut self, id: PairId) {
        let Some(pair) = self.pair(id) else { return };
        let (base, remote, link) = (pair.base, pair.remote, pair.link);
        self.remove_pair(id);
        if let Some(id) = self.insert_pair(base, remote, Permission::Granted) {
            if let Some(pair) = self.pair_mut(id) {
                pair.authenticated = true;
                pair.link = link;
            }
            self.check_back(id, PairState::Waiting);
        }
    }

    /// Takes a stream out of the session, for good: its valid list and its transactions go (RFC 8839 §4.4.3.1).
    pub fn remove_stream(&mut self, stream: u16) {
        let pairs = self.pairs().filter(|(_, pair)| pair.component.stream == stream);
        for id in pairs.map(|(id, _)| id).collect::<Vec<_>>() {
            self.remove_pair(id);
        }
        self.drop_unpaired_remotes(stream);
        if let Some(list) = self.checklist_mut(stream) {
            list.remote = None;
            list.components.fill_with(Component::default);
            list.state = ChecklistState::Removed;
        }
    }

    /// The candidates that are left move up.
    fn drop_unpaired_remotes(&mut self, stream: u16) {
        let used: BTreeSet<_> = self.pairs().map(|(_, pair)| pair.remote).collect();
        let stays = |(index, remote): (usize, &Remote)| {
            remote.component.stream != stream || used.contains(&RemoteId(index as u16))
        };
        let stays: Vec<_> = self.remotes.iter().enumerate().map(stays).collect();
        let mut moved = Vec::with_capacity(self.remotes.len());
        let mut kept = 0;
        for stays in &stays {
            moved.push(RemoteId(kept));
            kept += u16::from(*stays);
        }
        let mut stays = stays.into_iter();
        self.remotes.retain(|_| stays.next() == Some(true));
        for pair in self.places.iter_mut().filter_map(|place| place.pair.as_mut()) {
            pair.remote = moved[usize::from(pair.remote.0)];
        }
    }
}
