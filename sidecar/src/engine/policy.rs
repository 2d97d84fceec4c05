//! What the rules of `offshoot.toml` say about branches, and who may go against them.
//!
//! The file of the main work tree counts. A git branch that is checked out there brings its own copy of the file along, so that a guard
//! also holds if the file says so as it is committed on the git branch of the root's name: a branch cannot take the guard of another one
//! away by editing its copy.

mod explain;
mod masked;
mod plan;
mod tiers;
mod writers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offshoot_protocol::error::Reason;
use offshoot_protocol::policy::PolicyPlace;

pub(super) use explain::explain;
pub(super) use masked::{Birthplace, imported, may_be_made, of_a_bundle};
pub(super) use plan::{apply, plan};
pub(super) use tiers::Wanted;
pub(super) use writers::{Login, may_write, note};

use super::{Engine, room};
use crate::config::rules::{At, Initial, Rule};
use crate::config::{ConfigError, FILE_NAME, MAX_BYTES, OnCheckout, Rules, broken, parse_all};
use crate::failure::{Failure, Result};

/// What is remembered of the rules.
#[derive(Debug, Default)]
pub(super) struct Policy {
    committed: Mutex<Option<Committed>>,
    /// Held while a branch is made whose number is limited.
    births: Mutex<()>,
}

/// The rules as they are committed on the git branch of the root's name.
#[derive(Clone, Debug)]
struct Committed {
    branch: String,
    tip: String,
    rules: Arc<Rules>,
}

/// The rules that hold at a moment.
#[derive(Debug)]
pub(super) struct Now {
    /// Those of the main work tree's file.
    file: Arc<Rules>,
    /// Those that are committed, with the git branch, if they are others.
    committed: Option<(String, Arc<Rules>)>,
    /// Why the file's are not known.
    broken: Option<ConfigError>,
}

/// Why a branch is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) place: PolicyPlace,
    /// The git branch on which the rule is committed, if the file of the work tree does not say so.
    committed_on: Option<String>,
}

/// Something that a guard forbids.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    /// The command that does it.
    command: String,
    /// Whether the person said that it is meant against the rules.
    overridden: bool,
}

impl Deed {
    pub(super) fn new(command: impl Into<String>, overridden: bool) -> Self {
        Self { command: command.into(), overridden }
    }
}

/// The command that makes a branch by hand.
#[derive(Clone, Debug)]
pub(super) struct Making {
    pub(super) command: String,
    /// Whether it says what the branch is made from. Without the rules nothing else does.
    names_parent: bool,
}

impl Making {
    /// By its name alone: rules, or git, say what from.
    pub(super) fn by_name(name: &str) -> Self {
        Self { command: format!("offshoot branch create {name}"), names_parent: false }
    }

    /// As `from` was at `at`.
    pub(super) fn at(name: &str, from: &str, at: &str) -> Self {
        Self { command: format!("offshoot branch create {name} --from {from} --at {at}"), names_parent: true }
    }
}

/// What rules say of a branch that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Birth {
    /// Name of its parent, and the line that says so.
    pub(super) parent: Option<(String, usize)>,
    /// How long after now it goes to the trash.
    pub(super) ttl: Option<Duration>,
    /// What a checkout does.
    pub(super) on_checkout: Option<OnCheckout>,
}

/// The rules that hold now. Reads the file if it changed, and git's tip of the root's branch. Blocks, not for long.
pub(super) fn now(engine: &Engine) -> Result<Now> {
    let (file, broken) = room::with_file(engine, |file| match file {
        Some(file) => (Arc::clone(&file.config().rules), file.never_read().cloned()),
        None => (Arc::default(), None),
    });
    let committed = committed(engine)?
        .filter(|committed| committed.rules != file)
        .map(|committed| (committed.branch, committed.rules));
    Ok(Now { file, committed, broken })
}

