//! Sessions in memory: gone with the process, and of this process alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::id::SessionHash;
use super::store::{Answer, Record, SessionStore, User, Which};

/// Keeps sessions in memory, at most so many: for one more, the one goes that was not used for the longest time.
#[derive(Debug)]
pub struct MemorySessions {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionHash, Record>,
    /// The user's, by when they began.
    of_user: HashMap<User, BTreeSet<(SystemTime, SessionHash)>>,
    by_use: BTreeSet<(SystemTime, SessionHash)>,
}

impl MemorySessions {
    /// None yet; at most `most`, and one at least.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), state: Mutex::default() }
    }

    /// No holder of this lock leaves the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, record: Record) {
        self.remove(record.hash);
        self.by_use.insert((record.seen, record.hash));
        self.of_user.entry(record.user.clone()).or_default().insert((record.created, record.hash));
        self.sessions.insert(record.hash, record);
    }

    fn remove(&mut self, hash: SessionHash) -> bool {
        let Some(record) = self.sessions.remove(&hash) else { return false };
        self.by_use.remove(&(record.seen, hash));
        if let Some(of_user) = self.of_user.get_mut(&record.user) {
            of_user.remove(&(record.created, hash));
            if of_user.is_empty() {
                self.of_user.remove(&record.user);
            }
        }
        true
    }

    fn remove_all(&mut self, hashes: Vec<SessionHash>) -> u64 {
        hashes.into_iter().map(|hash| u64::from(self.remove(hash))).sum()
    }

    fn put(
        &mut self,
        record: Record,
        most_of_user: usize,
        most: usize,
        instead_of: Option<SessionHash>,
    ) -> bool {
        if instead_of.is_some_and(|old| !self.remove(old)) {
            return false;
        }
        let (user, hash) = (record.user.clone(), record.hash);
        self.insert(record);
        while let Some(of_user) =
            self.of_user.get(&user).filter(|of_user| of_user.len() > most_of_user.max(1))
        {
            let oldest = of_user.iter().map(|(_, oldest)| *oldest).find(|oldest| *oldest != hash);
            let Some(oldest) = oldest else { break };
            self.remove(oldest);
        }
        while self.sessions.len() > most {
            let oldest = self.by_use.iter().map(|(_, oldest)| *oldest).find(|oldest| *oldest != hash);
            let Some(oldest) = oldest else { break };
            self.remove(oldest);
        }
        true
    }
}

impl SessionStore for MemorySessions {
    fn put(&self, record: Record, most: usize, instead_of: Option<SessionHash>) -> Answer<'_, bool> {
        let put = self.state().put(record, most, self.most, instead_of);
        Box::pin(std::future::ready(Ok(put)))
    }

    fn get(&self, hash: SessionHash) -> Answer<'_, Option<Record>> {
        let found = self.state().sessions.get(&hash).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn touch(&self, hash: SessionHash, seen: SystemTime) -> Answer<'_, ()> {
        let mut state = self.state();
        if let Some(mut record) = state.sessions.get(&hash).cloned() {
            record.seen = seen;
            state.insert(record);
        }
        drop(state);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&self, user: User, which: Which) -> Answer<'_, u64> {
        let mut state = self.state();
        let of_user = state.of_user.get(&user).into_iter().flatten().map(|(_, hash)| *hash);
        let gone = of_user.filter(|hash| which.holds(*hash)).collect();
        let removed = state.remove_all(gone);
        drop(state);
        Box::pin(std::future::ready(Ok(removed)))
    }

    fn sweep(&self, created_before: SystemTime, seen_before: SystemTime) -> Answer<'_, u64> {
        let mut state = self.state();
        let old = |record: &&Record| record.created < created_before || record.seen < seen_before;
        let gone = state.sessions.values().filter(old).map(|record| record.hash).collect();
        let removed = state.remove_all(gone);
        drop(state);
        Box::pin(std::future::ready(Ok(removed)))
    }
}
