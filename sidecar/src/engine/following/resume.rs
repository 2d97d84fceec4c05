//! `follow/resume`: what is followed has another password, or another address. What was copied stays.

use std::sync::Arc;
use std::time::SystemTime;

use offshoot_protocol::follow::{FollowResumeParams, FollowState, FollowStatus};

use super::super::Engine;
use super::status;
use crate::address::with_password;
use crate::failure::{Failure, Result};
use crate::init::database_of;

/// Goes on with what the source takes now. If it does not take that, all stays what it was.
pub(in crate::engine) async fn resume(
    engine: &Arc<Engine>,
    params: FollowResumeParams,
) -> Result<FollowStatus> {
    let _turn = engine.following.turn.lock().await;
    engine.blocking(move |engine| follow_at(engine, params)).await?;
    engine.following.set(FollowState::Waiting, None);
    engine.following.told().next = Some(SystemTime::now());
    engine.following.due.notify_one();
    engine.branches_changed();
    status(engine).await
}

/// Takes the address, if the source takes it. Blocks.
fn follow_at(engine: &Engine, params: FollowResumeParams) -> Result<()> {
    if engine.store.following()?.is_none() {
        return Err(
            Failure::user("nothing is followed").hint("`offshoot follow start --from URL` follows a server.")
        );
    }
    let url = match params.from {
        Some(url) => url,
        None => engine.store.followed_url()?,
    };
    let url = params.password.map_or_else(|| url.clone(), |password| with_password(&url, &password));
    let database = database_of(&url).filter(|_| url.starts_with("postgres")).ok_or_else(|| {
        Failure::user("that is not the URL of a database of a server")
            .hint("It looks like postgres://USER:PASSWORD@HOST/DATABASE.")
    })?;
    Ok(engine.store.follow_at(&url, &database)?)
}
