//! `policy/explain`: which line decides what about a branch.

use std::path::Path;
use std::sync::Arc;

use offshoot_protocol::policy::{PolicyBy, PolicyExplainParams, PolicyExplained, PolicyPlace, PolicySetting};
use offshoot_storage::Branch;

use super::{Birthplace, Now, now, place};
use crate::config::rules::{At, Initial, READER, Rule};
use crate::config::{ConfigFile, FILE_NAME, duration_text};
use crate::engine::Engine;
use crate::engine::book::Book;
use crate::failure::Result;
use crate::{names, size};

/// `policy/explain`.
pub(in crate::engine) async fn explain(
    engine: &Arc<Engine>,
    params: PolicyExplainParams,
) -> Result<PolicyExplained> {
    names::check(&params.name)?;
    engine.blocking(move |engine| Asked::new(engine, params)?.answer()).await
}

struct Asked<'e> {
    engine: &'e Engine,
    name: String,
    /// The file of the worktree that the person stands in.
    here: ConfigFile,
    now: Now,
    branch: Option<Branch>,
}

impl<'e> Asked<'e> {
    fn new(engine: &'e Engine, params: PolicyExplainParams) -> Result<Self> {
        let branch = engine.store.branch_named(&params.name)?;
        let here = ConfigFile::open(Path::new(&params.path));
        Ok(Self { engine, name: params.name, here, now: now(engine)?, branch })
    }

    fn answer(self) -> Result<PolicyExplained> {
        self.now.known("no rule is known; those that are committed go on protecting branches.")?;
        let rule = self.now.rule(&self.name);
        let settings = vec![
            self.parent(rule),
            self.ttl(rule)?,
            self.protected()?,
            self.masking()?,
            self.writers(),
            self.on_checkout(rule)?,
            self.max_bytes(rule)?,
            given("extensions", rule, |initial| initial.extensions.as_ref()),
            given("roles", rule, |initial| initial.roles.as_ref()),
            given("grants", rule, |initial| initial.grants.as_ref()),
            self.tier(),
            self.checks(),
            self.limit()?,
        ];
        let place = rule.map(|rule| place(rule.pattern.line, rule));
        Ok(PolicyExplained { exists: self.branch.is_some(), rule: place, settings, name: self.name })
    }

    fn parent(&self, rule: Option<&Rule>) -> PolicySetting {
        let said = rule.and_then(|rule| Some((rule, rule.parent.as_ref()?)));
        let mut setting = decided("parent", said, Clone::clone);
        if setting.by == PolicyBy::Default {
            setting.value = Some("the branch that it is cut from".to_owned());
        }
        if let Some(branch) = &self.branch {
            setting.note = match &branch.parent_name {
                Some(parent) if setting.value.as_ref() != Some(parent) => {
                    Some(format!("it was made from `{parent}`"))
                }
                None => Some("it is the root branch".to_owned()),
                Some(_) => None,
            };
        }
        setting
    }

    fn ttl(&self, rule: Option<&Rule>) -> Result<PolicySetting> {
        let said = rule.and_then(|rule| Some((rule, rule.ttl.as_ref()?)));
        let mut setting = decided("ttl", said, |ttl| duration_text(*ttl));
        if let Some(branch) = &self.branch {
            setting.note = Book(&self.engine.store)
                .expiry(branch.id)?
                .map(|at| {
                    let at = std::time::Duration::from_secs(at);
                    format!("it goes to the trash at {}", &crate::timestamp::utc(at)[..16].replace('T', " "))
                })
                .map(|note| format!("{note} UTC"));
        }
        Ok(setting)
    }

