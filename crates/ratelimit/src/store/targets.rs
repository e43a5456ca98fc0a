//! Which entries a request is about.

use std::net::IpAddr;

use crate::caller::caller;
use crate::fingerprint::{Fingerprint, Secret};
use crate::plan::{Part, Plan, Rules};
use crate::{Policy, Request, Subject};

/// The secrets by which keys of each kind become fingerprints: a user and an API key of the same text are two.
pub(crate) struct Identity {
    user: Secret,
    api_key: Secret,
    ip: Secret,
    pub(crate) route: Secret,
    global: Fingerprint,
}

impl Identity {
    pub(crate) fn random() -> Self {
        let secret = Secret::random;
        let global = secret().fingerprint(b"global");
        Self { user: secret(), api_key: secret(), ip: secret(), route: secret(), global }
    }

    #[inline]
    pub(crate) fn subject(&self, subject: Subject<'_>, plan: &Plan) -> Fingerprint {
        match subject {
            Subject::User(user) => self.user.fingerprint(user.as_bytes()),
            Subject::ApiKey(key) => self.api_key.fingerprint(key.as_bytes()),
            Subject::Ip(address) => self.address(address, plan.ipv6_prefix),
        }
    }

    fn address(&self, address: IpAddr, prefix: u8) -> Fingerprint {
        self.ip.fingerprint(&caller(address, prefix).to_le_bytes())
    }
}

/// One entry that a request is about.
#[derive(Clone, Copy)]
pub(crate) struct Target<'p> {
    pub(crate) print: Fingerprint,
    pub(crate) part: &'p Part,
    /// Whose penalties it has: an index into the subjects of the request.
    pub(crate) subject: Option<u8>,
    /// Whether the penalties are kept here; otherwise they are in the first entry of the subject.
    pub(crate) keeps_penalty: bool,
}

/// Subjects with penalties in one request: user, API key and address.
pub(crate) const SUBJECTS: usize = 3;
/// Entries of one request at most: those of three subjects, of a route and of the global limit, and of penalties that are apart.
pub(crate) const MOST: usize = (SUBJECTS + 2) * Policy::MOST / 2 + SUBJECTS;

/// The entries that a request is about.
#[derive(Default)]
pub(crate) struct Targets<'p> {
    targets: [Option<Target<'p>>; MOST],
    count: usize,
}

impl<'p> Targets<'p> {
    pub(crate) fn of(request: &Request<'_>, plan: &'p Plan, identity: &Identity) -> Self {
        let mut targets = Self::default();
        let named = request.user.is_some() || request.api_key.is_some();
        let (tier, _) = plan.tier(request.tier);
        let mut caller = Fingerprint::default();
        for (index, subject) in (0_u8..).zip(request.subjects()) {
            let print = identity.subject(subject, plan);
            if index == 0 {
                caller = print;
            }
            let (rules, home) = match subject {
                Subject::Ip(_) if named => (&plan.known_address, &plan.address_home),
                Subject::Ip(_) => (&plan.anonymous, &plan.address_home),
                _ => (tier, &plan.home),
            };
            if plan.penalties.is_some() && !rules.at_home {
                targets.push(Target { print, part: home, subject: Some(index), keeps_penalty: true });
            }
            if (plan.penalties.is_some() && rules.at_home) || !rules.is_empty() {
                targets.add(print, rules, Some(index));
            }
        }
        if let Some((name, route)) = request.route.and_then(|name| plan.routes.get_key_value(name)) {
            let print = identity.route.fingerprint(name.as_bytes());
            let print = if route.each_caller { print.with(caller) } else { print };
            if !route.rules.is_empty() {
                targets.add(print, &route.rules, None);
            }
        }
        if !plan.global.is_empty() {
            targets.add(identity.global, &plan.global, None);
        }
        targets
    }

    fn add(&mut self, print: Fingerprint, rules: &'p Rules, subject: Option<u8>) {
        for (index, part) in rules.parts.iter().enumerate() {
            let at_home = rules.at_home && index == 0;
            let apart = 4 * usize::from(part.shape.0) + 2 * usize::from(rules.group) + index + 1;
            let print = if at_home { print } else { print.part(apart) };
            self.push(Target { print, part, subject, keeps_penalty: at_home && subject.is_some() });
        }
    }

    fn push(&mut self, target: Target<'p>) {
        if let Some(place) = self.targets.get_mut(self.count) {
            *place = Some(target);
            self.count += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Target<'p>> {
        self.targets.iter().take(self.count).flatten()
    }
}
