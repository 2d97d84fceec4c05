//! `masking = "required"`: that a branch has no data that came into the store past the rules for masking.
//!
//! Data are masked while they are imported, so that all branches of one state of the root share that. What was masked is known by the mark
//! that each import gives the root, and that goes along when the root is restored or brought back.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use offshoot_protocol::error::Reason;
use offshoot_protocol::policy::{PolicyPlace, PolicyUnmasked};
use offshoot_storage::{BranchId, REFRESHED};

use super::{Now, now, place};
use crate::config::FILE_NAME;
use crate::config::rules::Rule;
use crate::engine::{Engine, refresh};
use crate::failure::{Failure, Result};

/// Under which name the store has the columns that each import masked, by the import's mark.
const IMPORTS: &str = "masked-by-import";
/// The mark of the import that `init` did.
const FIRST: &str = "0";
/// Under which name the notes of a branch tell that it came in a bundle.
const BUNDLED: &str = "bundled";

/// What an import masked; nothing if nothing was imported.
type Masked = Option<Vec<String>>;

/// What a new branch is made of.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Birthplace {
    /// A branch, or a snapshot, as it is.
    Of(BranchId),
    /// A branch as it was once.
    PastOf(BranchId),
    /// A colleague's bundle.
    Bundle,
}

/// What rules ask for.
struct Wanted {
    columns: Vec<String>,
    place: PolicyPlace,
}

impl Now {
    fn wants_masked(&self, name: &str) -> Option<Wanted> {
        let of = |rule: Option<&Rule>, file: &str| {
            let rule = rule?;
            let line = rule.wants_masked()?;
            Some(PolicyPlace { file: file.to_owned(), ..place(line, rule) })
        };
        let mut columns = self.file.masked.clone();
        let mut place = of(self.rule(name), FILE_NAME);
        if let Some((branch, rules)) = &self.committed {
            place = place.or_else(|| of(rules.find(name), &format!("{branch}:{FILE_NAME}")));
            columns.extend(rules.masked.iter().filter(|column| !self.file.masked.contains(column)).cloned());
        }
        place.map(|place| Wanted { columns, place })
    }

    /// The line that asks for masked data, if one does, and why those of a branch are not. Blocks.
    pub(super) fn masking(
        &self,
        engine: &Engine,
        name: &str,
        from: Option<Birthplace>,
    ) -> Result<Option<(PolicyPlace, Option<String>)>> {
        let Some(wanted) = self.wants_masked(name) else { return Ok(None) };
        let why = match from {
            Some(from) => lacking(engine, &wanted.columns, from)?,
            None => None,
        };
        Ok(Some((wanted.place, why)))
    }
}

/// Refuses to make a branch whose rule wants masked data of others, unless that is meant. Blocks.
pub(in crate::engine) fn may_be_made(
    engine: &Engine,
    name: &str,
    from: Birthplace,
    command: &str,
    overridden: bool,
) -> Result<()> {
    let Some((place, Some(why))) = now(engine)?.masking(engine, name, Some(from))? else { return Ok(()) };
    let line = format!("{}, line {}", place.file, place.line);
    if overridden {
        tracing::info!(branch = name, command, rule = line, why, "against a rule");
        return Ok(());
    }
    Err(Failure::user(format!("`{name}` is to have masked data only ({line}): {why}")).reason(Reason::Ruled).hint(
        format!(
            "`offshoot refresh --from …` takes the data anew, masked; `offshoot branch reset` gives branches them. \
             `{command} --override` does it all the same."
        ),
    ))
}