fn committed(engine: &Engine) -> Result<Option<Committed>> {
    let branch = engine.store.branch(engine.store.root_branch())?.name;
    let lock = || engine.policy.committed.lock().unwrap_or_else(PoisonError::into_inner);
    let before = lock().clone().filter(|before| before.branch == branch);
    let tip = match engine.repository.tip(&branch) {
        Ok(Some(tip)) => tip,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::warn!(%error, branch, "cannot read the tip of the root's git branch");
            return Ok(before);
        }
    };
    if before.as_ref().is_some_and(|before| before.tip == tip) {
        return Ok(before);
    }
    let text = match engine.repository.file_at(&tip, FILE_NAME, MAX_BYTES) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, branch, "cannot read the committed {FILE_NAME}");
            return Ok(before);
        }
    };
    // A mistake somewhere else in it must not take a guard away.
    let (config, _) = parse_all(&String::from_utf8_lossy(&text));
    let now = Committed { branch, tip, rules: config.rules };
    *lock() = Some(now.clone());
    Ok(Some(now))
}

impl Now {
    /// The rule that decides about branches of this name.
    pub(super) fn rule(&self, name: &str) -> Option<&Rule> {
        self.file.find(name)
    }

    /// Why branches of this name are protected, if a rule says so.
    pub(super) fn guard(&self, name: &str) -> Option<Guard> {
        if let Some((rule, line)) = guarding(&self.file, name) {
            return Some(Guard { place: place(line, rule), committed_on: None });
        }
        let (branch, rules) = self.committed.as_ref()?;
        let (rule, line) = guarding(rules, name)?;
        let mut place = place(line, rule);
        place.file = format!("{branch}:{FILE_NAME}");
        Some(Guard { place, committed_on: Some(branch.clone()) })
    }

    /// Whether a rule protects branches of this name, and lets `--override` go past that.
    pub(super) fn may_override_guard(&self, name: &str) -> bool {
        self.guard(name).is_some() && self.fixed(name).is_none()
    }

    /// From how many bytes of its own on it is told of a branch.
    pub(super) fn max_bytes(&self, name: &str) -> Option<u64> {
        self.rule(name)?.max_bytes.as_ref().map(|most| most.value)
    }

    /// What a new branch of this name is given before anybody connects to it, if that is anything.
    pub(super) fn initial(&self, name: &str) -> Option<Initial> {
        self.rule(name).map(|rule| rule.initial.clone()).filter(|initial| !initial.is_empty())
    }

    pub(super) fn most_branches(&self) -> Option<&At<u64>> {
        self.file.most_branches.as_ref()
    }

    /// What holds for a branch of this name that is to be made.
    pub(super) fn birth(&self, name: &str) -> Birth {
        let Some(rule) = self.rule(name) else { return Birth::default() };
        Birth {
            parent: rule.parent.as_ref().map(|parent| (parent.value.clone(), parent.line)),
            ttl: rule.ttl.as_ref().map(|ttl| ttl.value),
            on_checkout: rule.on_checkout.as_ref().map(|word| word.value),
        }
    }

    /// The line by which `--override` goes past nothing, if there is one.
    fn fixed(&self, name: &str) -> Option<PolicyPlace> {
        let of = |rules: &Rules| {
            let rule = rules.find(name)?;
            Some(place(rule.is_fixed()?, rule))
        };
        of(&self.file).or_else(|| {
            let (branch, rules) = self.committed.as_ref()?;
            Some(PolicyPlace { file: format!("{branch}:{FILE_NAME}"), ..of(rules)? })
        })
    }

    /// Refuses what somebody means against a rule that nobody goes past; `rule` says what it forbids.
    fn check_fixed(&self, name: &str, rule: impl std::fmt::Display) -> Result<()> {
        let Some(place) = self.fixed(name) else { return Ok(()) };
        let PolicyPlace { file, line, .. } = place;
        Err(Failure::user(format!("{rule}, and `--override` does not go past that ({file}, line {line})"))
            .hint("Change the rule where it stands. One that is committed counts until the change is committed, too."))
    }

    /// Refuses what a guard forbids, unless the person said that it is meant.
    pub(super) fn check(&self, name: &str, deed: &Deed) -> Result<()> {
        let guard = self.guard(name);
        if let Some(guard) = &guard {
            self.check_fixed(name, format!("`{name}` is protected by {guard}"))?;
        }
        if deed.overridden {
            if let Some(guard) = guard {
                tracing::info!(branch = name, command = deed.command, rule = %guard, "against a rule");
            }
            return Ok(());
        }
        let command = &deed.command;
        if let Some(guard) = guard {
            let lift = guard.committed_on.as_ref().map_or_else(String::new, |branch| {
                format!("\nA change of the rule counts when it is committed on `{branch}`.")
            });
            return Err(Failure::user(format!("`{name}` is protected by {guard}"))
                .reason(Reason::Ruled)
                .hint(format!("`{command} --override` does it all the same.{lift}")));
        }
        self.known(format_args!(
            "it is not known whether `{name}` is protected; `{command} --override` does it all the same."
        ))
    }