    fn protected(&self) -> Result<PolicySetting> {
        let by_hand = match &self.branch {
            Some(branch) => Book(&self.engine.store).is_protected(branch.id)?,
            None => false,
        };
        let guard = self.now.guard(&self.name);
        let said = self.now.rule(&self.name).and_then(|rule| Some((rule, rule.protected.as_ref()?)));
        let by_command = || "`offshoot branch protect` did that".to_owned();
        Ok(match guard {
            Some(guard) => PolicySetting {
                key: "protected".to_owned(),
                value: Some("true".to_owned()),
                by: PolicyBy::File,
                note: self.fixed().or_else(|| by_hand.then(|| format!("{} too", by_command()))),
                place: Some(guard.place),
            },
            None if by_hand => PolicySetting {
                key: "protected".to_owned(),
                value: Some("true".to_owned()),
                by: PolicyBy::Person,
                note: Some(by_command()),
                place: None,
            },
            None => {
                let setting = decided("protected", said, ToString::to_string);
                PolicySetting { value: Some("false".to_owned()), ..setting }
            }
        })
    }

    /// That `--override` is of no use.
    fn fixed(&self) -> Option<String> {
        let PolicyPlace { file, line, .. } = self.now.fixed(&self.name)?;
        Some(format!("`--override` does not go past it ({file}:{line})"))
    }

    fn masking(&self) -> Result<PolicySetting> {
        let store = &self.engine.store;
        let parent =
            self.now.rule(&self.name).and_then(|rule| rule.parent.as_ref()).map(|at| at.value.as_str());
        let from = match (&self.branch, parent) {
            (Some(branch), _) => Some(branch.id),
            (None, Some(parent)) => store.branch_named(parent)?.map(|parent| parent.id),
            (None, None) => None,
        };
        let found = self.now.masking(self.engine, &self.name, from.map(Birthplace::Of))?;
        let said = self.now.rule(&self.name).and_then(|rule| Some((rule, rule.masking.as_ref()?)));
        let said = decided("masking", said, |level| level.as_str().to_owned());
        Ok(match found {
            Some((place, why)) => PolicySetting {
                value: Some("required".to_owned()),
                by: PolicyBy::File,
                note: why,
                place: Some(place),
                ..said
            },
            None => PolicySetting { value: Some("any".to_owned()), ..said },
        })
    }

    fn writers(&self) -> PolicySetting {
        let writers = self.now.writers(&self.name);
        let names = writers.as_ref().map(|writers| writers.names().collect::<Vec<_>>().join(", "));
        PolicySetting {
            key: "writers".to_owned(),
            value: Some(names.map_or_else(
                || "all".to_owned(),
                |names| if names.is_empty() { "[]".to_owned() } else { names },
            )),
            by: if writers.is_some() { PolicyBy::File } else { PolicyBy::Default },
            note: writers.as_ref().map(|_| {
                let past = match self.now.fixed(&self.name) {
                    None => "`offshoot promote` and `--override` write",
                    Some(_) => "`offshoot promote` writes, and `--override` does not",
                };
                format!("other sessions only read, as `{READER}`; {past}")
            }),
            place: writers.map(|writers| writers.place().clone()),
        }
    }

    fn on_checkout(&self, rule: Option<&Rule>) -> Result<PolicySetting> {
        let setting = |value: &str, by, place, note: Option<&str>| PolicySetting {
            key: "on_checkout".to_owned(),
            value: Some(value.to_owned()),
            by,
            place,
            note: note.map(str::to_owned),
        };
        if Book(&self.engine.store).never()? {
            let note = "`offshoot answer never` did that; `offshoot answer ask` takes it back";
            return Ok(setting("switch", PolicyBy::Person, None, Some(note)));
        }
        if let Some((rule, word)) = rule.and_then(|rule| Some((rule, rule.on_checkout.as_ref()?))) {
            let place = Some(place(word.line, rule));
            return Ok(setting(word.value.as_str(), PolicyBy::File, place, None));
        }
        let config = self.here.config();
        Ok(match config.on_checkout_line {
            Some(line) => {
                let place = PolicyPlace { file: FILE_NAME.to_owned(), line, pattern: None };
                setting(config.on_checkout.as_str(), PolicyBy::File, Some(place), None)
            }
            None => setting(config.on_checkout.as_str(), PolicyBy::Default, None, None),
        })
    }

