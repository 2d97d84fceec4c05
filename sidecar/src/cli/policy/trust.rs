//! `offshoot policy trust`.

use offshoot_protocol::hooks::{Trust, TrustParams};
use offshoot_protocol::method::PolicyTrust;

use super::agreed;
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::cli::{NEGATIVE, OK};
use crate::config::FILE_NAME;
use crate::failure::Result;

pub(super) fn run(yes: bool, revoke: bool, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let mut trust = session.call::<PolicyTrust>(&TrustParams { trust: None, revoke })?;
    let has_some = !revoke || !trust.commands.is_empty();
    if has_some && !output.json {
        output.lines(&shown(&trust, output));
    }
    let asks = !revoke && !trust.trusted && !trust.commands.is_empty();
    if asks {
        let question = "Run these by themselves from now on?";
        if !yes && !agreed(question, "they stand in `offshoot.toml`", output)? {
            return Ok(NEGATIVE);
        }
        let digest = Some(trust.digest.clone());
        trust = session.call::<PolicyTrust>(&TrustParams { trust: digest, revoke: false })?;
    }
    if output.json {
        output.value(&trust)?;
    } else if revoke {
        output.line("None of them runs any more.");
    } else if trust.trusted {
        output.line("They are trusted as they are.");
    }
    Ok(OK)
}

fn shown(trust: &Trust, output: Output) -> String {
    if trust.commands.is_empty() {
        return format!("There are no commands in {FILE_NAME}.");
    }
    let line = |command: &offshoot_protocol::hooks::HookCommand| {
        let place = format!("{} ({FILE_NAME}:{}):", command.key, command.line);
        format!("{} {}", output.strong(&place), plain(&command.command))
    };
    trust.commands.iter().map(line).collect::<Vec<_>>().join("\n")
}