    /// Refuses where the file's rules are not known; `until_then` says what that means until it is put right.
    pub(super) fn known(&self, until_then: impl std::fmt::Display) -> Result<()> {
        let Some(error) = &self.broken else { return Ok(()) };
        let failure = broken(error);
        let hint = failure.0.hint.clone().unwrap_or_default();
        Err(failure.reason(Reason::Ruled).hint(format!("{hint}\nUntil then {until_then}")))
    }
}

fn guarding<'r>(rules: &'r Rules, name: &str) -> Option<(&'r Rule, usize)> {
    let rule = rules.find(name)?;
    Some((rule, rule.guards()?))
}

fn place(line: usize, rule: &Rule) -> PolicyPlace {
    PolicyPlace { file: FILE_NAME.to_owned(), line, pattern: Some(rule.pattern.value.to_string()) }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.committed_on {
            None => write!(f, "{FILE_NAME}, line {}", self.place.line),
            Some(branch) => write!(f, "{FILE_NAME} as committed on `{branch}`, line {}", self.place.line),
        }
    }
}

/// Refuses to make one more branch than the file allows, or any while it is not known what that says. What is returned has to be held
/// until it is made. Blocks.
pub(super) fn admit<'e>(
    engine: &'e Engine,
    now: &Now,
    name: &str,
    overridden: bool,
) -> Result<Option<MutexGuard<'e, ()>>> {
    admit_by(engine, now, name, &Making::by_name(name), overridden)
}

/// The same for a branch that is made by hand as `making` says. Blocks.
pub(super) fn admit_by<'e>(
    engine: &'e Engine,
    now: &Now,
    name: &str,
    making: &Making,
    overridden: bool,
) -> Result<Option<MutexGuard<'e, ()>>> {
    let Making { command, names_parent } = making;
    if !overridden {
        let from = if *names_parent { "" } else { " --from OTHER" };
        now.known(format_args!(
            "it is not known which rules hold for `{name}`, and it is not made; \
             `{command}{from} --override` makes it all the same, without any."
        ))?;
    }
    let Some(most) = now.most_branches().filter(|_| !overridden) else { return Ok(None) };
    let turn = engine.policy.births.lock().unwrap_or_else(PoisonError::into_inner);
    let count = engine.store.branches()?.len() as u64;
    if count < most.value {
        return Ok(Some(turn));
    }
    Err(Failure::user(format!(
        "there are {count} database branches, and `limits.branches` allows {} ({FILE_NAME}, line {}): `{name}` is not made",
        most.value, most.line
    ))
    .reason(Reason::Ruled)
    .hint(format!(
        "`offshoot branch list` shows them, and `offshoot branch delete NAME` makes room; or raise the limit. \
         `{command} --override` makes it all the same."
    )))
}

/// What is said where the parent that a rule names is not there.
pub(super) fn no_parent(name: &str, parent: &str, line: usize) -> Failure {
    Failure::user(format!(
        "`{name}` is made from `{parent}` ({FILE_NAME}, line {line}), and there is no database branch `{parent}`"
    ))
    .hint(format!(
        "Make that one first: `offshoot branch create {parent}`; or `offshoot branch create {name} --from OTHER --override`."
    ))
}

/// Refuses another parent than the one that a rule names.
pub(super) fn check_parent(name: &str, from: &str, birth: &Birth, overridden: bool) -> Result<()> {
    let Some((parent, line)) = birth.parent.as_ref().filter(|_| !overridden) else { return Ok(()) };
    let is_of_parent = from.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'));
    if is_of_parent {
        return Ok(());
    }
    Err(Failure::user(format!("`{name}` is made from `{parent}` ({FILE_NAME}, line {line}), not from `{from}`"))
        .reason(Reason::Ruled)
        .hint(format!(
            "Leave `--from` out, or say `--from {parent}`. `offshoot branch create {name} --from {from} --override` makes it all the same."
        )))
}