/// Branches that could not be made of the data that they have. Blocks.
pub(super) fn unmasked(engine: &Engine, rules: &Now) -> Result<Vec<PolicyUnmasked>> {
    let mut found = Vec::new();
    for branch in engine.store.branches()? {
        if let Some((place, Some(why))) =
            rules.masking(engine, &branch.name, Some(Birthplace::Of(branch.id)))?
        {
            found.push(PolicyUnmasked { name: branch.name, why, place });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Remembers what an import masked, or that nothing was imported, of what has just become the root. `before` is what the one that
/// `init` made had. Blocks.
pub(in crate::engine) fn imported(engine: &Engine, before: Option<Masked>, is_import: bool) -> Result<()> {
    let mut imports = imports(engine)?;
    if let Some(before) = before {
        imports.entry(FIRST.to_owned()).or_insert(before);
    }
    let root = engine.store.root_branch();
    if let Some(mark) = engine.store.note(root, REFRESHED)? {
        imports.insert(mark, if is_import { engine.store.masked_columns()? } else { None });
    }
    let text = serde_json::to_string(&imports).map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.put(IMPORTS, Some(&text))?)
}

/// Remembers that a branch came in a bundle. Blocks.
pub(in crate::engine) fn of_a_bundle(engine: &Engine, id: BranchId) -> Result<()> {
    Ok(engine.store.set_note(id, BUNDLED, "yes")?)
}

fn imports(engine: &Engine) -> Result<BTreeMap<String, Masked>> {
    let text = engine.store.get(IMPORTS)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Why the data are not known to be masked in all these columns.
fn lacking(engine: &Engine, columns: &[String], from: Birthplace) -> Result<Option<String>> {
    let store = &engine.store;
    let root = store.root_branch();
    let mark = store.note(root, REFRESHED)?;
    let (id, is_past) = match from {
        Birthplace::Of(id) => (id, false),
        Birthplace::PastOf(id) => (id, true),
        Birthplace::Bundle => return Ok(Some("what is in a bundle is not known to be masked".to_owned())),
    };
    if let Some(why) = other_data(engine, id, is_past, mark.as_deref())? {
        return Ok(Some(why));
    }
    let imports = imports(engine)?;
    let masked = match (imports.get(mark.as_deref().unwrap_or(FIRST)), &mark) {
        (Some(masked), _) => masked.clone(),
        (None, None) => store.masked_columns()?,
        (None, Some(_)) => {
            return Ok(Some("it is not known what was masked when its data were imported".to_owned()));
        }
    };
    Ok(match masked {
        // Nothing was imported: what is there was made here.
        None => None,
        Some(masked) if masked.is_empty() => Some("its data were imported without masking".to_owned()),
        Some(masked) => {
            let lost: Vec<&str> =
                columns.iter().filter(|column| !masked.contains(column)).map(String::as_str).collect();
            (!lost.is_empty())
                .then(|| format!("its data were imported before there was a rule for {}", lost.join(", ")))
        }
    })
}

/// Why the data are not those of the root as it is.
fn other_data(engine: &Engine, id: BranchId, is_past: bool, mark: Option<&str>) -> Result<Option<String>> {
    let branches = engine.store.branches()?;
    let older = || Some("its data are from before the newest import".to_owned());
    let (mut next, mut seen) = (Some(id), HashSet::new());
    while let Some(one) = next.filter(|one| seen.insert(*one)) {
        if engine.store.note(one, BUNDLED).ok().flatten().is_some() {
            return Ok(Some("its data came in a bundle, and are not known to be masked".to_owned()));
        }
        next = branches.iter().find(|branch| branch.id == one).and_then(|branch| branch.parent);
    }
    let Some(refreshed) = mark.and_then(|mark| mark.parse().ok()) else { return Ok(None) };
    if is_past || refresh::stale(&engine.store, &branches)?.contains_key(&id) {
        return Ok(older());
    }
    if branches.iter().any(|branch| branch.id == id) {
        return Ok(None);
    }
    // A snapshot: of that time or of before.
    let refreshed = UNIX_EPOCH + Duration::from_millis(refreshed);
    let mut is_newer = false;
    for branch in &branches {
        let snapshots = engine.store.snapshots(branch.id)?;
        is_newer |= snapshots.iter().any(|one| one.id == id && one.created_at >= refreshed);
    }
    Ok(if is_newer { None } else { older() })
}
