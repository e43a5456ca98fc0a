//! A policy that was checked, ready to decide.

use buttress_core::{Validate, Violations};

use super::condition::Condition;
use super::config::{EVERYONE, PolicyConfig, RuleConfig};
use super::index::Index;
use super::permission::{Pattern, is_name};
use super::roles::{DEEPEST, Inheritance, MOST_ROLES, RoleSet, Tangle};
use super::typing::Types;

const MOST_RULES: usize = 10_000;
const MOST_ATTRIBUTES: usize = 256;
const LONGEST_RULE_NAME: usize = 160;

/// Who may do what: checked, and ready to [`decide`](super::decide). Never changes; [`LivePolicy`](super::LivePolicy) replaces one.
#[derive(Debug, Clone)]
pub struct Policy {
    /// In order.
    roles: Vec<Box<str>>,
    pub(super) inheritance: Inheritance,
    everyone: Option<u16>,
    pub(super) rules: Vec<Rule>,
    pub(super) index: Index,
    /// Roles with a rule that reaches other tenants.
    pub(super) crossing: RoleSet,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: Box<str>,
    pub(super) role: u16,
    pub(super) pattern: Pattern,
    pub(super) denies: bool,
    pub(super) when: Option<Condition>,
    pub(super) cross_tenant: bool,
}

impl Policy {
    /// Checks a configuration and makes a policy of it.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: circles of inheritance with the roles in them, roles that are not there, patterns that are none,
    /// conditions over attributes that are not declared or have another type, two rules of one name, and more of anything than the
    /// bounds in [`PolicyConfig`] let in.
    pub fn new(config: &PolicyConfig) -> Result<Self, Violations> {
        let mut wrong = Violations::new();
        let (roles, rules) = (config.roles.len(), count(config));
        wrong.require(roles <= MOST_ROLES, "roles", roles, format!("must be at most {MOST_ROLES}"));
        wrong.require(
            rules <= MOST_RULES,
            "roles",
            rules,
            format!("must have at most {MOST_RULES} rules in all"),
        );
        let attributes = config.attributes.len();
        wrong.require(attributes <= MOST_ATTRIBUTES, "attributes", attributes, "must be at most 256");
        // What is too much is not looked at.
        wrong.into_result()?;
        let roles = config.roles.keys().map(String::as_str).collect();
        let mut draft = Draft { wrong: Violations::new(), config, roles, rules: Vec::with_capacity(rules) };
        let inheritance = draft.inheritance();
        draft.rules();
        let Draft { wrong, rules, .. } = draft;
        wrong.into_result()?;
        Ok(Self::of(config.roles.keys().map(|name| name.as_str().into()).collect(), inheritance, rules))
    }

    fn of(roles: Vec<Box<str>>, inheritance: Inheritance, rules: Vec<Rule>) -> Self {
        let (mut index, mut crossing) = (Index::default(), RoleSet::EMPTY);
        for (number, rule) in (0_u32..).zip(&rules) {
            index.insert(&rule.pattern, number);
            if rule.cross_tenant && !rule.denies {
                crossing.insert(rule.role);
            }
        }
        let mut policy = Self { roles, inheritance, everyone: None, rules, index, crossing };
        policy.everyone = policy.role(EVERYONE);
        policy
    }

    /// The names of its roles, in order.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|name| &**name)
    }

    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn role(&self, name: &str) -> Option<u16> {
        let place = self.roles.binary_search_by(|known| (**known).cmp(name)).ok()?;
        u16::try_from(place).ok()
    }

    pub(super) fn role_name(&self, role: u16) -> &str {
        self.roles.get(usize::from(role)).map_or("", |name| name)
    }

    pub(super) fn comes_with(&self, role: u16) -> &RoleSet {
        self.inheritance.all.get(usize::from(role)).unwrap_or(&RoleSet::EMPTY)
    }

    /// The roles of who has those of these names that are there, `everyone` last.
    pub(super) fn held<'a>(
        &'a self,
        names: impl Iterator<Item = &'a str> + 'a,
    ) -> impl Iterator<Item = u16> + 'a {
        names.filter_map(|name| self.role(name)).chain(self.everyone)
    }
}

