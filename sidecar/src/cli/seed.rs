//! `offshoot seed …`: what seeds have made, and is kept for the next time.

use std::time::SystemTime;

use offshoot_storage::{KeptSeeds, SeedCache};
use serde_json::json;

use super::args::SeedCommand;
use super::output::{Output, bytes};
use super::plain::plain;
use super::progress::Shown;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::{sys, timestamp};

pub(super) fn run(command: &SeedCommand, output: Output) -> Result<u8> {
    let dir = Paths::from_env()?.seeds();
    match command {
        SeedCommand::List => list(&SeedCache::list(&dir), output)?,
        SeedCommand::Clear => {
            // Somebody may be copying what is to go.
            sys::catch_interrupts();
            let kept = SeedCache::clear(&dir, &Shown::new(output.json)).map_err(Failure::from)?;
            let (seeds, freed) = (kept.seeds.len(), kept.bytes());
            if output.json {
                output.value(&json!({ "seeds": seeds, "freedBytes": freed }))?;
            } else if freed == 0 {
                output.line("Nothing is kept.");
            } else {
                let what = match seeds {
                    0 => "what is damaged or unfinished".to_owned(),
                    1 => "what 1 seed has made".to_owned(),
                    _ => format!("what {seeds} seeds have made"),
                };
                output.line(format!("Removed {what}: {} are free again.", bytes(freed)));
            }
        }
    }
    Ok(super::OK)
}

fn list(kept: &KeptSeeds, output: Output) -> Result<()> {
    let total = kept.bytes();
    if output.json {
        let seeds: Vec<_> = kept
            .seeds
            .iter()
            .map(|seed| {
                json!({ "id": seed.id, "what": seed.what, "bytes": seed.bytes,
                        "madeAt": timestamp::seconds(seed.made_at), "usedAt": timestamp::seconds(seed.used_at) })
            })
            .collect();
        return output
            .value(&json!({ "bytes": total, "seeds": seeds, "unusableBytes": kept.unusable_bytes }));
    }
    let now = timestamp::seconds(SystemTime::now());
    let ago = |at: SystemTime| timestamp::ago(now.saturating_sub(timestamp::seconds(at)));
    for seed in &kept.seeds {
        output.line(format!(
            "{}  {:>9}  ran {}, used {}: {}",
            seed.id,
            bytes(seed.bytes),
            ago(seed.made_at),
            ago(seed.used_at),
            plain(&seed.what)
        ));
    }
    if kept.unusable_bytes > 0 {
        output.line(format!("{:>23}  damaged or unfinished, and not used", bytes(kept.unusable_bytes)));
    }
    output.line(if total == 0 {
        "Nothing is kept.".to_owned()
    } else {
        format!("{} in all, for all projects. `offshoot seed clear` frees them.", bytes(total))
    });
    Ok(())
}