    fn max_bytes(&self, rule: Option<&Rule>) -> Result<PolicySetting> {
        let said = rule.and_then(|rule| Some((rule, rule.max_bytes.as_ref()?)));
        let mut setting = decided("max_bytes", said, |most| size::show(*most));
        if let Some(branch) = &self.branch {
            let own = self.engine.store.size(branch.id)?.own_bytes;
            setting.note = Some(format!("it has {} of its own", size::show(own)));
        }
        Ok(setting)
    }

    /// Which tier it is, and where its migrations go.
    fn tier(&self) -> PolicySetting {
        let own = self.now.tier(&self.name);
        let next = self.now.next_tier(&self.name);
        PolicySetting {
            key: "tier".to_owned(),
            value: own.as_ref().map(|_| "yes".to_owned()),
            by: if own.is_some() { PolicyBy::File } else { PolicyBy::Default },
            note: match (&own, next) {
                (_, Some(next)) => Some(format!("its migrations are promoted to `{}`", next.branch)),
                (Some(_), None) => Some("it is the last".to_owned()),
                (None, None) => None,
            },
            place: own.map(|own| own.place),
        }
    }

    /// What has to hold before migrations come to it.
    fn checks(&self) -> PolicySetting {
        let own = self.now.tier(&self.name);
        let mut words: Vec<String> = Vec::new();
        let mut place = None;
        if let Some(own) = &own {
            words.extend(own.checks.iter().map(|(check, _)| check.as_str().to_owned()));
            words.extend(own.max_lock.as_ref().map(|(most, _)| format!("max_lock {}", duration_text(*most))));
            words.extend(
                own.max_rewrite.as_ref().map(|(most, _)| format!("max_rewrite {}", size::show(*most))),
            );
            place = own.checks.iter().find_map(|(_, place)| place.clone());
            place = place.or_else(|| own.max_lock.as_ref().map(|(_, place)| place.clone()));
            place = place.or_else(|| own.max_rewrite.as_ref().map(|(_, place)| place.clone()));
        }
        PolicySetting {
            key: "tier.checks".to_owned(),
            value: (!words.is_empty()).then(|| words.join("; ")),
            by: if place.is_some() { PolicyBy::File } else { PolicyBy::Default },
            note: own
                .and_then(|own| own.strict)
                .map(|place| format!("`--override` goes past none ({}:{})", place.file, place.line)),
            place,
        }
    }

    fn limit(&self) -> Result<PolicySetting> {
        let most = self.now.most_branches();
        let count = self.engine.store.branches()?.len();
        Ok(PolicySetting {
            key: "limits.branches".to_owned(),
            value: most.map(|most| most.value.to_string()),
            by: if most.is_some() { PolicyBy::File } else { PolicyBy::Default },
            place: most.map(|most| PolicyPlace {
                file: FILE_NAME.to_owned(),
                line: most.line,
                pattern: None,
            }),
            note: Some(format!("there are {count}")),
        })
    }
}

/// What a rule gives a new branch of one kind.
fn given<T: ToString>(
    key: &str,
    rule: Option<&Rule>,
    of: impl Fn(&Initial) -> Option<&At<Vec<T>>>,
) -> PolicySetting {
    let said = rule.and_then(|rule| Some((rule, of(&rule.initial)?)));
    decided(key, said, |list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// What a rule says, or that it says nothing.
fn decided<T>(key: &str, said: Option<(&Rule, &At<T>)>, show: impl Fn(&T) -> String) -> PolicySetting {
    PolicySetting {
        key: key.to_owned(),
        value: said.map(|(_, at)| show(&at.value)),
        by: if said.is_some() { PolicyBy::File } else { PolicyBy::Default },
        place: said.map(|(rule, at)| place(at.line, rule)),
        note: None,
    }
}
