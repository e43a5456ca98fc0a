//! The decision.

use super::compiled::{Policy, Rule};
use super::decision::{Because, Decision, Ground};
use super::request::Request;
use super::roles::RoleSet;
use super::truth::Truth;

/// Decides whether `request` is allowed by `policy`, and says why. Pure: no clock, no I/O, no lock, no allocation.
///
/// A rule that applies and denies wins; then one that applies and allows; else it is denied. Of several, the first as the policy has
/// them (roles by name) is the reason.
pub fn decide<'p>(policy: &'p Policy, request: &Request<'p>) -> Decision<'p> {
    let names = || request.principal.into_iter().flat_map(|who| who.roles.iter());
    let mut held = RoleSet::EMPTY;
    policy.held(names()).for_each(|role| held.extend(policy.comes_with(role)));

    let foreign = request.is_foreign();
    if foreign && !held.meets(&policy.crossing) {
        return Decision::new(Because::OtherTenant);
    }
    let mut first = First::default();
    policy.index.about(request.permission, &mut |number| first.look(policy, request, &held, foreign, number));

    let ground = |number| {
        let rule = policy.rules.get(number as usize)?;
        let through = policy.held(names()).find(|role| policy.comes_with(*role).contains(rule.role))?;
        Some((Ground { policy, rule, through }, rule))
    };
    let because = match first {
        First { denies: Some((number, truth)), .. } if !foreign || first.allows.is_some() => {
            ground(number).map(|(rule, _)| Because::Forbidden { rule, undecided: truth == Truth::Undecided })
        }
        First { allows: Some(number), .. } => ground(number).map(|(rule, _)| Because::Allowed { rule }),
        First { unmet: Some(number), .. } => ground(number).and_then(|(ground, rule)| {
            let condition = rule.when.as_ref()?.culprit(request);
            let undecided = condition.truth(request) == Truth::Undecided;
            Some(Because::Unmet { rule: ground, condition, undecided })
        }),
        _ if foreign => Some(Because::OtherTenant),
        _ => None,
    };
    Decision::new(because.unwrap_or(Because::NoRule))
}

/// Of the rules that were looked at, the first of each kind.
#[derive(Default)]
struct First {
    denies: Option<(u32, Truth)>,
    allows: Option<u32>,
    /// Would allow it, but for its condition.
    unmet: Option<u32>,
}

impl First {
    fn look(&mut self, policy: &Policy, request: &Request<'_>, held: &RoleSet, foreign: bool, number: u32) {
        let Some(rule) = policy.rules.get(number as usize) else { return };
        if !held.contains(rule.role) || (foreign && !rule.denies && !rule.cross_tenant) {
            return;
        }
        let earlier = |known: Option<u32>| known.is_none_or(|known| number < known);
        if rule.denies {
            if earlier(self.denies.map(|(known, _)| known)) {
                let truth = truth(rule, request);
                if truth != Truth::Fails {
                    self.denies = Some((number, truth));
                }
            }
        } else if earlier(self.allows) {
            if truth(rule, request) == Truth::Holds {
                self.allows = Some(number);
            } else if earlier(self.unmet) {
                self.unmet = Some(number);
            }
        }
    }
}

fn truth(rule: &Rule, request: &Request<'_>) -> Truth {
    rule.when.as_ref().map_or(Truth::Holds, |when| when.truth(request))
}
