//! Random schemas and random edits: plans run both ways and leave nothing different.
//!
//! `OFFSHOOT_SEEDS=500` tries more of them, `OFFSHOOT_SEED=17` only one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

#[path = "support/generate.rs"]
mod generate;
#[path = "support/seed.rs"]
mod seed;
mod support;
#[path = "support/travel.rs"]
mod travel;

use generate::Schema;
use support::Postgres;
use travel::{Mode, Room, both_ways};

const SEEDS: u64 = 30;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_edits_of_random_schemas_are_planned_both_ways() {
    let Some(server) = Postgres::start(15) else { return };
    server.connect("postgres").batch_execute("CREATE ROLE reader; CREATE ROLE writer").unwrap();
    let (first, count) = match number("OFFSHOOT_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("OFFSHOOT_SEEDS").unwrap_or(SEEDS)),
    };
    let modes = [Mode::Usual, Mode::Online, Mode::Exact];
    let mut rooms = ["a", "b"].map(|side| Room::without_dumps(&server, side.to_owned()));
    let mut misses = Vec::new();
    for seed in first..first + count {
        let mut schema = Schema::random(seed);
        let from = schema.sql();
        schema.edit();
        let to = schema.sql();
        let mode = modes[usize::try_from(seed % 3).unwrap()];
        for (direction, why) in both_ways(&mut rooms, &from, &to, Mode::wanted_or(mode)) {
            let scripts = if count == 1 { format!("\n{from}\n-- to:\n{to}") } else { String::new() };
            misses.push(format!("seed {seed} {direction} ({mode:?}): {why}{scripts}"));
        }
    }
    assert!(misses.is_empty(), "{} of {count} seeds: {}", misses.len(), misses.join("\n\n"));
}
