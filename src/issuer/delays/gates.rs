//! Attempts that are under way. Each may turn out to have failed, so no more are let through at once than may fail in a
//! row without a wait. The others stand in line, in the order in which they came: whoever is right before them makes room,
//! and once so many have failed that there is a wait, they are told of it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most attempts at one gate, those that are through and those in line. At 20 ms each, the last waits little over a second.
pub(in crate::issuer) const CROWD: usize = 64;
/// With so many gates those that nobody stands at are taken down.
const GATES: usize = 4_096;

/// One gate for each cell that an attempt may come to count in.
#[derive(Default)]
pub(super) struct Gates(HashMap<u64, Gate>);

struct Gate {
    /// Everybody at the gate holds it, so it tells how many they are.
    turns: Arc<Semaphore>,
    /// How many turns no failure has used up.
    left: usize,
}

impl Gates {
    /// Where to wait for a turn at this gate, through which `free` may go at once when nobody has yet; `None` when too many
    /// are there.
    pub(super) fn line(&mut self, gate: u64, free: usize) -> Option<Arc<Semaphore>> {
        if self.0.len() >= GATES {
            self.0.retain(|_, gate| gate.crowd() > 0);
        }
        let gate = self.0.entry(gate).or_insert_with(|| Gate::new(free));
        match gate.crowd() {
            // What was left of it is over.
            0 => *gate = Gate::new(free),
            CROWD.. => return None,
            _ => {}
        }
        Some(Arc::clone(&gate.turns))
    }

    /// Who had this turn failed. Nobody gets it any more; when it was the last, those in line find the gate gone.
    pub(super) fn failed(&mut self, cell: u64, turn: OwnedSemaphorePermit) {
        let Some(gate) = self.0.get_mut(&cell).filter(|gate| Arc::ptr_eq(&gate.turns, turn.semaphore()))
        else {
            return;
        };
        turn.forget();
        gate.left = gate.left.saturating_sub(1);
        if gate.left == 0 {
            gate.turns.close();
            self.0.remove(&cell);
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn crowds(&self) -> usize {
        self.0.values().map(Gate::crowd).sum()
    }
}

impl Gate {
    fn new(free: usize) -> Self {
        let left = free.clamp(1, CROWD);
        Self { turns: Arc::new(Semaphore::new(left)), left }
    }

    fn crowd(&self) -> usize {
        Arc::strong_count(&self.turns) - 1
    }
}