impl Validate for PolicyConfig {
    fn validate(&self) -> Result<(), Violations> {
        Policy::new(self).map(drop)
    }
}

fn count(config: &PolicyConfig) -> usize {
    config.roles.values().map(|role| role.allow.len() + role.deny.len()).sum()
}

/// A policy that is being made of a configuration.
struct Draft<'a> {
    wrong: Violations,
    config: &'a PolicyConfig,
    /// In order.
    roles: Vec<&'a str>,
    rules: Vec<Rule>,
}

impl Draft<'_> {
    fn number(&self, role: &str) -> Option<u16> {
        u16::try_from(self.roles.binary_search(&role).ok()?).ok()
    }

    fn name(&self, role: u16) -> &str {
        self.roles.get(usize::from(role)).copied().unwrap_or_default()
    }

    /// Empty when something is wrong with it.
    fn inheritance(&mut self) -> Inheritance {
        let mut parents = Vec::with_capacity(self.config.roles.len());
        for (name, role) in &self.config.roles {
            let good = "must be 1 to 64 letters, digits, `_`, `.` and `-`";
            self.wrong.require(is_name(name), "roles", format!("{name:?}"), good);
            let (mut numbers, mut seen) = (Vec::new(), RoleSet::EMPTY);
            for parent in &role.inherits {
                let number = self.number(parent);
                let (field, quoted) = (format!("roles.{name}.inherits"), format!("{parent:?}"));
                self.wrong.require(number.is_some(), &field, quoted, "must be one of `roles`");
                if let Some(number) = number.filter(|number| !seen.contains(*number)) {
                    seen.insert(number);
                    numbers.push(number);
                }
            }
            parents.push(numbers.into());
        }
        match Inheritance::new(parents) {
            Ok(inheritance) => return inheritance,
            Err(Tangle::Cycle(roles)) => {
                let round = roles
                    .iter()
                    .chain(roles.first())
                    .map(|role| self.name(*role))
                    .collect::<Vec<_>>()
                    .join(" > ");
                let first = roles.first().map_or("", |role| self.name(*role));
                let field = format!("roles.{first}.inherits");
                self.wrong.require(false, &field, round, "must not come back to the same role");
            }
            Err(Tangle::Deep(role)) => {
                let field = format!("roles.{}.inherits", self.name(role));
                let most = format!("a chain of roles must be at most {DEEPEST} long");
                self.wrong.require(false, &field, "too deep", most);
            }
        }
        Inheritance { parents: Vec::new(), all: Vec::new() }
    }

    fn rules(&mut self) {
        for (number, (name, role)) in (0_u16..).zip(&self.config.roles) {
            for (denies, word, rules) in [(false, "allow", &role.allow), (true, "deny", &role.deny)] {
                for (place, rule) in rules.iter().enumerate() {
                    self.rule(rule, number, denies, &format!("{name}.{word}.{place}"));
                }
            }
        }
        let mut names: Vec<&str> = self.rules.iter().map(|rule| &*rule.name).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [one, other] = pair
                && one == other
            {
                self.wrong.require(false, "roles", one, "is the name of two rules; each must have its own");
            }
        }
    }

    fn rule(&mut self, rule: &RuleConfig, role: u16, denies: bool, place: &str) {
        let field = format!("roles.{place}");
        let name = rule.name.as_deref().unwrap_or(place);
        let good = (1..=LONGEST_RULE_NAME).contains(&name.len()) && !name.contains(char::is_control);
        let quoted = format!("{:?}", name.chars().take(80).collect::<String>());
        self.wrong.require(
            good,
            &field,
            quoted,
            "a rule's name must be 1 to 160 bytes without control characters",
        );
        if let Some(when) = &rule.when {
            Types(&self.config.attributes).check(when, &field, &mut self.wrong);
        }
        match Pattern::new(&rule.permission) {
            Ok(pattern) => self.rules.push(Rule {
                name: name.into(),
                role,
                pattern,
                denies,
                when: rule.when.clone(),
                cross_tenant: rule.cross_tenant,
            }),
            Err(error) => {
                let shown = format!("{:?}", rule.permission.chars().take(80).collect::<String>());
                self.wrong.require(false, &field, shown, error.to_string());
            }
        }
    }
}
