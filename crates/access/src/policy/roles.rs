//! Which roles come with a role.

/// The most roles of a policy.
pub(super) const MOST_ROLES: usize = 1024;
/// How long a chain of roles may be that inherit from one another.
pub(super) const DEEPEST: usize = 16;

const WORDS: usize = MOST_ROLES / 64;

/// A set of roles, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoleSet([u64; WORDS]);

impl RoleSet {
    pub(super) const EMPTY: Self = Self([0; WORDS]);

    fn place(role: u16) -> (usize, u64) {
        (usize::from(role) / 64, 1 << (role % 64))
    }

    pub(super) fn insert(&mut self, role: u16) {
        let (word, bit) = Self::place(role);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn contains(&self, role: u16) -> bool {
        let (word, bit) = Self::place(role);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(word, other)| word & other != 0)
    }
}

/// What a role inherits from, and all that comes with it.
#[derive(Debug, Clone)]
pub(super) struct Inheritance {
    /// Of each role, those that it names.
    pub(super) parents: Vec<Box<[u16]>>,
    /// Of each role, itself and all above it.
    pub(super) all: Vec<RoleSet>,
}

/// Why roles cannot inherit like this.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tangle {
    /// Each inherits from the next, and the last from the first.
    Cycle(Vec<u16>),
    /// The role has too many above it, one over the other.
    Deep(u16),
}

impl Inheritance {
    pub(super) fn new(parents: Vec<Box<[u16]>>) -> Result<Self, Tangle> {
        let mut walk = Walk { parents: &parents, done: vec![None; parents.len()], open: Vec::new() };
        let all = (0..parents.len()).map(|role| {
            // Few enough, by `MOST_ROLES`.
            walk.visit(u16::try_from(role).unwrap_or(u16::MAX)).map(|(all, _)| all)
        });
        let all = all.collect::<Result<_, _>>()?;
        Ok(Self { parents, all })
    }

    /// The shortest way from one role up to another, both included; of equal ones, the first as written.
    pub(super) fn path(&self, from: u16, to: u16) -> Vec<u16> {
        let mut path = vec![from];
        let mut here = from;
        while here != to {
            let parents = self.parents.get(usize::from(here)).into_iter().flatten();
            let leads = parents
                .filter(|parent| self.all.get(usize::from(**parent)).is_some_and(|all| all.contains(to)));
            let Some(next) = leads.min_by_key(|parent| self.distance(**parent, to)) else { break };
            here = *next;
            path.push(here);
        }
        path
    }

    fn distance(&self, from: u16, to: u16) -> usize {
        let mut level = RoleSet::EMPTY;
        level.insert(from);
        for distance in 0..DEEPEST {
            if level.contains(to) {
                return distance;
            }
            let mut next = RoleSet::EMPTY;
            for (role, parents) in (0_u16..).zip(&self.parents) {
                if level.contains(role) {
                    parents.iter().for_each(|parent| next.insert(*parent));
                }
            }
            level = next;
        }
        DEEPEST
    }
}

struct Walk<'a> {
    parents: &'a [Box<[u16]>],
    /// What comes with a role, and how many are above it.
    done: Vec<Option<(RoleSet, usize)>>,
    /// Whose parents are being looked at.
    open: Vec<u16>,
}

impl Walk<'_> {
    fn visit(&mut self, role: u16) -> Result<(RoleSet, usize), Tangle> {
        if let Some(done) = self.done.get(usize::from(role)).copied().flatten() {
            return Ok(done);
        }
        if let Some(place) = self.open.iter().position(|open| *open == role) {
            return Err(Tangle::Cycle(self.open.split_off(place)));
        }
        self.open.push(role);
        let (mut all, mut depth) = (RoleSet::EMPTY, 1);
        all.insert(role);
        let parents = self.parents;
        for parent in parents.get(usize::from(role)).into_iter().flatten() {
            let (above, height) = self.visit(*parent)?;
            all.extend(&above);
            depth = depth.max(height + 1);
        }
        self.open.pop();
        if depth > DEEPEST {
            return Err(Tangle::Deep(role));
        }
        if let Some(done) = self.done.get_mut(usize::from(role)) {
            *done = Some((all, depth));
        }
        Ok((all, depth))
    }
}
