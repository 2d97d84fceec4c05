//! What a checkout leaves behind.

use std::sync::Arc;

use offshoot_protocol::offers::{Offer, OfferKind};

use super::{Leaving, Shown, word};
use crate::engine::{Engine, detached, migrations, room};
use crate::failure::Result;

/// The note about a branch: what was told of it last.
const TOLD: &str = "left-told";

/// Looks at a branch that was left, after the fact. Wakes nothing.
pub(super) async fn look(engine: &Arc<Engine>, leaving: Leaving) -> Result<()> {
    let Leaving { key, path, from, to, drained } = leaving;
    let names = move |engine: &Arc<Engine>| {
        let is_meant = room::tells_leaving(engine) && detached::commit_of(engine, from)?.is_none();
        Ok(is_meant.then_some((engine.store.branch(from)?.name, engine.store.branch(to)?.name)))
    };
    let Some((branch, into)) = engine.blocking(names).await? else { return Ok(()) };
    let transactions = match drained {
        Some(drained) => drained.await.unwrap_or(0),
        None => 0,
    };
    let migrations::Left { ran, changed } = migrations::left(engine, &path, from, &branch).await?;
    if ran.is_empty() && changed.is_none() && transactions == 0 {
        return Ok(());
    }
    // Once: until it has something else.
    let telling = format!("{into} {} {}", changed.as_deref().unwrap_or_default(), ran.join(" "));
    let is_news = engine.blocking(move |engine| {
        let is_known = engine.store.note(from, TOLD)?.as_ref() == Some(&telling);
        if !is_known {
            engine.store.set_note(from, TOLD, &telling)?;
        }
        Ok(!is_known || transactions > 0)
    });
    let is_back = engine.binding.view(&key).await?.branch.as_ref() == Ok(&from);
    if !is_news.await? || is_back {
        return Ok(());
    }
    let mut offer = Offer {
        kind: OfferKind::Left,
        branch,
        into: Some(into),
        migrations: ran,
        changes: changed.is_some(),
        transactions,
        apply: false,
        keeps: false,
        text: String::new(),
        hint: String::new(),
    };
    word(&mut offer);
    engine.offers.put(engine, Shown { key, about: from, runs_on: from, offer });
    Ok(())
}
