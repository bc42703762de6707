//! Two lite agents agree on their pairs (RFC 8445 §8.2): where nobody checks and there is more than one, the controlling
//! agent says which it has selected, and the session completes with the answer.

use super::Agent;
use super::config::Role;
use crate::checks::PairId;
use crate::error::SignalError;
use crate::io::ComponentId;
use crate::signal::{SelectedPair, Signal, What};
use crate::time::Instant;

impl Agent {
    /// Takes pairs that need no agreement, and proposes the others.
    pub(super) fn follow_unchecked(&mut self, now: Instant) {
        let unchecked = self.checks.select_unchecked();
        for pair in unchecked.proposed {
            self.signal_pair(pair, What::Selected);
        }
        for pair in unchecked.selected {
            self.follow_selected(now, pair);
        }
    }

    pub(super) fn signal_pair(&mut self, id: PairId, what: impl FnOnce(SelectedPair) -> What) {
        let Some(pair) = self.checks.pair(id) else { return };
        let (ComponentId { stream, component }, remote) = (pair.component, pair.destination);
        let Some(local) = self.bases.get(pair.base).map(|base| base.addr) else { return };
        let mut signal = Signal::new(stream, what(SelectedPair { component, local, remote }));
        signal.ufrag = self.checks.checklist(stream).map(|list| list.local.ufrag.clone());
        self.tell(signal);
    }

    /// The peer has selected a pair, and waits for the confirmation. Of two lite agents that believe to control the one
    /// with the lower ufrag yields (RFC 8839 §4.4.2.2 leaves it to the order of offers, which signals do not have).
    pub(super) fn take_selected(
        &mut self,
        now: Instant,
        stream: u16,
        pair: SelectedPair,
    ) -> Result<(), SignalError> {
        let id = self.find_pair(stream, &pair)?;
        if self.role() == Role::Controlling {
            let list = self.checks.checklist(stream);
            let stays = list.is_some_and(|list| {
                let theirs = list.remote.as_ref().map(|remote| remote.credentials.ufrag.as_str());
                theirs < Some(list.local.ufrag.as_str())
            });
            if stays {
                return Ok(());
            }
            self.checks.yield_control();
            self.follow_role(Role::Controlled);
        }
        self.signal_pair(id, What::Confirmed);
        self.accept_pair(now, id);
        Ok(())
    }

    /// The peer agrees. A pair that was not proposed, or is not any more, is not taken.
    pub(super) fn take_confirmed(
        &mut self,
        now: Instant,
        stream: u16,
        pair: SelectedPair,
    ) -> Result<(), SignalError> {
        let id = self.find_pair(stream, &pair)?;
        if self.role() == Role::Controlling && self.checks.is_proposed(id) {
            self.accept_pair(now, id);
        }
        Ok(())
    }

    fn accept_pair(&mut self, now: Instant, id: PairId) {
        if self.checks.accept(id) {
            self.follow_selected(now, id);
        }
        self.follow_checks(now);
    }

    fn find_pair(&self, stream: u16, pair: &SelectedPair) -> Result<PairId, SignalError> {
        if self.checks.sends_checks() {
            return Err(SignalError::Unsupported("a selected pair, which a full agent finds by checks"));
        }
        let at = ComponentId { stream, component: pair.component };
        let is_local = |id: &PairId| {
            let base = self.checks.pair(*id).and_then(|pair| self.bases.get(pair.base));
            base.is_some_and(|base| base.addr == pair.local)
        };
        let found = self.pairs_to(at, pair.remote).map(|(id, _)| id).find(is_local);
        found.ok_or(SignalError::UnknownPair(pair.local, pair.remote))
    }
}
