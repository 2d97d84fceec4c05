//! `offshoot seed …`: what seeds have made, and is kept for the next time.

use std::time::SystemTime;

use offshoot_storage::{KeptSeed, SeedCache};
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
            let (seeds, freed) = SeedCache::clear(&dir, &Shown::new(output.json)).map_err(Failure::from)?;
            if output.json {
                output.value(&json!({ "seeds": seeds, "freedBytes": freed }))?;
            } else if seeds == 0 {
                output.line("Nothing is kept.");
            } else {
                let what = if seeds == 1 { "1 seed has".to_owned() } else { format!("{seeds} seeds have") };
                output.line(format!("Removed what {what} made: {} are free again.", bytes(freed)));
            }
        }
    }
    Ok(super::OK)
}

fn list(seeds: &[KeptSeed], output: Output) -> Result<()> {
    let total: u64 = seeds.iter().map(|seed| seed.bytes).sum();
    if output.json {
        let seeds: Vec<_> = seeds
            .iter()
            .map(|seed| {
                json!({ "id": seed.id, "what": seed.what, "bytes": seed.bytes,
                        "madeAt": timestamp::seconds(seed.made_at), "usedAt": timestamp::seconds(seed.used_at) })
            })
            .collect();
        return output.value(&json!({ "bytes": total, "seeds": seeds }));
    }
    let now = timestamp::seconds(SystemTime::now());
    let ago = |at: SystemTime| timestamp::ago(now.saturating_sub(timestamp::seconds(at)));
    for seed in seeds {
        output.line(format!(
            "{}  {:>9}  ran {}, used {}: {}",
            seed.id,
            bytes(seed.bytes),
            ago(seed.made_at),
            ago(seed.used_at),
            plain(&seed.what)
        ));
    }
    output.line(if seeds.is_empty() {
        "Nothing is kept.".to_owned()
    } else {
        format!("{} in all, for all projects. `offshoot seed clear` frees them.", bytes(total))
    });
    Ok(())
}
